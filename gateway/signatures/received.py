"""What a request offers before it is verified: every value exactly once and in its grammar, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from gateway import payload
from gateway.locators import follow
from gateway.model import Request
from gateway.rejections import FieldMalformed, FieldRepeated, HeaderMalformed, HeaderRepeated, SignatureMalformed
from gateway.signatures.documents import Pairs, parse_form, parse_json, scalar

MAX_HEADER_LENGTH = 4_096
_UNREAD: Any = object()


class Received:
    """One request while it is checked; `wanted` are the headers that decide something, lower case.

    Raises HeaderRepeated when one of them occurs twice.
    """

    # Most requests use few of these, and a default of the class costs nothing.
    timestamp = ""
    id = ""
    secret = b""
    message = b""
    respelled_url = ""
    fields: Mapping[str, str] = MappingProxyType({})
    _document = _UNREAD
    _form: Pairs | None = None
    _query: Pairs | None = None

    def __init__(self, request: Request, wanted: frozenset[str], limit: int) -> None:
        found = request.by_name
        if request.repeats:
            for name in wanted:
                if len(request.values(name)) > 1:
                    raise repeated(request, name)
        self.headers = {name: found[name] for name in wanted if name in found}
        self.request = request
        self.limit = limit
        self.body = request.body

    def header(self, name: str) -> str | None:
        """Return a wanted header's value; None when it is absent or empty."""
        value = self.headers.get(name)
        if not value:
            return None
        if len(value) > MAX_HEADER_LENGTH or not (value.isascii() and value.isprintable()):
            raise HeaderMalformed(f"the header {name} is not printable ASCII of at most {MAX_HEADER_LENGTH} characters")
        return value

    def sig(self, key: str) -> str | None:
        """Return a field of the signature's value."""
        if (value := self.fields.get(key)) == "":
            raise SignatureMalformed(f"the signature does not hold {key!r} exactly once")
        return value

    def json(self, tokens: Sequence[str]) -> str | None:
        """Return the text of the body's scalar that a JSON pointer leads to."""
        return scalar(follow(self.document(), tokens))

    def form(self, name: str) -> str | None:
        """Return a field of the form in the body."""
        return _only(name, self.form_pairs(), "the form")

    def query(self, name: str) -> str | None:
        """Return a parameter of the query string."""
        return _only(name, self.query_pairs(), "the query")

    def document(self) -> Any:
        """Return the body parsed from JSON, its numbers as text."""
        if self._document is _UNREAD:
            self._document = parse_json(self.content())
        return self._document

    def narrow(self, item: Any) -> None:
        """Let JSON pointers begin at one item of the document."""
        self._document = item

    def form_pairs(self) -> Pairs:
        """Return the fields of the form in the body, in order."""
        if self._form is None:
            try:
                self._form = parse_form(self.content().decode())
            except UnicodeDecodeError as error:
                raise FieldMalformed("the body is not a form in UTF-8, and its fields are signed") from error
        return self._form

    def query_pairs(self) -> Pairs:
        """Return the parameters of the query string, in order."""
        if self._query is None:
            self._query = parse_form(self.request.query)
        return self._query

    def content(self) -> bytes:
        """Return the body after its Content-Encoding. Raises RequestRejected."""
        encodings = self.request.values("content-encoding")
        return payload.decode(self.request.body, ", ".join(encodings), self.limit) if encodings else self.request.body

    @property
    def url(self) -> str:
        """The public URL that the sender called, or the other spelling of it that is being tried."""
        return self.respelled_url or self.request.url

    @property
    def path(self) -> str:
        """The path that the sender called: of the public URL where one is configured."""
        return urlsplit(self.url).path if self.url else self.request.path

    def listed(self, name: str) -> str | None:
        """Return a header that the sender chose to sign, and that must occur once as well."""
        values = self.request.values(name)
        if len(values) > 1:
            raise repeated(self.request, name)
        self.headers[name] = values[0] if values else ""
        return self.header(name)


def _only(name: str, pairs: Pairs, of: str) -> str | None:
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise FieldRepeated(f"{of} holds {name!r} {len(values)} times, so two readers could take another one each")
    return values[0] if values else None


def repeated(request: Request, name: str) -> HeaderRepeated:
    """Return the refusal of a request in which a header that decides something occurs twice."""
    count = len(request.values(name))
    return HeaderRepeated(f"the header {name} occurs {count} times; a proxy may have joined two requests")
