"""Where the gateway that serves an inbox really has its admin listener, kept beside the inbox for the commands."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def url(host: str, port: int) -> str:
    """Return the URL of a listener."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def write(inbox: Path, listens_at: str) -> None:
    """Say where the admin listener is; only who holds the inbox's lock may say it."""
    path = _path(inbox)
    new = path.with_name(f"{path.name}.new")
    # Without this file one command cannot reach the gateway, so a full disk must not keep it from starting.
    with contextlib.suppress(OSError):
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{listens_at}\n")
        new.replace(path)


def remove(inbox: Path) -> None:
    """Take back what was said, or what a killed process left."""
    with contextlib.suppress(OSError):
        _path(inbox).unlink(missing_ok=True)


def read(inbox: Path) -> str | None:
    """Return what was said, or None. It is true only while another process holds the inbox's lock."""
    try:
        return _path(inbox).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _path(inbox: Path) -> Path:
    inbox = inbox.resolve()
    return inbox.with_name(f"{inbox.name}.admin")
