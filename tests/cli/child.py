"""`gateway` in a process of its own, with or without a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, Any

from tests.cli.conftest import Result

COMMAND = (sys.executable, "-m", "gateway")
SECONDS = 20.0


async def run(*arguments: str, out: Path | None = None) -> Result:
    """Run a command to its end, its standard output going to the file `out` where one is given."""
    if out is None:
        return await _ended(await _start(*arguments))
    with out.open("wb") as target:
        return await _ended(await _start(*arguments, stdout=target))


async def _ended(child: asyncio.subprocess.Process) -> Result:
    async with asyncio.timeout(SECONDS):
        out, err = await child.communicate()
    return Result(child.returncode or 0, (out or b"").decode(), err.decode())


async def interrupted(*arguments: str, when: asyncio.Event) -> Result:
    """Run a command and press Ctrl-C when the event is set."""
    child = await _start(*arguments)
    async with asyncio.timeout(SECONDS):
        await when.wait()
        child.send_signal(signal.SIGINT)
        return await _ended(child)


@contextlib.asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `gateway dev` until the end of the block, then press Ctrl-C and expect exit code 0."""
    child = await _start("dev", *arguments)
    try:
        async with asyncio.timeout(SECONDS):
            assert child.stdout is not None
            async for raw in child.stdout:
                if raw.startswith(b"Serving until Ctrl-C"):
                    break
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGINT)
        async with asyncio.timeout(SECONDS):
            await child.communicate()
    assert child.returncode == 0


@contextlib.asynccontextmanager
async def watching(*arguments: str) -> AsyncIterator[Callable[[], Awaitable[list[str]]]]:
    """Run a command that writes JSON again and again; give what waits for the next and returns its events' names.

    At the end of the block, press Ctrl-C and expect exit code 0.
    """
    process = await _start(*arguments)
    out = process.stdout
    assert out is not None

    async def names() -> list[str]:
        text = b""
        async with asyncio.timeout(SECONDS):
            while not text.endswith(b"\n]\n"):
                text += await out.readline()
        return [event["name"] for event in json.loads(text)]

    try:
        yield names
    finally:
        await _interrupt(process)
    assert process.returncode == 0


@contextlib.asynccontextmanager
async def following(
    *arguments: str, read: Callable[[bytes], Any] = json.loads
) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Run a command that writes lines, of JSON unless they are read otherwise; give what waits for the next one.

    At the end of the block, press Ctrl-C and expect exit code 0.
    """
    process = await _start(*arguments)
    out = process.stdout
    assert out is not None

    async def following_one() -> Any:
        async with asyncio.timeout(SECONDS):
            return read(await out.readline())

    try:
        yield following_one
    finally:
        await _interrupt(process)
    assert process.returncode == 0


def watched_on_a_terminal(*arguments: str, until: bytes, times: int) -> str:
    """Run a command on a terminal until it has written something so many times; press Ctrl-C and expect exit code 0."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
    with subprocess.Popen(  # noqa: S603 - ours
        [*COMMAND, *arguments],
        stdout=theirs,
        env={**os.environ, "TERM": "xterm"},
        preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 - as above
    ) as child:
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # what reading gives when the last writer has gone
            while chunk := os.read(ours, 65_536):
                text += chunk
                if text.count(until) >= times:
                    child.send_signal(signal.SIGINT)
                    times = sys.maxsize
    os.close(ours)
    assert child.returncode == 0
    return text.decode()


def on_a_terminal(*arguments: str, columns: int) -> list[str]:
    """Run a command on a terminal of so many columns; return its lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    with subprocess.Popen([*COMMAND, *arguments], stdout=theirs, env={**environ, "TERM": "xterm"}) as child:  # noqa: S603 - ours
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # what reading gives when the last writer has gone
            while chunk := os.read(ours, 65_536):
                text += chunk
    os.close(ours)
    assert child.returncode == 0
    return text.decode().replace("\x1b[0m", "").replace("\x1b[1m", "").splitlines()


async def _start(*arguments: str, stdout: int | IO[bytes] = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_listen_to_interrupts,
    )


def _listen_to_interrupts() -> None:
    """Undo what a shell does to background jobs, of which this test run may be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def _interrupt(process: asyncio.subprocess.Process) -> None:
    """Press Ctrl-C and wait for the end."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    async with asyncio.timeout(SECONDS):
        await process.communicate()
