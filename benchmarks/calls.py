"""How many function calls a webhook takes, from its first byte to its settlement: `python -m benchmarks.calls`.

Unlike time, this does not depend on the machine's mood, so a test holds it: tests/test_cost.py. Calls of Python and of
C functions are counted on all threads of the gateway, over many webhooks that come over busy connections. What is not
seen is a call that takes longer; that is what `make bench` is for.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from benchmarks import load, measuring, traffic
from benchmarks.contenders import ENVIRON, event_api, write_config
from gateway.app import Gateway
from gateway.config import load as load_config
from gateway.model import State
from gateway.telemetry import logs

WARM_UP = 200
WEBHOOKS = 1_000
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls per webhook on the thread of the loop, and on all others together."""

    loop: float
    others: float


class _Counter:
    """Counts calls on the thread that makes it, and on those that are started from then on."""

    def __init__(self) -> None:
        self._loop, self._others = itertools.count(), itertools.count()
        self._read = 0
        threading.setprofile(self._see(self._others))
        sys.setprofile(self._see(self._loop))

    def read(self) -> tuple[int, int]:
        """Return the calls so far on the loop's thread and on the others."""
        self._read += 1
        return next(self._loop) - self._read + 1, next(self._others) - self._read + 1

    def stop(self) -> None:
        """Count no more."""
        sys.setprofile(None)
        threading.setprofile(None)

    @staticmethod
    def _see(counter: itertools.count[int]) -> Callable[[FrameType, str, Any], None]:
        def see(_: FrameType, event: str, __: Any) -> None:
            if event in {"call", "c_call"}:
                next(counter)

        return see


async def count_calls(folder: Path, more: str = "") -> Calls:
    """Count the calls of a gateway whose source has `more` settings, in a process that does nothing else."""
    with event_api() as api:
        url = f"http://127.0.0.1:{api.port}"
        counter = _Counter()
        gateway = Gateway(load_config(write_config(folder, 0, url, more=more), ENVIRON))
        await gateway.start()
        await _send(gateway, WARM_UP)
        before = counter.read()
        await _send(gateway, WEBHOOKS)
        after = counter.read()
        counter.stop()
        await gateway.stop()
    return Calls(*[(then - now) / WEBHOOKS for now, then in zip(before, after, strict=True)])


async def _send(gateway: Gateway, count: int) -> None:
    """Send webhooks from a thread that is not counted, and wait until all are settled."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[load.Result] = loop.create_future()

    def send() -> None:
        sys.setprofile(None)
        requests = traffic.requests(traffic.bodies(count), gateway.port)
        result = uvloop.run(load.closed(gateway.port, requests, CONNECTIONS))
        loop.call_soon_threadsafe(answered.set_result, result)

    threading.Thread(target=send, daemon=True).start()
    measuring.require_all(await answered, count)
    while set((await gateway.inbox.counts()).by_source["stripe"]) != {State.FORWARDED}:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0.05)


def main() -> None:
    """Print what was counted; `more` settings of the source may be given as the argument."""
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        logs.configure("json", "info", nowhere)
        calls = uvloop.run(count_calls(Path(folder), sys.argv[1] if len(sys.argv) > 1 else ""))
    print(f"{calls.loop:.1f} {calls.others:.1f}")  # noqa: T201 - the output of a script


if __name__ == "__main__":
    main()
