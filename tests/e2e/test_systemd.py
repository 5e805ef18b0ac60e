"""The gateway under systemd: what it tells, the sockets that it is given, and the watchdog."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi
from gateway.errors import InboxUnavailable
from gateway.systemd import Supervisor, sockets
from tests import several
from tests.process import post
from tests.world import ENVIRON, TOML

# The descriptors that a process is given begin at 3, and it is told its own pid.
EXEC = (
    "import os,sys; os.environ['LISTEN_PID']=str(os.getpid()); os.execv(sys.executable,[sys.executable,*sys.argv[1:]])"
)


class Manager:
    """Stands in for systemd: listens for what a service tells, and for connections on its behalf."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(self.path))
        self.told.setblocking(False)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def forget(self) -> None:
        """Pass over what was told until now."""
        with suppress(BlockingIOError):
            while True:
                self.told.recv(4_096)

    async def next(self, word: str) -> str:
        """Wait for the next datagram that begins with a word; return it."""
        async with asyncio.timeout(20):
            while True:
                text = (await asyncio.get_running_loop().sock_recv(self.told, 4_096)).decode()
                if text.startswith(word):
                    return text

    async def start(self, config: Path, *options: str, **environ: str) -> asyncio.subprocess.Process:
        """Start a gateway with the listening socket as its descriptor 3."""
        listening = self.listening.fileno()

        def place() -> None:
            os.dup2(listening, 3, inheritable=True)

        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", EXEC, "-m", "gateway", "serve", "--config", str(config), *options,
            env={**os.environ, **ENVIRON, "NOTIFY_SOCKET": str(self.path), "LISTEN_FDS": "1", **environ},
            preexec_fn=place, close_fds=False, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    def close(self) -> None:
        """Close the sockets."""
        self.told.close()
        self.listening.close()


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    """Give a service manager."""
    made = Manager(tmp_path)
    yield made
    made.close()


@pytest.fixture
def config(tmp_path: Path, event_api: LocalEventApi) -> Path:
    """Give a configuration whose own ports do not matter."""
    path = tmp_path / "gateway.toml"
    path.write_text(TOML.format(url=event_api.url))
    return path


async def test_a_restart_behind_a_given_socket(manager: Manager, config: Path, event_api: LocalEventApi) -> None:
    """Requests that come while no gateway runs wait in the kernel, and are answered by the next one."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        early = asyncio.create_task(post(session, manager.port, "early"))
        first = await manager.start(config)
        await manager.next("READY=1")
        assert await early == 200
        first.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in await manager.next("RELOADING=1")
        await manager.next("READY=1")
        first.terminate()
        await manager.next("STOPPING=1")
        assert await first.wait() == 0
        between = asyncio.create_task(post(session, manager.port, "between"))
        second = await manager.start(config, WATCHDOG_USEC="300000")
        await manager.next("READY=1")
        for _ in range(3):
            await manager.next("WATCHDOG=1")
        assert await between == 200
        second.terminate()
        assert await second.wait() == 0
    await event_api.until(lambda: {"early", "between"} <= {event.id.split(":")[1] for event in event_api.events})


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_workers_are_one_service(manager: Manager, tmp_path: Path, event_api: LocalEventApi) -> None:
    """All workers accept on the given socket; what is told is of all, and one that hangs ends the sign of life."""
    config = several.write(tmp_path, event_api)
    service = await manager.start(config, "--workers", "2", WATCHDOG_USEC="600000")
    await manager.next("READY=1")
    workers = children_of(service.pid)
    assert len(workers) == 2
    for name in ("one", "two", "three"):
        async with aiohttp.ClientSession() as session:
            assert await post(session, manager.port, name) == 200
    service.send_signal(signal.SIGHUP)
    await manager.next("RELOADING=1")
    await manager.next("READY=1")
    await manager.next("WATCHDOG=1")
    os.kill(workers[0], signal.SIGSTOP)
    await asyncio.sleep(0.5)  # what it told before
    manager.forget()
    await asyncio.sleep(0.5)
    with pytest.raises(BlockingIOError):
        manager.told.recv(100)
    os.kill(workers[0], signal.SIGCONT)
    await manager.next("WATCHDOG=1")
    service.terminate()
    await manager.next("STOPPING=1")
    assert await service.wait() == 0


async def test_a_store_that_hangs_is_not_alive(manager: Manager) -> None:
    """The watchdog is told only when the store has answered, if only that it cannot keep anything now."""
    answers: asyncio.Queue[Exception | None] = asyncio.Queue()
    hung = asyncio.Event()

    async def ask() -> None:
        if answers.empty():
            hung.set()
        if error := await answers.get():
            raise error

    answers.put_nowait(None)
    answers.put_nowait(InboxUnavailable("the disk of the inbox is full"))
    supervisor = Supervisor({"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "3000"})
    watching = asyncio.create_task(supervisor.watch(ask))
    await manager.next("WATCHDOG=1")
    await manager.next("WATCHDOG=1")
    await hung.wait()
    with pytest.raises(BlockingIOError):
        manager.told.recv(100)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def test_without_systemd(tmp_path: Path) -> None:
    """Nothing is told and nothing taken; a manager that has gone, or watches another process, is no fault."""
    for environ in (
        {},
        {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
    ):
        supervisor = Supervisor(environ)
        supervisor.ready()
        supervisor.stopping()
        await supervisor.watch(asyncio.Event().wait)
        assert sockets(environ) == {}


TAKE = """
import os
from gateway.errors import ConfigError
from gateway.systemd import sockets
try:
    taken = sockets({**os.environ, "LISTEN_PID": str(os.getpid())})
    print({inlet: given.fileno() for inlet, given in taken.items()})
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("families", "names", "words"),
    [
        ((socket.AF_INET, socket.AF_INET), "a:b", "two sockets for [server]; write one ListenStream="),
        ((socket.AF_UNIX,), "webhooks", "for [server] that is not TCP"),
        ((socket.AF_INET, socket.AF_INET6), "admin:webhooks", "{'admin': 3, 'server': 4}"),
    ],
)
def test_which_socket_is_whose(families: tuple[int, ...], names: str, words: str) -> None:
    """A socket of the name admin is the admin listener's; what cannot be used is refused with what to write."""
    with ExitStack() as stack:
        given = [stack.enter_context(socket.socket(family)).fileno() for family in families]

        def place() -> None:
            for number, descriptor in enumerate([os.dup(one) for one in given]):
                os.dup2(descriptor, 3 + number, inheritable=True)

        environ = {**os.environ, "LISTEN_FDS": str(len(given)), "LISTEN_FDNAMES": names}
        child = subprocess.run(  # noqa: S603 - ours
            [sys.executable, "-c", TAKE], env=environ, preexec_fn=place, close_fds=False, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
    assert words in child.stdout
