"""The same requests over real HTTP, on raw sockets, to a gateway process; and requests that are no HTTP."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gateway.model import Request
from gateway.rejections import RequestRejected
from tests.fuzz.engine import Drawn, Tally, draw, judged, outcome
from tests.fuzz.targets import Hall, Target

# What the listener and the receiver answer, and the statuses of handshakes; 0 is a connection closed without an answer.
STATUSES = {200, 201, 202, 204, 400, 401, 404, 405, 408, 413, 415}
TORN_STATUSES = {0, 400, 401, 404, 405, 408, 413, 415}
TORN = 0.1
CHUNKED = b"transfer-encoding: chunked"
ANSWER_SECONDS = 20.0
START_SECONDS = 30.0
_CRASHES = ("crashed", "Traceback")


@contextmanager
def running(hall: Hall) -> Iterator[None]:
    """Run a gateway on the hall's configuration and port. Afterwards its log may tell of no crash."""
    log = hall.path.with_name("log")
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(hall.path)]
    with log.open("wb") as err:
        child = subprocess.Popen(command, env={**os.environ, **hall.environ}, stderr=err)  # noqa: S603 - our own command
    try:
        _wait(child, hall.port, log)
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        code = child.wait(30)
    with log.open() as lines:
        crashes = [line for line in lines if any(word in line for word in _CRASHES)]
    assert code == 0
    assert not crashes, crashes[0]


def _wait(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(log.read_text())


def run(port: int, targets: list[Target], seed: int, numbers: Iterable[int]) -> Tally:
    """Post the requests of these numbers; return what became of them. What verify refuses must not be taken."""
    tally = Tally()
    for number in numbers:
        drawn = draw(targets, seed, number)
        rng = random.Random(number)
        if rng.random() < TORN:
            status, allowed = _ask(port, _torn(rng, drawn.request), ends=True), TORN_STATUSES
        else:
            status, allowed = _ask(port, written(drawn.request), ends=False), _allowed(drawn)
        label = f"http {number} {drawn.target.source.name} {drawn.how}"
        faults = [] if status in allowed else [f"the answer was {status}, and expected was one of {sorted(allowed)}"]
        tally.count(f"http {status}", 0.0, label, faults)
    return tally


def written(request: Request) -> bytes:
    """Return the request as it goes over the wire, however wrong its headers are."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    lines = [f"{request.method} {target} HTTP/1.1", "host: hooks.example.com", "connection: close"]
    lines += [f"{name}: {value}" for name, value in request.headers if name != "host"]
    lines.append(f"content-length: {len(request.body)}")
    return "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + request.body


def _allowed(drawn: Drawn) -> set[int]:
    """Return the statuses that the request may have, by what verify says of it as it arrives."""
    headers = tuple((name, value.strip(" \t")) for name, value in drawn.request.headers)
    arrived = replace(drawn, request=replace(drawn.request, headers=headers))
    verdict, _ = judged(arrived, drawn.request.received_at)
    if isinstance(verdict, RequestRejected):
        # A window of seconds may have passed since, and what is no HTTP never gets to verify.
        return {verdict.status, 400, 401, 404, 413}
    return STATUSES if outcome(verdict) in {"accepted", "handshake"} else set()


def _torn(rng: random.Random, request: Request) -> bytes:
    """Return bytes that are not HTTP, or that two readers could read as different requests."""
    raw = written(replace(request, headers=()))
    head, _, body = raw.partition(b"\r\n\r\n")
    at = rng.randrange(len(head))
    return rng.choice(
        (
            head[:at] + rng.randbytes(1) + head[at:] + b"\r\n\r\n" + body,
            raw.replace(b"\r\n", b"\n"),
            head + b"\r\n" + CHUNKED + b"\r\n\r\n0\r\n\r\n",
            head + b"\r\ncontent-length: 5\r\n\r\n" + body,
            head + b"\r\nx: " + b"a" * 70_000 + b"\r\n\r\n" + body,
            head + b"\r\nx: a\0b\r\n\r\n" + body,
            head + b"\r\n folded: a\r\n\r\n" + body,
            b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n",
            raw.replace(b"HTTP/1.1", rng.choice((b"HTTP/9.9", b"HTTP/1.0", b"", b"PRI * HTTP/2.0"))),
            b"POST /webhooks/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + CHUNKED + b"\r\n\r\nzz\r\n",
            rng.randbytes(200),
        )
    )  # fmt: skip


def _ask(port: int, raw: bytes, *, ends: bool) -> int:
    """Send bytes over a connection of their own, and its end where asked for; return the status, or 0 without one."""
    with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as connection:
        answer = b""
        try:
            connection.sendall(raw)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                answer += part
        except ConnectionError:
            pass  # what was too large to be read whole may end in a reset, after the answer or before it
    return int(answer[9:12]) if answer else 0
