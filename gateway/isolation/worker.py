"""A worker process: it loads a source's transforms and maps entries, one after the other, until the gateway is gone."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

from gateway import find, user_code
from gateway.applied import apply, failure, outcome
from gateway.errors import TransformError, TransformStarved
from gateway.isolation import frames
from gateway.mapper import Mapper, Transform
from gateway.model import Entry, Skip
from gateway.stamp import Stamped, stamp

END_SECONDS = 1.0
SMALL_STACK = 256 * 1024
PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html

Functions = Mapping[str, Transform]


def main(number: int) -> None:
    """Work on what comes over the socket of this file descriptor."""
    os.set_inheritable(number, False)
    channel = socket.socket(fileno=number)
    try:
        told = frames.read_hello(_read(channel))
    except OSError:
        return
    _end_with(told.parent)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, _stay)  # a service manager signals all of a group; the gateway says when to end
    jobs: SimpleQueue[bytes | None] = SimpleQueue()
    threading.stack_size(SMALL_STACK)
    threading.Thread(target=_take, args=(channel, jobs), daemon=True).start()
    threading.stack_size(0)
    _limit_memory(told.memory_mb)
    try:
        functions = _load(told)
    except TransformError as error:
        channel.sendall(frames.framed(frames.answer(error)))
        return
    channel.sendall(frames.framed(frames.READY))
    try:
        _work(channel, jobs, functions)
    except Exception:  # noqa: BLE001 - a transform broke what this process stands on; the gateway says so
        os._exit(1)


def _work(channel: socket.socket, jobs: SimpleQueue[bytes | None], functions: Functions) -> None:
    with asyncio.Runner() as runner:
        while (content := jobs.get()) is not None:
            channel.sendall(frames.framed(_answer(content, functions, runner)))


def _load(told: frames.Hello) -> Functions:
    user_code.pin(told.files)
    return {reference: find.load(reference, Path(told.folder)) for reference in told.references}


def _answer(content: bytes, functions: Functions, runner: asyncio.Runner) -> bytes:
    """Map an entry; return the answer."""
    try:
        entry, mapper = frames.read_job(content)
        made = _map(entry, replace(mapper, function=functions[mapper.reference]), runner)
        return frames.STARVED if isinstance(made, TransformStarved) else frames.answer(made)
    except MemoryError:
        return frames.STARVED


def _map(entry: Entry, mapper: Mapper, runner: asyncio.Runner) -> Stamped | Skip | TransformError:
    if not mapper.runs_async:
        return apply(entry, mapper)
    try:
        return stamp(entry, mapper, runner.run(outcome(entry, mapper)))
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, and none of it may stop us
        return failure(mapper, error)


def _take(channel: socket.socket, jobs: SimpleQueue[bytes | None]) -> None:
    """Take jobs while the process works on one, so that the end of the gateway is noticed whatever that one does."""
    with suppress(OSError):
        while True:
            jobs.put(_read(channel))
    jobs.put(None)
    time.sleep(END_SECONDS)
    os._exit(0)


def _read(channel: socket.socket) -> bytes:
    """Read a frame. Raises OSError when there are no more."""
    [length] = frames.LENGTH.unpack(_exactly(channel, frames.LENGTH.size))
    return bytes(_exactly(channel, length))


def _exactly(channel: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    view, filled = memoryview(content), 0
    while filled < size:
        count = channel.recv_into(view[filled:])
        if not count:
            raise ConnectionResetError
        filled += count
    return content


def _end_with(parent: int) -> None:
    """Be killed when the gateway dies, also in code that lets no other thread run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _limit_memory(megabytes: int) -> None:
    """Limit what can be written to, which shared libraries and reserved addresses are no part of, where that works."""
    import resource  # noqa: PLC0415 - not every system has it

    size = megabytes * 1024 * 1024
    limit = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    with suppress(ValueError, OSError):
        resource.setrlimit(limit, (size, size))


def _stay(_: int, __: object) -> None:
    """Take a signal without ending."""
