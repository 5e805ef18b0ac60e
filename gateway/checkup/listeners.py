"""Whether a gateway serves here and is ready, or whether its ports are free for it."""

from __future__ import annotations

import contextlib
import errno
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from gateway.admin import address
from gateway.checkup.check import Check, Level

SECONDS = 3.0
ANSWER_LIMIT = 65_536


def examine(inbox: Path, ports: dict[str, tuple[str, int]]) -> Iterator[Check]:
    """Ask the gateway that serves the inbox; without one, try the ports: host and port by the name of their table."""
    told = address.read(inbox)
    answered = _ask(told.url) if told else None
    if told and answered:
        yield _running(told.url, *answered)
        return
    yield Check("running", Level.NOTE, "no gateway here serves this inbox")
    for table, (host, port) in ports.items():
        yield _port(table, host, port)


def _running(url: str, status: int, faults: list[str]) -> Check:
    if status == http.client.OK:
        return Check("running", Level.OK, f"a gateway serves this inbox, its admin listener is {url}, and it is ready")
    told = "; ".join(faults) or f"it answers {status}"
    return Check(
        "running", Level.WARNING, f"a gateway serves this inbox, its admin listener is {url}; not ready: {told}"
    )


def _port(table: str, host: str, port: int) -> Check:
    name, where = f"{table}.port", f"{host}:{port}"
    try:
        family, kind, protocol, _, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found)
            probe.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            told = f"{where} is taken, by another program or by a socket unit that will start the gateway: ss -ltnp"
            return Check(name, Level.WARNING, told)
        reason = error.strerror or type(error).__name__
        return Check(
            name, Level.FAULT, f"this machine cannot listen on {where} ({reason}); choose another host or port"
        )
    return Check(name, Level.OK, f"{where} is free")


def _ask(url: str) -> tuple[int, list[str]] | None:
    """Return the status and the faults that /readyz tells, None where nobody answers."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            body = response.read(ANSWER_LIMIT)
        except (OSError, http.client.HTTPException):
            return None
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return response.status, [str(fault) for fault in orjson.loads(body)["faults"]]
    return response.status, []
