"""Every test that docs/guarantees.md names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = sorted(set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", (ROOT / "docs" / "guarantees.md").read_text())))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[f"{file}::{name}" for file, name in NAMED])
def test_named_test_exists(file: str, name: str) -> None:
    """A test that a guarantee rests on is there under its name."""
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_row_is_there() -> None:
    """All 55 rows of the fault matrix are held by a test or left out with a reason."""
    text = (ROOT / "docs" / "guarantees.md").read_text()
    found: set[int] = set()
    for first, last in re.findall(r"^\| (\d+)(?:\u2013(\d+))? \|", text, re.MULTILINE):
        found |= set(range(int(first), int(last or first) + 1))
    assert found == set(range(1, 56))
