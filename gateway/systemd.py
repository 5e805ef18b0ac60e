"""What systemd is told and gives: readiness and a watchdog by datagrams, and sockets that it listens on for us.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html and sd_listen_fds.html say how. Without systemd
there is nobody to tell, and nothing happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from gateway.errors import ConfigError, InboxError

Inlet = Literal["server", "admin"]

_FIRST_DESCRIPTOR = 3
_ADMIN = "admin"
_SHARE_OF_WATCHDOG = 3


class Supervisor:
    """The service manager as the environment of this process describes it; `tell` takes the lines in its place."""

    def __init__(self, environ: Mapping[str, str], tell: Callable[..., None] | None = None) -> None:
        self._tell = tell or self._send
        self._address = environ.get("NOTIFY_SOCKET", "")
        watched = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog_seconds = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if watched else 0.0

    def ready(self) -> None:
        """Say that requests are served."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is read again, until `ready` is said."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def stopping(self) -> None:
        """Say that this process is about to end."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Say that this process is alive."""
        self._tell("WATCHDOG=1")

    async def watch(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Say that this process is alive, from its loop, each time that `ask` has come back; for ever.

        What takes no more time than the watchdog has is alive, a store that refuses included; one that hangs is not.
        """
        while self._watchdog_seconds:
            with contextlib.suppress(InboxError):
                await ask()
            self.alive()
            await asyncio.sleep(self._watchdog_seconds / _SHARE_OF_WATCHDOG)

    def _send(self, *lines: str) -> None:
        """Send a datagram. systemd may be gone or busy, which must not hold up the loop."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
            telling.setblocking(False)
            telling.sendto("\n".join(lines).encode(), address)


def sockets(environ: Mapping[str, str]) -> dict[Inlet, socket.socket]:
    """Take the sockets that systemd listens on for this process; call it once. Raises ConfigError.

    The one of the name `admin` (FileDescriptorName=) is the admin listener's, the other the one for webhooks.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(environ.get("LISTEN_FDS", "0"))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    taken: dict[Inlet, socket.socket] = {}
    for number in range(count):
        given = socket.socket(fileno=_FIRST_DESCRIPTOR + number)
        given.set_inheritable(False)
        inlet: Inlet = "admin" if number < len(names) and names[number] == _ADMIN else "server"
        if inlet in taken:
            raise ConfigError([f"systemd gives two sockets for [{inlet}]; write one ListenStream= for it"])
        if given.family not in {socket.AF_INET, socket.AF_INET6} or given.type != socket.SOCK_STREAM:
            raise ConfigError([f"systemd gives a socket for [{inlet}] that is not TCP; write ListenStream=<port>"])
        given.setblocking(False)
        taken[inlet] = given
    return taken
