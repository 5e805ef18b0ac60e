"""Look at what a gateway under torture has left: its inbox file and its log."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.history import Query
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import State
from gateway.torture.disk import check_integrity
from gateway.torture.fork_server import LOG
from gateway.torture.verdict import Identity

WINDOW_MS = 7 * 86_400_000
ALL = 1_000_000


async def unforwarded(path: Path) -> dict[Identity, State]:
    """Return the entries of an inbox that were not forwarded."""
    inbox = SqliteInbox.open(path, dedupe_window_ms=WINDOW_MS, read_only=True)
    try:
        return {
            (history.entry.delivery.source, history.entry.delivery.id): state
            for state in (State.PENDING, State.LEASED, State.SKIPPED, State.DEAD)
            for history in await inbox.search(Query(state=state, limit=ALL))
        }
    finally:
        await inbox.close()


def damage(path: Path) -> list[str]:
    """Say what SQLite finds wrong with the file."""
    found = check_integrity(path)
    return [] if found == "ok" else [f"the inbox file is damaged: {found}"]


def crashes(folder: Path) -> list[str]:
    """Return a sentence for each fault of the gateway's own and each alarm of its inbox, as its log tells them."""
    found = []
    for line in (folder / LOG).read_text().splitlines():
        told = json.loads(line) if line.startswith("{") else {"event": "crashed", "error": line}
        match told["event"]:
            case "crashed":
                found.append(f"a fault of the gateway's own: {told.get('where', '')} {told['error']}")
            case "inbox_alarm":
                found.append(f"an alarm of the inbox: {told['detail']}")
    return found
