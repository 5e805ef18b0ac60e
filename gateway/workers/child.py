"""One worker as its supervisor sees it: the process that is its life now, and what it told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gateway.workers.assignment import Assignment
from gateway.workers.channel import Channel

Hear = Callable[["Child", dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Launch:
    """How workers are started: the command, and the port or the socket that they share."""

    command: Sequence[str]
    port: int
    listening: socket.socket | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its code, and the sentences in which it said why it cannot serve, if it did."""

    code: int
    sentences: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why, for people."""
        if self.sentences:
            return "; ".join(self.sentences)
        if self.code >= 0:
            return f"exit code {self.code}"
        return next((known.name for known in signal.Signals if known == -self.code), f"signal {-self.code}")


class Child:
    """The worker of a number. `hear` is given what it tells; `serves` is set from its start until its process ends.

    `admin_port` is where it answers on the loopback address, `draining` tells that it is about to end, and `reloading`
    how many reloads it has not finished.
    """

    def __init__(self, number: int, launch: Launch, hear: Hear) -> None:
        self.number = number
        self.admin_port = 0
        self.reloading = 0
        self.draining = False
        self.serves = asyncio.Event()
        self._launch = launch
        self._hear = hear
        self._failure: tuple[str, ...] = ()
        self._is_to_end = False
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 while there is none."""
        return self._process.pid if self._process else 0

    async def live(self) -> Ended:
        """Start a process, hear what it tells, and return once it has ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            listening = self._launch.listening
            assignment = Assignment(
                self.number, theirs.fileno(), self._launch.port, listening.fileno() if listening else None
            )
            self._failure, self.draining = (), False
            self._channel = await Channel.open(ours)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._launch.command,
                    env=assignment.environment(os.environ),
                    pass_fds=assignment.descriptors(),
                    start_new_session=True,  # what a terminal sends is for the supervisor alone
                )
            except OSError as error:
                self._channel.close()
                return Ended(1, (f"a worker cannot be started: {error.strerror}",))
        if self._is_to_end:
            self._signal(signal.SIGTERM)
        try:
            async for message in self._channel.messages():
                self._note(message)
                self._hear(self, message)
        finally:
            self.serves.clear()
            self._channel.close()
            code = await self._process.wait()
            self._process, self.reloading = None, 0
        return Ended(code, self._failure)

    def tell(self, **message: Any) -> None:
        """Send a message to the process that lives; it is read once that serves."""
        if self._channel:
            self._channel.tell(**message)

    def reload(self) -> None:
        """Have it read its configuration again."""
        if self._process:
            self.reloading += 1
            self.tell(reload=True)

    def drain(self, name: str) -> None:
        """Have it finish what it does and end; one that does not serve yet ends at once."""
        self._is_to_end = True
        if self.serves.is_set():
            self.tell(drain=name)
        else:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _note(self, message: dict[str, Any]) -> None:
        match message:
            case {"admin": port}:
                self.admin_port = port
            case {"failed": sentences}:
                self._failure = tuple(sentences)
            case {"state": "READY=1"}:
                if self.serves.is_set():
                    self.reloading = max(0, self.reloading - 1)
                self.serves.set()
            case {"state": "STOPPING=1"}:
                self.draining = True

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
