"""A webhook request as it arrives over HTTP: for which source, from whom, and its bytes, read within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import StreamReader, web

from gateway.client_address import Proxies
from gateway.model import Request
from gateway.rejections import AddressRefused, BodyMalformed, BodyTimeout, BodyTooLarge, UnknownSource
from gateway.sources import Source

# Senders use the same few paths and names of headers again and again; beyond this many they are strangers'.
MOST_KNOWN = 256
_WEBHOOKS = "/webhooks/"


class Place(NamedTuple):
    """Where a request was sent: `/webhooks/<source>` or `/webhooks/<source>/<token>`, with or without a last slash."""

    source: str
    token: str


class _Names(dict[bytes, str]):
    """Names of headers in lower case, by the bytes that were sent. Raises UnicodeDecodeError."""

    def __missing__(self, name: bytes) -> str:
        text = name.decode().lower()
        if len(self) < MOST_KNOWN:
            self[name] = text
        return text


_NAMES = _Names()


def place_of(http: web.BaseRequest) -> Place | None:
    """Return the place that a request names, of a source that may or may not exist; None for any other path."""
    return _place(http.rel_url.raw_path)


@lru_cache(MOST_KNOWN)
def _place(path: str) -> Place | None:
    source, more, token = path.removeprefix(_WEBHOOKS).removesuffix("/").partition("/")
    if not path.startswith(_WEBHOOKS) or not source or "/" in token or (more and not token):
        return None
    return Place(unquote(source), unquote(token))


def find(name: str, token: str, sources: Mapping[str, Source]) -> Source:
    """Return the source that the URL names. Raises UnknownSource, also where its path token is not there."""
    source = sources.get(name)
    if source is None:
        known = ", ".join(sorted(sources))
        raise UnknownSource(f"no source has this name; check the registered URL; the sources are {known}")
    if not source.admission.knows(token):
        wanted = "its path token" if source.admission.path_token else "its name, as it has no path_token"
        raise UnknownSource(
            f"the URL of this source ends in {wanted}; compare the one registered with the sender with what "
            "`gateway sources --reveal` prints"
        )
    return source


def admit(http: web.BaseRequest, source: Source, proxies: Proxies) -> None:
    """Refuse addresses that the source does not take requests from, with nothing of the body read.

    Raises AddressRefused.
    """
    if not source.admission.allow:
        return
    client = proxies.client(http.remote or "", _headers(http))
    if not source.admission.admits(client):
        raise AddressRefused(
            f"the client's address is in none of the networks of sources.{source.name}.allow; add it if the sender "
            "uses it, and name proxies in front in server.trusted_proxies",
            str(client or ""),
        )


def request(http: web.BaseRequest, body: bytes, *, now: int, url: str) -> Request:
    """Return the request with a body that was read, at `now` (unix milliseconds), to a URL as configured."""
    called = http.rel_url
    return Request(http.method, called.raw_path, called.raw_query_string, _headers(http), body, now, url)


def called_url(http: web.BaseRequest, source: Source | None, public_url: str) -> str:
    """Return the URL that the sender called, as configured and never as the request claims; empty where it is not."""
    if source and source.public_url:
        query = http.rel_url.raw_query_string
        return f"{source.public_url}?{query}" if query else source.public_url
    return public_url + http.raw_path if public_url else ""


def body_at_hand(http: web.BaseRequest, limit: int) -> bytes | None:
    """Return the body where it came with the head, as most do; None where it is still to be read.

    Raises BodyTooLarge, also where the head alone tells it.
    """
    if (http.content_length or 0) > limit:
        raise _too_large(limit)
    content = http.content
    if not content.is_eof() or content.exception():
        return None
    body = content.read_nowait()
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def read_body(http: web.BaseRequest, limit: int, seconds: float) -> bytes:
    """Read the wire bytes within the source's limit, chunked or not, and within the time.

    Raises BodyTooLarge, BodyTimeout or BodyMalformed, and MemoryError where there is too little for the body.
    """
    content = http.content
    try:
        async with asyncio.timeout(seconds):
            return await _read_pieces(content, limit)
    except TimeoutError as error:
        raise BodyTimeout(
            f"the body did not arrive within {seconds:g} s; look for a proxy that holds bodies back, or set "
            "server.body_timeout_seconds"
        ) from error
    except web.RequestPayloadError as error:
        if isinstance(error.__cause__, MemoryError):  # aiohttp wraps whatever stops it from taking a piece of the body
            raise MemoryError from error  # noqa: TRY004 - nothing here is of a wrong type
        raise BodyMalformed(
            "the body is not framed as its headers say; the client, or a proxy, ended it early"
        ) from error


async def _read_pieces(content: StreamReader, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await content.readany():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is over the source's limit of {limit} bytes; set body_limit_bytes")


def _headers(http: web.BaseRequest) -> tuple[tuple[str, str], ...]:
    try:
        return tuple([(_NAMES[name], value.decode()) for name, value in http.raw_headers])
    except UnicodeDecodeError:
        return tuple((name.decode("ascii", "replace").lower(), _text(value)) for name, value in http.raw_headers)


def _text(value: bytes) -> str:
    """Decode a header's value: UTF-8 where it is that, else byte for byte."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
