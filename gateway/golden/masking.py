"""Mask what is secret or personal in a delivery, so that it can be kept as a test. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gateway import payload
from gateway.errors import InvalidPayload
from gateway.golden.fakes import Fakes, replace_looks
from gateway.model import Delivery

NAMES = frozenset(
    {
        "accesskey", "address", "apikey", "authorization", "bic", "birthdate", "birthday", "city", "cookie",
        "credential", "credentials", "dob", "email", "fax", "fingerprint", "firstname", "fullname", "iban", "ip",
        "lastname", "latitude", "line1", "line2", "longitude", "mail", "mobile", "name", "nickname", "passcode",
        "passport", "passwd", "password", "phone", "pin", "postal", "postcode", "privatekey", "secret", "secretkey",
        "signature", "ssn", "street", "surname", "tel", "telephone", "token", "username", "zip", "zipcode",
    }
)  # fmt: skip
"""What the last word of a field's name, or the last two as one, tells of its value."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")
_FORM = "application/x-www-form-urlencoded"
_TRAILING = frozenset({"code", "number", "hash", "value", "text"})


class Rules:
    """What is masked besides what gives itself away, and what is kept in spite of that.

    Both are names, wherever they stand, or paths from the top joined by dots, which go through the items of lists.
    """

    def __init__(self, mask: Iterable[str] = (), keep: Iterable[str] = (), *, ids: bool = False) -> None:
        self._mask = frozenset(mask)
        self._keep = frozenset(keep)
        self.ids = ids

    def named(self, path: tuple[str, ...], what: frozenset[str]) -> bool:
        """Tell whether a path, or its last name, is among what was named."""
        return path[-1] in what or ".".join(path) in what

    def kept(self, path: tuple[str, ...]) -> bool:
        """Tell whether a field stays as it is."""
        return self.named(path, self._keep)

    def masked(self, path: tuple[str, ...]) -> bool:
        """Tell whether a field's name says that it is to be masked."""
        words = [word.lower() for word in _WORDS.findall(path[-1])]
        while len(words) > 1 and words[-1] in _TRAILING:
            words.pop()
        personal = bool(words) and (words[-1] in NAMES or "".join(words[-2:]) in NAMES)
        return self.named(path, self._mask) or (personal and not is_id(path[-1]))


def is_id(name: str) -> bool:
    """Tell whether a field's name says that it holds an id."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(words) and words[-1] in {"id", "ids", "uuid", "guid", "gid"}


def mask(delivery: Delivery, rules: Rules) -> tuple[Delivery, list[str]]:
    """Return the delivery with stand-ins, uncompressed, and where they are: `body: customer.email (e-mail address)`.

    The stand-ins depend on the whole delivery, so that none can be told from knowing its kind alone; the same delivery
    gives the same. Raises InvalidPayload where the content is no text.
    """
    run = _Masking(delivery, rules)
    content = run.content(delivery)
    headers = {name: str(run.field("headers", (name,), value)) for name, value in delivery.headers.items()}
    if delivery.content != delivery.body:
        headers.pop("content-encoding", None)
    query = run.form("query", delivery.query)
    own_id = run.own_id(delivery.id)
    masked = replace(delivery, id=own_id, body=content, content=content, headers=headers, query=query, traceparent="")
    return masked, sorted(run.told)


class _Masking:
    """One delivery's masking: what stands in for what, and where."""

    def __init__(self, delivery: Delivery, rules: Rules) -> None:
        self._rules = rules
        self._fakes = Fakes(hashlib.sha256(delivery.id.encode(errors="surrogatepass") + delivery.body).digest())
        self._own = {delivery.type, "" if rules.ids else delivery.id, delivery.version or ""}
        self.told: set[str] = set()

    def content(self, delivery: Delivery) -> bytes:
        text = payload.text(delivery.content)
        if delivery.media_type == _FORM:
            return self.form("body", text).encode()
        try:
            value = delivery.json()
        except InvalidPayload:
            return self._looks("body", (), text).encode()
        masked = self._inside("body", (), value)
        return delivery.content if masked == value else payload.dumps(masked)

    def form(self, where: str, text: str) -> str:
        fields = parse_qsl(text, keep_blank_values=True)
        masked = [(name, str(self.field(where, (name,), value))) for name, value in fields]
        return text if masked == fields else urlencode(masked)

    def own_id(self, value: str) -> str:
        return self._fakes.text(value) if self._rules.ids else value

    def field(self, where: str, path: tuple[str, ...], value: Any, *, named: bool = False) -> Any:
        """Return what stands in for a field's value, or the value; `named` says that a name around it told."""
        if self._rules.kept(path) or value is None or isinstance(value, bool | float):
            return value
        if is_id(path[-1]) and not self._rules.masked(path):
            return self._id(where, path, value)
        told = named or self._rules.masked(path)
        if isinstance(value, dict | list):
            return self._inside(where, path, value, named=told)
        if not told or value in self._own:
            return self._looks(where, path, value) if isinstance(value, str) else value
        return self._named(where, path, value)

    def _inside(self, where: str, path: tuple[str, ...], value: Any, *, named: bool = False) -> Any:
        match value:
            case dict():
                return {
                    self._looks(where, path, key): self.field(where, (*path, key), item, named=named)
                    for key, item in value.items()
                }
            case list() if path:
                return [self.field(where, path, item, named=named) for item in value]
            case list():
                return [self._inside(where, path, item) for item in value]
            case str():
                return self._looks(where, path, value)
        return value

    def _id(self, where: str, path: tuple[str, ...], value: Any) -> Any:
        """Ids stay unless they are to be masked, also where they look like something else, such as a card number."""
        if isinstance(value, dict | list):
            return self._inside(where, path, value)
        if not self._rules.ids:
            return self._looks(where, path, value) if isinstance(value, str) and "@" in value else value
        self._tell(where, path, "id")
        return self._fakes.number(value) if isinstance(value, int) else self._fakes.text(value)

    def _named(self, where: str, path: tuple[str, ...], value: Any) -> Any:
        if isinstance(value, int):
            self._tell(where, path, "by its name")
            return self._fakes.number(value)
        looked = self._looks(where, path, value)
        if looked == value and value:
            self._tell(where, path, "by its name")
            return self._fakes.text(value)
        return looked

    def _looks(self, where: str, path: tuple[str, ...], text: str) -> str:
        """Replace what gives itself away in a text, which may be JSON of its own."""
        if text[:1] in {"{", "["}:
            try:
                inner = json.loads(text)
            except (ValueError, RecursionError):
                pass
            else:
                masked = self._inside(where, path, inner)
                return text if masked == inner else payload.dumps(masked).decode()
        return replace_looks(text, self._fakes, lambda kind: self._tell(where, path, kind))

    def _tell(self, where: str, path: tuple[str, ...], why: str) -> None:
        self.told.add(f"{where}: {'.'.join(path)} ({why})" if path else f"{where} ({why})")
