"""One stored delivery, by its id or the id of one of its events."""

from __future__ import annotations

from gateway.cli.store import inbox_file, read
from gateway.config import Config
from gateway.errors import ConfigError
from gateway.history import History, Query
from gateway.inbox.contract import Inbox


def history_of(config: Config, identifier: str, source: str = "", *, or_file: bool = False) -> History:
    """Return what the inbox has of a delivery, with its body; `or_file` tells that the id might have been a file.

    Raises ConfigError where there is none, its body is gone, or several sources have one.
    """

    async def find(inbox: Inbox) -> list[History]:
        found = await inbox.search(Query(id=identifier, source=source, limit=10))
        return [history for match in found if (history := await inbox.get(match.entry.key))]

    path = inbox_file(config)
    histories = read(config, find) if path else []
    sources = sorted({history.entry.delivery.source for history in histories})
    if not histories:
        file = "there is no such file, and " if or_file else ""
        where = f"no delivery or event{f' of {source}' if source else ''} in {path} has this id"
        without = f"there is no inbox yet at {config.inbox_path}; `gateway serve` or `gateway dev` makes it"
        raise ConfigError([f"{identifier}: {file}{where if path else without}"])
    if len(sources) > 1:
        raise ConfigError([f"{identifier}: {' and '.join(sources)} have deliveries of this id; choose with --source"])
    if not histories[0].body_kept:
        raise ConfigError([f"{identifier}: its body is gone, as inbox.retention_days have passed"])
    return histories[0]
