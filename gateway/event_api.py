"""The client of the event API; the only importer of aiohttp's client.

The event key is a segment of the URL, so no error of the HTTP library leaves this module: their texts hold the URL.
"""

from __future__ import annotations

import base64
import email.utils
import io
import os
import random
import re
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from gateway import payload
from gateway.errors import EventApiInterrupted, EventApiUnreachable, InvalidPayload
from gateway.outcome import Answer

MAX_ANSWER_BYTES = 1_048_576
MAX_ERROR_LENGTH = 300
LARGE_BODY_BYTES = 1_048_576
# Between quotation marks, whichever they are, and to the end where a sentence is cut.
_QUOTED = re.compile(r"""(?<=["'`])[^"'`]{4,}""")


class EventApi:
    """Sends batches to `POST <url>/e/<key>`, as https://www.inngest.com/docs/events describes."""

    def __init__(self, url: str, key: str, *, env: str = "", timeout_seconds: float = 30.0) -> None:
        self._key = key
        self._url = URL(f"{url.rstrip('/')}/e/{quote(key, safe='')}", encoded=True)
        self._headers = {"Content-Type": "application/json", "User-Agent": _user_agent()}
        if env:
            self._headers["X-Inngest-Env"] = env
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(10.0, timeout_seconds))
        self._session: aiohttp.ClientSession | None = None

    async def send(self, body: bytes, seed: str, traceparent: str = "") -> Answer:
        """Send one JSON array of events under a seed, as part of a trace if any; return what was answered.

        Raises EventApiUnreachable when nothing was sent, EventApiInterrupted when the fate of the request is unknown.
        """
        session = self._open()
        headers = {**self._headers, "X-Inngest-Event-Id-Seed": seed}
        if traceparent:
            headers["traceparent"] = traceparent
        # aiohttp sends large bytes in one piece, which would hold up the loop; a file it sends piece by piece.
        data = io.BytesIO(body) if len(body) > LARGE_BODY_BYTES else body
        try:
            async with session.post(self._url, data=data, headers=headers, allow_redirects=False) as response:
                raw = await response.content.read(MAX_ANSWER_BYTES)
                while chunk := await response.content.read(MAX_ANSWER_BYTES):
                    raw += chunk
                    if len(raw) > MAX_ANSWER_BYTES:
                        break
                return self._read(response.status, response.headers, raw, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise EventApiUnreachable(_describe("no connection to the event API", error)) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EventApiInterrupted(_describe("no answer from the event API", error)) from None

    async def probe(self) -> tuple[Answer, float | None]:
        """Send an empty array, of which the event API keeps nothing; return its answer and its time (unix seconds).

        The key is looked at before the body: https://github.com/inngest/inngest/blob/main/pkg/api/api.go. Raises
        EventApiError.
        """
        try:
            async with self._open().post(
                self._url, data=b"[]", headers=self._headers, allow_redirects=False
            ) as response:
                raw = await response.content.read(MAX_ANSWER_BYTES)
                answer = self._read(response.status, response.headers, raw, b"[]")
                return answer, _moment(response.headers.get("Date", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EventApiUnreachable(_describe("no answer from the event API", error)) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def _read(self, status: int, headers: Mapping[str, str], raw: bytes, sent: bytes) -> Answer:
        """Read an answer whatever its content type: success comes as text/plain."""
        try:
            document: Any = payload.loads(raw)
        except InvalidPayload:
            document = None
        retry_after = parse_retry_after(headers.get("Retry-After", ""), time.time())
        if not isinstance(document, dict):
            return Answer(status, retry_after=retry_after, readable=False)
        ids = document.get("ids")
        ids = tuple(i for i in ids if isinstance(i, str) and i) if isinstance(ids, list) else ()
        return Answer(status, ids, self._clean(document.get("error"), sent), retry_after)

    def _clean(self, error: object, sent: bytes) -> str:
        """Return the event API's own sentence, of bounded length, without the key and what it quotes of the events."""
        if not error:
            return ""
        text = str(error)
        for key in (self._key, quote(self._key, safe="")):
            text = text.replace(key, "[event key]")
        text = "".join(c if c.isprintable() else " " for c in text)[:MAX_ERROR_LENGTH]
        return _QUOTED.sub(lambda quoted: "…" if _is_of_data(quoted[0].encode(), sent) else quoted[0], text)


def _is_of_data(text: bytes, sent: bytes) -> bool:
    """Tell whether a text is of the events that were sent, their names apart."""
    return text in sent and b'"name":"' + text not in sent


def new_seed(now: int, rng: random.Random) -> str:
    """Return a seed for the internal ids of one exact batch: `<unix ms>,<base64 of 10 random bytes>`."""
    return f"{now},{base64.b64encode(rng.randbytes(10)).decode()}"


def parse_retry_after(value: str, now: float) -> float | None:
    """Read Retry-After as seconds: a number or an HTTP date (RFC 9110 §10.2.3); None for anything else."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    moment = _moment(text)
    return None if moment is None else max(0.0, moment - now)


def _moment(date: str) -> float | None:
    """Read an HTTP date (RFC 9110 §5.6.7) as unix seconds; None for anything else."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, IndexError):
        return None


def _user_agent() -> str:
    return f"webhook-event-gateway/{version('webhook-event-gateway')}"


def _describe(what: str, error: BaseException) -> str:
    """Name a failure by its kind; the library's own text would hold the URL, and with it the key."""
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, aiohttp.ClientError):  # of which `strerror` is a text of the library's own too
        number = getattr(cause, "errno", None)
        reason = os.strerror(number) if number else ""
    else:
        reason = getattr(cause, "strerror", None) or ""
    return f"{what}: {reason or type(cause).__name__}"


async def is_answering(url: str, seconds: float = 0.5) -> bool:
    """Tell whether an event API of the Inngest family answers at `url`."""
    timeout = aiohttp.ClientTimeout(total=seconds)
    health = f"{url.rstrip('/')}/health"
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            found = await session.get(health, allow_redirects=False)
            return "X-Inngest-Server-Kind" in found.headers
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
