"""What `gateway move` says, in sentences and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.inbox.moving.source import Counted
from gateway.inbox.sqlite_moved import DONE, Mark

if TYPE_CHECKING:
    from gateway.inbox.moving.move import Moved


def total(counts: Counted) -> int:
    """Return how many entries were counted in all."""
    return sum(number for states in counts.values() for number in states.values())


def sentences(path: Path, name: str, moved: Moved) -> Iterator[str]:
    """Say what was moved."""
    there = moved.comparison
    if there is None:
        yield f"{path}: an earlier run moved everything to {name}, and only the note of that in the file was missing"
        return
    absorbed, forgotten = total(there.absorbed), total(there.forgotten)
    yield f"{path}: moved to {name}: {_deliveries(total(moved.counts))}, {_told(moved.counts)}"
    if absorbed:
        yield f"{absorbed} of them the target knew already: its own stay, and count one more re-send"
    if forgotten or there.narrowed:
        yield f"retention there took {forgotten} of them since the copy, and the bodies of {there.narrowed} more"
    yield f"every record was read again and compared; SHA-256 of both sides {there.arrived.hex()}"
    yield "what waits is forwarded from there; `gateway serve` refuses the file from now on. Keep it for a while"


def document(path: Path, name: str, moved: Moved) -> dict[str, Any]:
    """Return what was moved as JSON has it."""
    there = moved.comparison
    return {
        "from": str(path),
        "to": name,
        "sources": moved.counts,
        "deliveries": total(moved.counts),
        "absorbed": there and total(there.absorbed),
        "taken_by_retention": there and {"deliveries": total(there.forgotten), "bodies": there.narrowed},
        "sha256": there and there.arrived.hex(),
    }


def planned(path: Path, name: str, counts: Counted, size: int, mark: Mark | None) -> Iterator[str]:
    """Say what would be moved."""
    if mark and mark.stage == DONE:
        yield mark.told(path)
        return
    yield f"{path}: {_deliveries(total(counts))} with {size / 1e6:.1f} MB of bodies, {_told(counts)}"
    yield f"{name} can be reached and used; nothing was changed"
    if mark:
        yield f"a move to {mark.target} was begun; the next run goes on with it"


def plan(path: Path, name: str, counts: Counted, size: int, mark: Mark | None) -> dict[str, Any]:
    """Return what would be moved as JSON has it."""
    begun = mark and {"to": mark.target, "stage": mark.stage}
    return {
        "from": str(path),
        "to": name,
        "sources": counts,
        "deliveries": total(counts),
        "body_bytes": size,
        "begun": begun,
    }


def undone(path: Path, mark: Mark, gone: int) -> Iterator[str]:
    """Say what came of giving a move up."""
    if mark.stage != DONE:
        yield f"{path}: the move to {mark.target} is given up; what it had copied there is deleted ({gone} deliveries)"
        return
    yield (
        f"{path} may be served again, as it was when it was moved; what was moved to {mark.target} stays there, so "
        "what waited then is forwarded again, with the same event ids"
    )


def _told(counts: Counted) -> str:
    by_state: dict[str, int] = {}
    for states in counts.values():
        for state, number in states.items():
            by_state[state] = by_state.get(state, 0) + number
    sources = "1 source" if len(counts) == 1 else f"{len(counts)} sources"
    return f"of {sources}: " + (", ".join(f"{by_state[state]} {state}" for state in sorted(by_state)) or "none")


def _deliveries(number: int) -> str:
    return "1 delivery" if number == 1 else f"{number} deliveries"
