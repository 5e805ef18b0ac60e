"""Templates: text with `{placeholders}` that say which parts of a request are meant, parsed and checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PLAIN = frozenset({"body", "timestamp", "id", "secret", "method", "path", "path_query", "url", "url_base"})
SORTED = frozenset({"form_sorted", "query_sorted"})
NAMED = frozenset({"header", "sig", "json", "form", "query", "param", "form_amp_sorted", "header_values"})
LOCATED = frozenset({"header", "sig", "json", "form", "query"})
FILTERS = frozenset({"lower", "upper", "sha256_hex", "sha256_raw", "md5_base64", "base64", "json_string"})

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TOKEN = re.compile(r"(?P<open>\[\[)|(?P<close>\]\])|\{(?P<placeholder>[^{}]*)\}|(?P<brace>[{}])")
_BAD_ESCAPE = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One `{kind:name?|filter|filter}`; an `optional` one is empty where its value is absent."""

    kind: str
    name: str = ""
    optional: bool = False
    filters: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where the value is, as a locator says it: `header:x-id`, or the kind alone."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Segment:
    """A `[[ ... ]]`, which vanishes when a placeholder inside is absent."""

    parts: tuple[str | Placeholder, ...]


Part = str | Placeholder | Segment


def parse(text: str, of: str) -> tuple[Part, ...]:
    """Split a template, which is the value of the key `of`. Raises ValueError, with a sentence that names the key."""
    parts: list[Part] = []
    inside: list[str | Placeholder] | None = None
    end = 0
    for match in _TOKEN.finditer(text):
        current: list[Part] | list[str | Placeholder] = parts if inside is None else inside
        if literal := text[end : match.start()]:
            current.append(literal)
        end = match.end()
        if match["brace"]:
            raise ValueError(f"{of} has a brace that opens or closes no placeholder")
        if match["placeholder"] is not None:
            current.append(_placeholder(match["placeholder"], of))
        elif (match["open"] is not None) is (inside is not None):
            raise ValueError(f"{of} has a [[ or ]] without its counterpart")
        elif match["open"]:
            inside = []
        else:
            parts.append(Segment(tuple(inside or ())))
            inside = None
    if inside is not None:
        raise ValueError(f"{of} has a [[ or ]] without its counterpart")
    return (*parts, text[end:]) if text[end:] else tuple(parts)


def _placeholder(text: str, of: str) -> Placeholder:
    """Read what stands between braces, such as `json:/data/id?|lower`."""
    where, *filters = text.split("|")
    optional = where.endswith("?")
    kind, _, name = where.removesuffix("?").partition(":")
    if unknown := [name for name in filters if name not in FILTERS]:
        raise ValueError(f"{of} has the unknown filter {unknown[0]!r}; known are {', '.join(sorted(FILTERS))}")
    if kind not in PLAIN | SORTED | NAMED or (kind in NAMED) is not bool(name):
        plain, named = sorted(PLAIN | SORTED), sorted(NAMED)
        known = ", ".join([f"{{{kind}}}" for kind in plain] + [f"{{{kind}:...}}" for kind in named])
        raise ValueError(f"{of} has the unknown placeholder {{{text}}}; known are {known}")
    if optional and kind not in LOCATED:
        raise ValueError(f"{of} has {{{text}}}, which cannot be absent; take the ? away")
    if kind == "header":
        require_header_name(name)
        name = name.lower()
    if kind == "json":
        require_pointer(name)
    return Placeholder(kind, name, optional, tuple(filters))


def placeholders(parts: Sequence[Part]) -> Iterator[Placeholder]:
    """Yield every placeholder, also those inside segments."""
    for part in parts:
        match part:
            case Placeholder():
                yield part
            case Segment():
                yield from placeholders(part.parts)


def locator(text: str) -> Placeholder:
    """Read `header:<name>`, `sig:<key>`, `json:/<pointer>`, `form:<field>` or `query:<name>`. Raises ValueError."""
    kind, _, name = text.partition(":")
    if kind not in LOCATED or not name or "{" in text or "}" in text:
        raise ValueError(
            f"{text!r} is not a locator; write header:<name>, json:/<pointer>, form:<field>, query:<name> or sig:<key>"
        )
    if kind == "header":
        require_header_name(name)
        name = name.lower()
    if kind == "json":
        require_pointer(name)
    return Placeholder(kind, name)


def require_header_name(name: str) -> None:
    """Raise ValueError unless the text can be the name of a header."""
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name")


def require_pointer(text: str) -> None:
    """Raise ValueError unless the text is a JSON pointer: https://www.rfc-editor.org/rfc/rfc6901."""
    if not text.startswith("/") or _BAD_ESCAPE.search(text):
        raise ValueError(f"{text!r} is not a JSON pointer; write one such as /data/id")
