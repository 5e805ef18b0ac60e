"""What a signature covers: which parts of a request cannot be changed without it failing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gateway.template import Part, Placeholder, Segment, placeholders

if TYPE_CHECKING:
    from gateway.scheme import Scheme

_WHOLE_QUERY = frozenset({"url", "path_query", "query_sorted"})
_LOSSY = frozenset({"lower", "upper"})


def covers_body(scheme: Scheme) -> bool:
    """Tell whether every byte of the body is covered."""
    if scheme.method == "jwt-hs256":
        return bool(scheme.claim)
    return any(place.kind == "body" for place in _signed(scheme))


def covers(scheme: Scheme, wanted: Placeholder) -> bool:
    """Tell whether the value at one place is covered."""
    signed = _signed(scheme)
    if scheme.each and wanted.kind == "json":
        return _in_item(scheme, wanted.name, signed)
    if _holds(signed, wanted):
        return True
    match wanted.kind:
        case "sig":
            return scheme.method == "jwt-hs256"
        case "json":
            return covers_body(scheme)
        case "form":
            return covers_body(scheme) or _is_sorted_time(scheme, wanted, signed)
        case "query":
            return bool(scheme.url_claim)
    return False


def _is_sorted_time(scheme: Scheme, wanted: Placeholder, signed: Sequence[Placeholder]) -> bool:
    """Tell whether the time is in a sorted form that says where each value ends.

    No other value of such a form is covered: {form_sorted} has nothing between names and values, so that they could be
    cut at another place, and {form_amp_sorted} does not tell `_` from `&` and `=`, which no time has.
    """
    return wanted.place == scheme.timestamp and any(
        place.kind == "form_amp_sorted" and place.name != wanted.name for place in signed
    )


def _signed(scheme: Scheme) -> list[Placeholder]:
    """Return the placeholders whose values are covered, and what `require` holds equal to one of them."""
    if scheme.method in {"token", "basic", "jwt-hs256"}:
        return []
    signed = [place for part in _unambiguous(scheme) for place in placeholders([part]) if not _LOSSY & {*place.filters}]
    signed = [_resolved(scheme, place) for place in signed]
    for left, right in scheme.requirements:
        for one, other in ((left, right), (right, left)):
            if any(_holds(signed, place) for place in placeholders(one)) and len(other) == 1:
                signed += placeholders(other)
    return signed


def _unambiguous(scheme: Scheme) -> Iterator[Part]:
    """Yield the parts that say where they end; of two values side by side, the boundary could be moved.

    The body says it by being the rest, the time by its grammar and its window. A header, field or parameter is refused
    when it holds the separator after it; a value of a document or form is not, so it says so only where it is alone.
    """
    edges: list[Part] = ["", *scheme.parts, ""]
    values = [place for place in placeholders(scheme.parts) if not _is_time(scheme, place)]
    for before, part, after in zip(edges, edges[1:], edges[2:], strict=False):
        kind = part.kind if isinstance(part, Placeholder) and not _is_time(scheme, part) else ""
        bounded = all(_bounds(scheme, edge) for edge in (before, after))
        if kind in {"form", "json"}:
            bounded = bounded and len(values) == 1
        if bounded or kind not in {"header", "sig", "id", "query", "form", "json"}:
            yield part


def _bounds(scheme: Scheme, edge: Part) -> bool:
    return isinstance(edge, str | Segment) or (_is_time(scheme, edge) and scheme.tolerance_seconds > 0)


def _is_time(scheme: Scheme, part: Part) -> bool:
    return isinstance(part, Placeholder) and (
        part.kind == "timestamp" or part.place.lower() == scheme.timestamp.lower()
    )


def _resolved(scheme: Scheme, place: Placeholder) -> Placeholder:
    """Return the placeholder that `{timestamp}` or `{id}` stands for, or `place` itself."""
    where = {"timestamp": scheme.timestamp, "id": scheme.id}.get(place.kind, "")
    kind, _, name = where.partition(":")
    return Placeholder(kind, name.lower() if kind == "header" else name) if where else place


def _holds(signed: Sequence[Placeholder], wanted: Placeholder) -> bool:
    return any(
        (place.kind, place.name) == (wanted.kind, wanted.name)
        or (wanted.kind == "query" and place.kind in _WHOLE_QUERY)
        for place in signed
    )


def _in_item(scheme: Scheme, pointer: str, signed: Sequence[Placeholder]) -> bool:
    """Tell whether a pointer from the document's root leads to a signed value of one of its items."""
    root = scheme.each.removeprefix("json:") + "/"
    index, _, inner = pointer.removeprefix(root).partition("/")
    return pointer.startswith(root) and index.isdecimal() and _holds(signed, Placeholder("json", f"/{inner}"))
