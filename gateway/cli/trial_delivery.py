"""The delivery that `gateway try` runs a transform on: recorded in a file, or made of a body."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import orjson

from gateway import recording
from gateway.errors import ConfigError, InvalidPayload, TransformError
from gateway.model import Delivery, Request
from gateway.rejections import RequestRejected
from gateway.sources import Source
from gateway.verify import verify


def from_file(path: Path, source: Source, headers: list[tuple[str, str]]) -> Delivery:
    """Read a recorded delivery, or take the file as the body of a request that need not be signed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); name a readable file"]) from error
    try:
        return replace(recording.loads(content), source=source.name)
    except InvalidPayload as error:
        if _is_meant_as_recording(content):
            raise InvalidPayload(f"{path}: {error}") from error
    if "content-type" not in dict(headers):
        headers = [*headers, ("content-type", "application/json")]
    now = int(time.time() * 1000)
    request = Request("POST", source.path, "", tuple(headers), content, now)
    try:
        result = verify(request, replace(source, verified=False), now)
    except RequestRejected as error:
        raise TransformError(f"{path}: {error}") from error
    if not isinstance(result, Delivery):
        raise TransformError(f"{path}: this is a handshake, which is answered and never mapped")
    return replace(result, verified=True)


def _is_meant_as_recording(content: bytes) -> bool:
    try:
        document = orjson.loads(content)
    except ValueError:
        return False
    return isinstance(document, dict) and {"source", "provider", "received_at"} <= document.keys()
