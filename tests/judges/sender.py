"""What a sender does with a body: a source as its operator configures it, and requests to it, signed by the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gateway import build, rejections
from gateway.config import load
from gateway.dev import key_pairs
from gateway.model import Request
from gateway.scheme import Scheme
from gateway.signatures import signed_request
from gateway.sources import Source
from gateway.verify import verify

PUBLIC_URL = "https://hooks.example.com"
MESSAGE = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"


def configured(folder: Path, provider: str, secret: str, params: Mapping[str, str]) -> Source:
    """Return the source of a provider, through a gateway.toml."""
    lines = ["[server]", f'public_url = "{PUBLIC_URL}"', "[sources.x]", f'provider = "{provider}"']
    lines += ['secrets = ["${SECRET}"]', "body_limit_bytes = 2097152"]
    lines += ["[sources.x.params]", *(f'{name} = "{value}"' for name, value in params.items())] if params else []
    path = folder / "gateway.toml"
    path.write_text("\n".join(lines))
    return build.sources(load(path, {"INNGEST_EVENT_KEY": "k", "SECRET": secret}))["x"]


def unsigned(body: bytes, at: int, media_type: str, query: str = "") -> Request:
    """Return a request to the source at a time (unix milliseconds)."""
    url = f"{PUBLIC_URL}/webhooks/x" + (f"?{query}" if query else "")
    return Request("POST", "/webhooks/x", query, (("content-type", media_type),), body, at, url)


def sign(source: Source, request: Request, private_key: str = "") -> Request:
    """Sign a request by the source's first scheme, with the time of its receipt."""
    scheme = source.schemes[0]
    fields: dict[str, str] = {}
    for place, value in ((scheme.timestamp, _time(scheme, request.received_at)), (scheme.id, MESSAGE)):
        kind, _, name = place.partition(":")
        if kind == "sig":
            fields[name] = value
        elif kind == "header":
            request = replace(request, headers=(*request.headers, (name.lower(), value)))
    make = (
        (lambda message: key_pairs.sign(scheme.method, scheme.algorithm, private_key, message)) if private_key else None
    )
    return signed_request(request, scheme, source.keys[0][0], fields, params=source.params, make=make)


def _time(scheme: Scheme, now: int) -> str:
    return str(now // 1000 if scheme.timestamp_unit == "s" else now)


def is_genuine(source: Source, request: Request) -> bool:
    """Tell whether the gateway takes the request's signature, whatever the body is beyond that."""
    try:
        verify(request, source, request.received_at)
    except rejections.BodyMalformed:
        return True
    except rejections.VerificationError:
        return False
    return True
