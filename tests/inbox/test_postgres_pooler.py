"""An inbox behind a pooler in transaction mode, which gives every transaction another session of the server."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.history import Query
from gateway.inbox.postgres import PostgresInbox
from gateway.model import ReplayMode, State
from tests import postgres_schemas
from tests.inbox.engines import DAY
from tests.inbox.samples import LEASE, NOW, answered, delivery, settle_all

PGBOUNCER = shutil.which("pgbouncer")
SETTINGS = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""


@pytest.fixture
def pooler() -> Iterator[str]:
    """Give the URL of a pooler with two sessions."""
    url = urlsplit(postgres_schemas.url())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "pgbouncer.ini"
        settings.write_text(SETTINGS.format(server=url.port, port=port))
        Path(folder).chmod(0o755)
        child = subprocess.Popen(  # noqa: S603 - the machine's own
            [str(PGBOUNCER), settings], stderr=subprocess.DEVNULL, user="nobody" if os.geteuid() == 0 else None
        )
        try:
            _await(port)
            yield f"postgresql://postgres@127.0.0.1:{port}{url.path}"
        finally:
            child.terminate()
            child.wait(10)


def _await(port: int) -> None:
    for _ in range(500):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    pytest.fail("PgBouncer takes no connections")


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed here")
async def test_nothing_rests_on_a_session(pooler: str, tmp_path: Path) -> None:
    """Concurrent puts, leases, settlements, searches and replays of two gateways share two sessions."""
    _, schema = postgres_schemas.of(tmp_path)
    gateways = [await PostgresInbox.open(pooler, schema=schema, dedupe_window_ms=7 * DAY) for _ in range(2)]
    puts = [gateways[n % 2].put([delivery(f"evt_{n // 2}")], NOW) for n in range(100)]
    receipts = [receipt for answer in await asyncio.gather(*puts) for receipt in answer]
    assert sum(receipt.duplicate for receipt in receipts) == 50
    leased = await asyncio.gather(*(gateways[n % 2].lease(7, LEASE, NOW) for n in range(10)))
    settled = await asyncio.gather(
        *(gateways[n % 2].settle([(one, answered(one)) for one in leases], NOW) for n, leases in enumerate(leased))
    )
    await asyncio.gather(*(gateway.search(Query()) for gateway in gateways))
    assert [answer for answers in settled for answer in answers] == [None] * 50
    assert (await gateways[0].replay(Query(limit=100), ReplayMode.RERUN, NOW)).count == 50
    await settle_all(gateways[1], State.SKIPPED)
    assert (await gateways[0].counts()).by_source == {"acme": {State.SKIPPED: 50}}
    for gateway in gateways:
        await gateway.close()
