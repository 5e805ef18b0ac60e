"""Every recorded delivery gives the recorded events; UPDATE_GOLDEN=1 records the events anew, for review as a diff."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gateway import recording
from gateway.model import Entry, Skip
from gateway.stamp import Stamped
from gateway.transform import Runner, load
from tests.mapped import mapper

HERE = Path(__file__).parent
CASES = sorted(path.relative_to(HERE) for path in HERE.glob("*/*.delivery.json"))
SHIPPED = {path.stem for path in (HERE.parents[1] / "transforms").glob("[!_]*.py")}


def render(mapped: object) -> str:
    """Write events as a golden file holds them: the fields of the wire, in the order of the wire."""
    assert isinstance(mapped, Stamped | Skip), mapped
    events = [json.loads(event.body) for event in mapped.events] if isinstance(mapped, Stamped) else []
    return json.dumps(events, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_golden(case: Path) -> None:
    """A shipped transform makes the recorded events of the recorded delivery, byte for byte the same every time."""
    delivery = recording.loads((HERE / case).read_bytes())
    reference = f"transforms.{case.parent}:transform"
    chosen = mapper(load(reference), reference, source=delivery.source, prefix=delivery.provider)
    runner = Runner()
    first, second = await runner.run([(Entry(1, delivery), chosen), (Entry(2, delivery), chosen)])
    assert first == second
    expected = HERE / str(case).replace(".delivery.json", ".events.json")
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(render(first))
    assert render(first) == expected.read_text()


def test_golden_files_are_complete() -> None:
    """Every shipped transform has golden cases, and no file of events is left without its delivery."""
    assert {str(case.parent) for case in CASES} == SHIPPED
    events = {str(path.relative_to(HERE)) for path in HERE.glob("*/*.events.json")}
    assert events == {str(case).replace(".delivery.json", ".events.json") for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_recordings_are_canonical(case: Path) -> None:
    """A recorded delivery, read and written again, is the same file."""
    recorded = (HERE / case).read_bytes()
    assert recording.dumps(recording.loads(recorded)) == recorded
