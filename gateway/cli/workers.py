"""`gateway serve --workers`: one process that looks after several, each of which runs the same command."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from gateway import systemd
from gateway.cli.options import exit_code, sentences
from gateway.config import Config
from gateway.errors import ConfigError, GatewayError
from gateway.run import run_on_uvloop
from gateway.telemetry import crashes, logs
from gateway.telemetry.logs import Log
from gateway.workers.assignment import Assignment, adopt
from gateway.workers.channel import encode
from gateway.workers.serving import Announce, Plan, serve
from gateway.workers.worker import work


def supervise(load: Callable[[], Config], config: Config, count: int, announce: Announce) -> int:
    """Serve with several workers; return the exit code. Raises GatewayError."""
    if not config.inbox.shared:
        sentence = (
            f"{config.path}: inbox.url: SQLite's file belongs to one process, so --workers {count} is not possible; "
            "use an inbox in PostgreSQL (docs/postgres.md), or leave --workers out"
        )
        raise ConfigError([sentence])
    command = [sys.executable, *sys.orig_argv[1:]]
    manager, sockets = systemd.Supervisor(os.environ), systemd.sockets(os.environ)
    return run_on_uvloop(serve(Plan(config, load, count, command), manager, sockets, announce))


def join_in(assignment: Assignment, load: Callable[[], Config]) -> int:
    """Serve as a worker; return the exit code. What keeps it from starting it tells its supervisor alone."""
    for number in (signal.SIGINT, signal.SIGHUP):  # orders come from the supervisor
        signal.signal(number, signal.SIG_IGN)
    end: socket.socket = adopt(assignment.channel)
    try:
        config = load()
        logs.configure(config.log.format, config.log.level, worker=assignment.number)
        crashes.catch(Log().crashed)
        return run_on_uvloop(work(assignment, end.dup(), load, os.environ))
    except GatewayError as error:
        end.setblocking(True)
        with suppress(OSError):  # it is gone as well
            end.sendall(encode({"failed": sentences(error)}))
        return exit_code(error)
