"""One PostgreSQL for all tests of this process, and an empty schema for each place that asks."""

from __future__ import annotations

import atexit
import os
from functools import cache
from hashlib import sha256
from pathlib import Path

from tests.postgres_server import PostgresServer

VARIABLE = "GATEWAY_TEST_POSTGRES"


@cache
def url() -> str:
    """Return the server's URL: the one that GATEWAY_TEST_POSTGRES names, or one that is started now."""
    if given := os.environ.get(VARIABLE):
        return given
    server = PostgresServer()
    atexit.register(server.remove)
    server.create()
    server.start()
    return server.dsn


def of(place: Path) -> tuple[str, str]:
    """Return the URL and the schema of a place; the same place has the same schema."""
    return url(), f"test_{sha256(str(place).encode()).hexdigest()[:16]}"
