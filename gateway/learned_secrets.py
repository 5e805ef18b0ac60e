"""Keep the secret that a source's first handshake gave in a file of its own, which no later one can change."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from gateway.rejections import HandshakeRefused, SecretMissing


def keep(path: Path, secret: str) -> None:
    """Write the file as a whole or not at all, for its owner alone, on disk before this returns.

    Raises HandshakeRefused when it is there already with another secret, SecretMissing when it cannot be written.
    """
    try:
        _publish(path, secret.encode())
    except FileExistsError:
        _require_same(path, secret.encode())
    except OSError as error:
        raise SecretMissing(
            f"the secret that the handshake gave cannot be kept in {path} ({error.strerror}); let the gateway's user "
            "write into that folder, and start the handshake again"
        ) from error


def _publish(path: Path, content: bytes) -> None:
    """Link a finished file to its name, which fails where the name is taken, so that the first one wins."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(path).hardlink_to(draft)
    finally:
        with contextlib.suppress(OSError):
            Path(draft).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require_same(path: Path, content: bytes) -> None:
    try:
        kept = path.read_bytes()
    except OSError as error:
        raise SecretMissing(f"the file {path} cannot be read ({error.strerror})") from error
    if kept.strip() != content:
        raise HandshakeRefused(f"{path} holds another secret already; reload the configuration to use it, or delete it")
