"""A rejected request as it is kept: what was wrong and what it looked like, as one line of JSON. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.diagnosis import Cause, Finding
from gateway.model import Request
from gateway.quarantine.redaction import names_only, redact
from gateway.sources import Source

MAX_KEPT_BODY = 65_536
MAX_SENTENCE = 500
UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A request that was rejected: for which source (`UNKNOWN` where there is none), how, and with which sentence.

    `body_bytes` is the length that arrived or was announced; None where neither is known.
    """

    source: str
    label: str
    status: int
    sentence: str
    request: Request
    body_bytes: int | None = None
    remote: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is kept of a rejected request. Times are unix milliseconds; `findings` are the diagnosis made then."""

    at: int
    source: str
    label: str
    status: int
    sentence: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    query_fields: int
    body_bytes: int | None
    body_sha256: str
    findings: tuple[Finding, ...] = ()
    body: bytes | None = None
    remote: str = ""

    def dumps(self) -> bytes:
        """Return the sample as one line of JSON."""
        document = {name: getattr(self, name) for name in self.__slots__ if name not in {"body", "findings"}}
        document["findings"] = [[found.cause, found.sentence, found.remedy, found.proven] for found in self.findings]
        if self.body is not None:
            document["body_base64"] = base64.b64encode(self.body).decode()
        return orjson.dumps(document, default=str) + b"\n"


def loads(document: Mapping[str, Any]) -> Sample:
    """Return the sample of a parsed line. Raises KeyError, TypeError or ValueError for what is none."""
    fields = {name: document[name] for name in Sample.__slots__ if name not in {"body", "findings", "headers"}}
    body = document.get("body_base64")
    return Sample(
        **fields,
        headers=tuple((str(name), str(value)) for name, value in document["headers"]),
        findings=tuple(
            Finding(Cause(cause), said, remedy, proven) for cause, said, remedy, proven in document["findings"]
        ),
        body=base64.b64decode(body) if body is not None else None,
    )


def make(
    rejected: Rejected, source: Source | None, secrets: Sequence[str], findings: tuple[Finding, ...], *, keep_body: bool
) -> Sample:
    """Return what is kept of a rejected request; `secrets` are texts that must not appear in it."""
    request = rejected.request
    return Sample(
        at=request.received_at,
        source=source.name if source else UNKNOWN,
        label=rejected.label,
        status=rejected.status,
        sentence=rejected.sentence[:MAX_SENTENCE],
        method=request.method[:16],
        path=_path(request.path, source),
        headers=tuple(redact(request.headers, secrets) if source else names_only(request.headers)),
        query_fields=len(request.query.split("&")) if request.query else 0,
        body_bytes=rejected.body_bytes,
        body_sha256=hashlib.sha256(request.body).hexdigest() if request.body else "",
        findings=findings,
        body=request.body if keep_body and source and len(request.body) <= MAX_KEPT_BODY else None,
        remote=rejected.remote,
    )


def _path(path: str, source: Source | None) -> str:
    """Return the source's path, or the start of one that is no source's; what follows may be a token."""
    if source:
        return source.path if path == source.path else f"{source.path}/…"
    words = path.split("/")[1:3]
    shown = "/".join(word[:64] if word.isascii() and word.isprintable() else "…" for word in words)
    return f"/{shown}" + ("/…" if path.count("/") > len(words) else "")
