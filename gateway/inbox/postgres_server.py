"""What a PostgreSQL server must be to keep an inbox, and what its operator should know of how it keeps it."""

from __future__ import annotations

from gateway.errors import InboxUnsupported
from gateway.inbox.postgres_connections import Connection

OLDEST = 140_000

_SETTINGS = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_setting('fsync'),
  current_setting('full_page_writes'), current_setting('server_encoding'), pg_is_in_recovery(),
  current_setting('synchronous_standby_names')
"""

_TORN = (
    "the inbox's PostgreSQL runs with full_page_writes = off: unless its file system never tears a page, a crash of "
    "its host can damage the tables"
)
_ALONE = (
    "the inbox's PostgreSQL has no synchronous standby (synchronous_standby_names is empty): what was answered "
    "survives a crash of it, but a failover to another server may lose the deliveries of the last moments before it"
)


async def examine(connection: Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return alarms and notes, a sentence each. Raises InboxUnsupported for a server that may not keep an inbox."""
    number, version, fsync, full_pages, encoding, standby, synchronous = await connection.fetchrow(_SETTINGS)
    if number < OLDEST:
        raise InboxUnsupported(f"the inbox's server is PostgreSQL {version}; use 14 or newer")
    if fsync != "on":
        raise InboxUnsupported(
            "the inbox's PostgreSQL runs with fsync = off and loses what it committed when its host fails; turn it on"
        )
    if encoding != "UTF8":
        raise InboxUnsupported(f"the inbox's database is encoded as {encoding}; make one with ENCODING 'UTF8'")
    if standby:
        raise InboxUnsupported(
            "the inbox's PostgreSQL is a standby, which takes no writes; name the primary in [inbox] url, or all hosts "
            "with ?target_session_attrs=read-write"
        )
    alarms = () if full_pages == "on" else (_TORN,)
    return alarms, () if synchronous else (_ALONE,)
