"""The folder of `gateway dev`, and what a running one leaves there for the other commands to find it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from gateway.addresses import local_origin
from gateway.config import Config

FOLDER = Path(".gateway")
MADE = FOLDER / "gateway.toml"
INBOX = FOLDER / "inbox.db"
_STATE = FOLDER / "running.json"


def on_this_machine(config: Config, port: int) -> Config:
    """Return the configuration as `gateway dev` uses it: the port it has got, and the inbox in its folder.

    Everything comes from this machine then, so its address is the public one, and allow lists are left out.
    """
    here = {"public_url": "", "allow": ()}
    return config.model_copy(
        update={
            "sources": {name: source.model_copy(update=here) for name, source in config.sources.items()},
            "server": config.server.model_copy(update={"port": port, "public_url": local_origin(config, port)}),
            "inbox": config.inbox.model_copy(update={"url": f"sqlite:{INBOX.resolve()}"}),
        }
    )


def adopt(config: Config) -> Config:
    """Return the configuration as the `gateway dev` that runs on it here uses it; unchanged where none does."""
    try:
        state = orjson.loads(_STATE.read_bytes())
        pid, path, port = int(state["pid"]), str(state["config"]), int(state["port"])
    except (OSError, ValueError, TypeError, KeyError):
        return config
    return on_this_machine(config, port) if path == str(config.path.resolve()) and _lives(pid) else config


@contextlib.contextmanager
def announced(config: Config, port: int) -> Iterator[None]:
    """Let the other commands find this process, which serves `config` on `port`."""
    state = {"pid": os.getpid(), "config": str(config.path.resolve()), "port": port}
    _STATE.write_bytes(orjson.dumps(state))
    try:
        yield
    finally:
        _STATE.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
