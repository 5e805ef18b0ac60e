"""Where the gateway that serves an inbox really has its admin listener, kept beside the inbox for the commands."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, fields
from pathlib import Path

from gateway.addresses import local_host


@dataclass(frozen=True, slots=True)
class Address:
    """The URL of an admin listener, and the name of the process that has it, which every answer of it holds."""

    url: str
    instance: str


def url(host: str, port: int) -> str:
    """Return the URL of a listener as seen from this machine."""
    host = local_host(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def write(inbox: Path, address: Address) -> None:
    """Say where the admin listener is; only who holds the inbox's lock may say it."""
    path = _path(inbox)
    new = path.with_name(f"{path.name}.new")
    # Without this file the commands cannot reach the gateway, so a full disk must not keep it from starting.
    with contextlib.suppress(OSError):
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{address.url}\n{address.instance}\n")
        new.replace(path)


def remove(inbox: Path) -> None:
    """Take back what was said, or what a killed process left."""
    with contextlib.suppress(OSError):
        _path(inbox).unlink(missing_ok=True)


def read(inbox: Path) -> Address | None:
    """Return what was said, or None. It is true only while another process holds the inbox's lock."""
    try:
        lines = _path(inbox).read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return None
    return Address(*lines) if len(lines) == len(fields(Address)) else None


def _path(inbox: Path) -> Path:
    inbox = inbox.resolve()
    return inbox.with_name(f"{inbox.name}.admin")
