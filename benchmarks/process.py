"""A serving process and what it takes of the machine: CPU time, memory, the time to start. Linux only."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

START_SECONDS = 20.0
STOP_SECONDS = 30.0


class Process:
    """A program that was started and listens on `port`; `start_seconds` is how long that took."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, start_seconds: float) -> None:
        self._process = process
        self.port = port
        self.start_seconds = start_seconds

    @property
    def cpu(self) -> float:
        """The CPU seconds that the process and its descendants have used, all threads, user and system."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in self.family)

    @property
    def family(self) -> list[int]:
        """The ids of the process and its descendants."""
        return _family(self._process.pid)

    @property
    def peak_mb(self) -> float:
        """The most resident memory of the process and its descendants, each at its own peak."""
        return sum(_peak_kb(pid) for pid in self.family) / 1024

    def settled_cpu(self, quiet_seconds: float = 0.5, share: float = 0.02) -> float:
        """Wait until the process has nothing left to do and return the CPU seconds used until then."""
        before = self.cpu
        while True:
            time.sleep(quiet_seconds)
            now = self.cpu
            if now - before < quiet_seconds * share:
                return now
            before = now


@contextlib.contextmanager
def started(command: Sequence[str], port: int, env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Run a program with its output going nowhere, from when it listens on `port` until the block ends."""
    begun = time.perf_counter()
    environment = {**os.environ, **(env or {})}
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=silent, stdout=silent, stderr=silent) as process:  # noqa: S603 - the benchmark's own programs
        try:
            _await_listening(process, port)
            yield Process(process, port, time.perf_counter() - begun)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _await_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.005)
    raise SystemExit(f"{process.args!r} does not listen on {port}; run it by hand to see why")


def _cpu_clock(pid: int) -> int:
    """Return the CPU clock of a process: clock_getcpuclockid(3), whose ids the kernel makes of the pid."""
    return (~pid << 3) | 2


def _family(pid: int) -> list[int]:
    found = [pid]
    for member in found:
        for task in Path(f"/proc/{member}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _peak_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0])
