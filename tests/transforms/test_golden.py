"""The golden pairs of the shipped transforms are complete; the pytest plugin holds what is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import recording

HERE = Path(__file__).parent
CASES = sorted(path.relative_to(HERE) for path in HERE.glob("*/*.delivery.json"))
SHIPPED = {path.stem for path in (HERE.parents[1] / "transforms").glob("[!_]*.py")}


def test_golden_files_are_complete() -> None:
    """Every shipped transform has golden cases."""
    assert {str(case.parent) for case in CASES} == SHIPPED


@pytest.mark.parametrize("case", CASES, ids=str)
def test_recordings_are_canonical(case: Path) -> None:
    """A recorded delivery, read and written again, is the same file."""
    recorded = (HERE / case).read_bytes()
    assert recording.dumps(recording.loads(recorded)) == recorded
