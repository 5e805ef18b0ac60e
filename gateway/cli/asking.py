"""Asking the gateway that serves an inbox, over its admin listener; where none does, the file answers the same."""

from __future__ import annotations

import http.client
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from gateway.admin import address
from gateway.admin.api import INSTANCE
from gateway.cli.options import complain
from gateway.cli.store import inbox_file, read
from gateway.config import Config, shown_token
from gateway.errors import GatewayError
from gateway.inbox.contract import Inbox

TIMEOUT_SECONDS = 30.0
ANSWER_LIMIT = 256 * 1024 * 1024


class NotServed(GatewayError):
    """No gateway answers, or another one than serves the inbox."""

    label = "not_served"


class BrokenOff(GatewayError):
    """The gateway was asked and did not answer in full; what was asked for may have been done."""

    label = "broken_off"


class Refused(GatewayError):
    """The gateway refused what it was asked, or who asked."""

    label = "admin_refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Serving:
    """The admin listener of the gateway that serves an inbox."""

    at: address.Address
    token: str

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """Return the document of a path. Raises NotServed, BrokenOff or Refused."""
        with self._answer("GET", f"{path}?{urlencode(parameters)}" if parameters else path) as response:
            return _document(response, self.at.url)

    def post(self, path: str, document: Any) -> Any:
        """Return the answer to a document. Raises NotServed, BrokenOff or Refused."""
        with self._answer("POST", path, orjson.dumps(document)) as response:
            return _document(response, self.at.url)

    def lines(self, path: str) -> Iterator[bytes]:
        """Yield the lines of an answer as they come. Raises NotServed, BrokenOff or Refused."""
        with self._answer("GET", path) as response:
            if response.status != http.client.OK:
                _document(response, self.at.url)
            while line := response.readline():
                yield line

    @contextmanager
    def _answer(self, method: str, path: str, body: bytes | None = None) -> Iterator[http.client.HTTPResponse]:
        """Ask, and give the answer to be read. Raises NotServed or BrokenOff."""
        where = urlsplit(self.at.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.connect()
        except OSError as error:
            raise NotServed(f"the gateway's admin listener does not answer at {self.at.url}: {_why(error)}") from error
        headers = {"Content-Type": "application/json"} if body is not None else {}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            if response.headers.get(INSTANCE) != self.at.instance:
                raise NotServed(f"another program answers at {self.at.url}; the gateway there has ended")
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise BrokenOff(f"the gateway's admin listener at {self.at.url} broke off: {_why(error)}") from error
        finally:
            connection.close()


def serving(config: Config) -> Serving | None:
    """Return the gateway that says it serves the inbox, which may have ended without a word."""
    at = address.read(inbox_file(config) or config.inbox_path)
    return Serving(at, shown_token()) if at else None


def ask(config: Config, path: str, parameters: Mapping[str, str], otherwise: Callable[[Inbox], Awaitable[Any]]) -> Any:
    """Return the document that the gateway tells, or that `otherwise` makes of the inbox's file where none serves it.

    A gateway that asks for a token we do not have is passed over, as whoever may read its file may know. Raises
    ConfigError when there is no inbox, and Refused.
    """
    if asked := serving(config):
        try:
            return asked.get(path, parameters)
        except (NotServed, BrokenOff):
            pass  # it ended, or is about to, and leaves the file
        except Refused as refusal:
            if refusal.status != http.client.UNAUTHORIZED:
                raise
            complain(f"{refusal}; the inbox was read in its place", "dim")
    return read(config, otherwise)


def _document(response: http.client.HTTPResponse, url: str) -> Any:
    try:
        document = orjson.loads(response.read(ANSWER_LIMIT))
    except ValueError as error:
        raise BrokenOff(f"the gateway's admin listener at {url} broke off: its answer is not JSON") from error
    if response.status != http.client.OK and "error" in document:
        raise Refused(f"the gateway's admin listener at {url} refused: {document['detail']}", response.status)
    return document


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
