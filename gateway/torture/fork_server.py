"""A process that has imported the gateway once and forks one gateway per line that it reads, so that starts are cheap.

It reads JSON objects `{"round", "place", "failpoints"}`, which start a gateway, and `{"round", "signal"}`, which
signal it where it still lives. It writes `{"round", "event"}` with the events `listening` (and `port`) and `ended` (and
`code`, negative for a signal). At the end of its input it kills what it has forked.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import uvloop

from gateway import failpoints, providers, transform
from gateway.app import Gateway
from gateway.dev import samples
from gateway.reload import Reloader
from gateway.run import run
from gateway.telemetry import logs
from gateway.torture.haste import hasten
from gateway.torture.place import Place

LOG = "gateway.log"
CHUNK = 65_536


class ForkServer:
    """The gateways forked so far that live, by round.

    One loop forks, signals and reaps, so that a pid that is signalled cannot belong to anyone else yet.
    """

    def __init__(self) -> None:
        self._living: dict[int, int] = {}

    def serve(self) -> None:
        """Obey until the input ends."""
        orders, woken = sys.stdin.fileno(), _wake_for_children()
        unfinished = b""
        while True:
            ready, _, _ = select.select([orders, woken], [], [])
            if woken in ready:
                os.read(woken, CHUNK)
                self._reap()
            if orders in ready:
                chunk = os.read(orders, CHUNK)
                if not chunk:
                    break
                *lines, unfinished = (unfinished + chunk).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
        for number in self._living:
            self._obey({"round": number, "signal": signal.SIGKILL})

    def _obey(self, order: dict[str, Any]) -> None:
        number = order["round"]
        if "place" in order:
            self._living[number] = _fork(order)
        elif number in self._living:
            os.kill(self._living[number], order["signal"])

    def _reap(self) -> None:
        for number, pid in list(self._living.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self._living[number]
                _tell(number, "ended", code=os.waitstatus_to_exitcode(status))


def _wake_for_children() -> int:
    """Return a descriptor that can be read once a child has ended; a signal alone may come just before a wait."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return woken


def _fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os._exit(_be_gateway(order))
    return pid


def _be_gateway(order: dict[str, Any]) -> int:
    """Serve as `gateway serve` does, with the log in a file of the folder; return the exit code."""
    place = Place(**order["place"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.dup2(os.open(Path(place.folder) / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), sys.stderr.fileno())
    logs.configure("json", "error")
    hasten()
    failpoints.arm(order["failpoints"])

    async def announce(gateway: Gateway, _: Reloader) -> None:
        _tell(order["round"], "listening", port=gateway.port)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run(place.config, announce))
    except BaseException:  # noqa: BLE001 - the forked process must not return into the fork server's loop
        traceback.print_exc()
        return 1
    finally:
        sys.stderr.flush()


def _tell(number: int, event: str, **more: int) -> None:
    """Write one line at once, which does not mix with those of other processes."""
    os.write(sys.stdout.fileno(), json.dumps({"round": number, "event": event, **more}).encode() + b"\n")


if __name__ == "__main__":
    for name in samples.providers():
        transform.load(providers.get(name).transform, Path.cwd())
    ForkServer().serve()
