"""A process that has imported the gateway once and forks one gateway per line that it reads, so that starts are cheap.

It reads JSON objects `{"round", "place", "failpoints"}`, which start a gateway, and `{"round", "signal"}`, which
signal it where it still lives. It writes `{"round", "event"}` with the events `listening` (and `port`) and `ended` (and
`code`, negative for a signal). At the end of its input it kills what it has forked.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import uvloop

from gateway import failpoints, transform
from gateway.app import Gateway, run
from gateway.providers import PROVIDERS
from gateway.telemetry import logs
from gateway.torture.haste import hasten
from gateway.torture.place import Place

LOG = "gateway.log"


class ForkServer:
    """The gateways forked so far that live, by round.

    Only their parent signals them, with SIGCHLD held back: until it has reaped one, nobody else can have its pid.
    """

    def __init__(self) -> None:
        self._living: dict[int, int] = {}

    def serve(self) -> None:
        """Fork and signal until the input ends."""
        signal.signal(signal.SIGCHLD, lambda *_: self._reap())
        for line in sys.stdin:
            wanted = json.loads(line)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            if "signal" in wanted:
                self._signal(wanted["round"], wanted["signal"])
            else:
                self._fork(wanted)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        for number in self._living:
            self._signal(number, signal.SIGKILL)

    def _fork(self, wanted: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            os._exit(_be_gateway(wanted))
        self._living[wanted["round"]] = pid

    def _signal(self, number: int, wanted: int) -> None:
        if number in self._living:
            os.kill(self._living[number], wanted)

    def _reap(self) -> None:
        for number, pid in list(self._living.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self._living[number]
                _tell(number, "ended", code=os.waitstatus_to_exitcode(status))


def _be_gateway(wanted: dict[str, Any]) -> int:
    """Serve as `gateway serve` does, with the log in a file of the folder; return the exit code."""
    place = Place(**wanted["place"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.dup2(os.open(Path(place.folder) / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), sys.stderr.fileno())
    logs.configure("json", "error")
    hasten()
    failpoints.arm(wanted["failpoints"])

    async def announce(gateway: Gateway) -> None:
        _tell(wanted["round"], "listening", port=gateway.port)

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
    for provider in PROVIDERS.values():
        transform.load(provider.transform, Path.cwd())
    ForkServer().serve()
