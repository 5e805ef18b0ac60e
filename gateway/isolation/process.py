"""One worker process, as the gateway sees it: started, asked, killed, and always reaped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import suppress

from gateway.errors import TransformError
from gateway.isolation import frames
from gateway.mapper import Isolation

START_SECONDS = 30.0
END_SECONDS = 2.0

# The path is told before anything is imported, so that the worker finds what the gateway finds, in the same places.
_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]);"
    "from gateway.isolation.worker import main; main(int(sys.argv[1]))"
)


class Ended(Exception):
    """The process ended by itself; the message says how."""


class Worker:
    """A worker process that is ready; `pid` is its process id. `start` makes one."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.pid = process.pid
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, isolation: Isolation, files: dict[str, bytes]) -> Worker:
        """Start a process that has loaded its transforms from these files. Raises TransformError when it cannot."""
        spawning = asyncio.ensure_future(cls._spawn(isolation))
        try:
            worker = await asyncio.shield(spawning)
        except asyncio.CancelledError:
            await (await spawning).kill()  # half of a start would leave a process that nobody knows
            raise
        except OSError as error:
            raise TransformError(f"no worker process can be started ({error.strerror}); free memory") from error
        references = isolation.references
        told = frames.Hello(os.getpid(), str(isolation.folder), references, isolation.memory_mb, files)
        try:
            async with asyncio.timeout(START_SECONDS):
                ready = await worker.ask(frames.hello(told))
        except BaseException as error:
            await worker.kill()
            subject = f"the worker process of {', '.join(references)}"
            if isinstance(error, TimeoutError):
                raise TransformError(f"{subject} took over {START_SECONDS:g} s to load; import less there") from None
            if isinstance(error, Ended):
                raise TransformError(f"{subject} {error} while it loaded; mend what the module does there") from None
            raise
        if ready != frames.READY:
            await worker.kill()
            raise TransformError(str(frames.read_answer(ready)))
        return worker

    @classmethod
    async def _spawn(cls, isolation: Isolation) -> Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                number = theirs.fileno()
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-c", _MAIN, str(number), json.dumps(sys.path),
                    stdin=asyncio.subprocess.DEVNULL, pass_fds=(number,), start_new_session=True,
                    env=isolation.environ,
                )  # fmt: skip
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return cls(process, reader, writer)

    async def ask(self, content: bytes) -> bytes:
        """Send a frame and return the one that answers it. Raises Ended, and ValueError for no frame."""
        try:
            self._writer.write(frames.framed(content))
            await self._writer.drain()
            [length] = frames.LENGTH.unpack(await self._reader.readexactly(frames.LENGTH.size))
            if length > frames.MAX_ANSWER:
                raise ValueError("not a frame")
            return await self._reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            raise Ended(await self._end()) from None

    async def dismiss(self) -> None:
        """Let it come to its end by itself, but not for long."""
        self._writer.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End it, with everything that it started, and reap it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._writer.close()
        await self._process.wait()

    async def _end(self) -> str:
        """Say how it ended; one that only closed the pipe is killed."""
        try:
            async with asyncio.timeout(END_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            await self.kill()
            return "closed its pipe to the gateway"
        if code >= 0:
            return f"ended with exit code {code}"
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"
