"""One stored delivery, by its id or the id of one of its events."""

from __future__ import annotations

from gateway.cli.store import read
from gateway.config import Config
from gateway.errors import ConfigError
from gateway.history import History, Query
from gateway.inbox.contract import Inbox
from gateway.model import Delivery


def delivery_of(config: Config, identifier: str, source: str | None = None) -> Delivery:
    """Return the delivery. Raises ConfigError where there is none, its body is gone, or several sources have one."""

    async def find(inbox: Inbox) -> list[History]:
        found = await inbox.search(Query(id=identifier, source=source or "", limit=10))
        return [history for match in found if (history := await inbox.get(match.entry.key))]

    histories = read(config, find)
    sources = sorted({history.entry.delivery.source for history in histories})
    if not histories:
        raise ConfigError([f"{identifier}: neither a delivery nor an event in the inbox has this id"])
    if len(sources) > 1:
        raise ConfigError([f"{identifier}: {' and '.join(sources)} have deliveries of this id; choose with --source"])
    if not histories[0].body_kept:
        raise ConfigError([f"{identifier}: its body is gone, as inbox.retention_days have passed"])
    return histories[0].entry.delivery
