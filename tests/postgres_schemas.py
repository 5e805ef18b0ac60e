"""One PostgreSQL for all tests of this process, and an empty schema for each place that asks."""

from __future__ import annotations

import asyncio
import atexit
import os
from functools import cache
from hashlib import sha256
from pathlib import Path

import asyncpg

from tests.postgres_server import PostgresServer

VARIABLE = "GATEWAY_TEST_POSTGRES"

_given: set[str] = set()


@cache
def url() -> str:
    """Return the server's URL: the one that GATEWAY_TEST_POSTGRES names, or one that is started now."""
    if named := os.environ.get(VARIABLE):
        atexit.register(lambda: asyncio.run(_drop(named)))
        return named
    server = PostgresServer()
    atexit.register(server.remove)
    server.create()
    server.start()
    return server.dsn


def of(place: Path) -> tuple[str, str]:
    """Return the URL and the schema of a place; the same place has the same schema."""
    schema = f"test_{sha256(str(place).encode()).hexdigest()[:16]}"
    _given.add(schema)
    return url(), schema


async def _drop(named: str) -> None:
    """Leave a server of somebody else's as it was."""
    connection = await asyncpg.connect(named)
    for schema in _given:
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    await connection.close()
