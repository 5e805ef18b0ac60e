"""What `gateway serve` needs of the machine it runs on: addresses to listen on and a place for the inbox."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

from gateway import build_inbox
from gateway.config import Config
from gateway.errors import InboxError, InboxOutdated, InboxUnsupported
from gateway.inbox.sqlite_connection import open_reader
from gateway.inbox.sqlite_place import require_local


def faults(config: Config) -> Iterator[str]:
    """Say, in a sentence each, what would keep a gateway from starting here; a port in use is its own, maybe."""
    for table, host in (("server", config.server.host), ("admin", config.admin.host)):
        if reason := _not_ours(host):
            yield f"{config.path}: {table}.host: this machine cannot listen on {host} ({reason}); name an address of it"
    if sentence := _inbox_fault(config):
        yield f"{config.path}: inbox.url: {sentence}"


def _not_ours(host: str) -> str | None:
    """Say why no socket can be bound to the host, whatever the port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _inbox_fault(config: Config) -> str | None:
    if config.inbox.shared:
        return asyncio.run(_shared_fault(config))
    path = config.inbox_path.resolve()
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist; make it, or name another file"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"this user may not write in {path.parent}; let the gateway's user write there, or name another file"
    if path.is_dir():
        return f"{path} is a folder; name a file"
    try:
        require_local(path)
        if path.exists() and path.stat().st_size:
            open_reader(path).close()
    except InboxOutdated:
        return None
    except InboxUnsupported as error:
        return str(error)
    return None


async def _shared_fault(config: Config) -> str | None:
    try:
        inbox = await build_inbox.open_shared(config)
    except InboxOutdated as error:
        return None if config.inbox.migrate else str(error)
    except InboxError as error:
        return str(error)
    await inbox.close()
    return None
