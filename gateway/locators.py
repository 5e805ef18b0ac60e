"""Locators: where in a request a value sits, such as `header:X-GitHub-Delivery` or `json:/data/id`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from gateway import payload
from gateway.errors import InvalidPayload
from gateway.model import Request
from gateway.rejections import BodyMalformed, HeaderRepeated
from gateway.template import LOCATED, Placeholder, Segment, locator, parse, placeholders

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[0-9]{1,19}(\.[0-9]{1,9})?")


class Content:
    """A verified request, its decoded content, parsed at most once and only when asked, and its signature's fields.

    `parsed` holds what was parsed from JSON, nothing before that.
    """

    def __init__(self, request: Request, data: bytes, fields: Mapping[str, str] | None = None) -> None:
        self.request = request
        self.data = data
        self.fields = fields or {}
        self.parsed: list[Any] = []
        self._form: dict[str, str] | None = None

    def json(self) -> Any:
        """Return the payload parsed from JSON. Raises BodyMalformed."""
        if not self.parsed:
            try:
                self.parsed.append(payload.loads(self.data))
            except InvalidPayload as error:
                raise BodyMalformed(str(error)) from error
        return self.parsed[0]

    def form(self) -> dict[str, str]:
        """Return the fields of a form. Raises BodyMalformed."""
        if self._form is None:
            try:
                self._form = payload.form(self.data)
            except InvalidPayload as error:
                raise BodyMalformed(str(error)) from error
        return self._form

    def query(self) -> dict[str, str]:
        """Return the query's parameters; the last of a repeated name wins."""
        return dict(parse_qsl(self.request.query, keep_blank_values=True))

    def header(self, name: str) -> str:
        """Return a header that may occur at most once (lower-case name); empty when absent. Raises HeaderRepeated."""
        if not self.request.repeats:
            return self.request.by_name.get(name, "")
        values = self.request.values(name)
        if len(values) > 1:
            raise HeaderRepeated(f"the header {name} occurs {len(values)} times")
        return values[0] if values else ""


Read = Callable[[Content], Any]


@dataclass(frozen=True, slots=True)
class Locator:
    """A place as written, `where`; called with a request, it returns the value there, or None where there is none."""

    where: str
    read: Read

    def __call__(self, content: Content) -> Any:
        """Return the value of a request. Raises RequestRejected where that cannot be read."""
        return self.read(content)


def compile_locator(text: str) -> Locator:
    """Return the locator that `text` stands for.

    `header:<name>`, `json:/<pointer>` (https://www.rfc-editor.org/rfc/rfc6901), `form:<field>`, `query:<name>` or
    `sig:<key>`; or a text of these in braces, such as `{json:/entity}.{json:/action}`, which is absent when a part
    without ? is. Raises ValueError, with a sentence.
    """
    if "{" not in text:
        return Locator(text, _at(locator(text)))
    parts = parse(text, repr(text))
    if strange := [place for place in placeholders(parts) if place.kind not in LOCATED or place.filters]:
        raise ValueError(
            f"{text!r} has {{{strange[0].kind}}}, which is no place; write header:, json:, form:, query:, sig:"
        )
    if any(isinstance(part, Segment) for part in parts):
        raise ValueError(f"{text!r} has a [[ ]]; end a part that may be absent with ? instead")
    reads = [
        part if isinstance(part, str) else (_at(part), part.optional) for part in parts if not isinstance(part, Segment)
    ]
    return Locator(text, lambda content: _join(content, reads))


def _at(place: Placeholder) -> Read:
    """Return the function that reads one place."""
    name = place.name
    match place.kind:
        case "header":
            return lambda content: content.header(name) or None
        case "form":
            return lambda content: content.form().get(name)
        case "query":
            return lambda content: content.query().get(name)
        case "sig":
            return lambda content: content.fields.get(name) or None
    return _at_pointer(pointer_tokens(name))


def _at_pointer(tokens: list[str]) -> Read:
    """Return the function that follows a pointer; most name a member of the document itself."""
    if len(tokens) != 1:
        return lambda content: follow(content.json(), tokens)
    token = tokens[0]

    def read(content: Content) -> Any:
        document = content.parsed[0] if content.parsed else content.json()
        return document.get(token) if isinstance(document, dict) else follow(document, tokens)

    return read


def _join(content: Content, reads: Sequence[str | tuple[Read, bool]]) -> str | None:
    """Return the text that is put together, or None where a part is absent."""
    texts = []
    for read in reads:
        if isinstance(read, str):
            texts.append(read)
            continue
        value = read[0](content)
        if isinstance(value, str | int) and not isinstance(value, bool):
            texts.append(str(value))
        elif not read[1]:
            return None
    return "".join(texts)


def pointer_tokens(pointer: str) -> list[str]:
    """Return the tokens of a JSON pointer, which is "" for the whole document or begins with a slash."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def compile_first(locators: Sequence[Locator]) -> Read:
    """Return the function that reads the first value that is there, or None."""
    if len(locators) == 1:
        return locators[0].read
    return lambda content: first_at(locators, content)[0]


def first_at(locators: Sequence[Locator], content: Content) -> tuple[Any, str]:
    """Return the first value that is there and its place as written, or None and no place."""
    for place in locators:
        if (value := place.read(content)) is not None:
            return value, place.where
    return None, ""


def follow(value: Any, tokens: Sequence[str]) -> Any:
    """Follow the tokens of a JSON pointer; None where it leads nowhere."""
    for token in tokens:
        match value:
            case dict():
                value = value.get(token)
            case list() if token.isdecimal() and token.isascii() and int(token) < len(value):
                value = value[int(token)]
            case _:
                return None
    return value


def to_milliseconds(value: Any) -> int | None:
    """Read a provider's time as unix milliseconds, or None where it tells none that can be read.

    Numbers, also as text, are seconds, milliseconds, microseconds or nanoseconds by their size, which is unambiguous
    for the years 1974 to 5138; text may be ISO 8601, in UTC where it has no offset.
    """
    if isinstance(value, int | float):
        return None if isinstance(value, bool) else _by_size(value)
    if not isinstance(value, str):
        return None
    if _NUMBER.fullmatch(value):
        return _by_size(float(value) if "." in value else int(value))
    return _from_iso(value)


def _by_size(number: float) -> int | None:
    if not 0 < number < 10**20:
        return None
    if number < 10**11:
        # A float is often a little below what was meant: 1700000000.129 * 1000 is 1700000000128.9999.
        return int(round(number * 1000, 3))
    milliseconds = int(number)
    while milliseconds >= 10**14:
        milliseconds //= 1000
    return milliseconds


def _from_iso(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(milliseconds=1)
