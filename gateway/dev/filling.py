"""Fill a draft: ids, types, times and all that is signed, where the source's scheme and locators say they are."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

from gateway.dev.draft import Draft
from gateway.model import Request
from gateway.scheme import Scheme
from gateway.signatures import render_template
from gateway.template import LOCATED, Part, Placeholder, locator, parse, placeholders

Places = Mapping[str, tuple[str, ...]]
"""The locators of a delivery's id, type, time and version."""

_TYPE_WORDS = ("sample", "created", "test")
_LISTED_HEADERS = "content-type"


def outline(
    title: str, scheme: Scheme | None, places: Places, *, batch: str, kind: str | None, rng: random.Random
) -> Draft:
    """Return an empty draft for one who has no samples: a form where its places are in one, else JSON."""
    form = _is_form(scheme, places)
    text = f"sample {rng.randbytes(8).hex()} in the shape that {title} sends"
    document = [{"sample": text}] if batch == "json:" else {"sample": text}
    media_type = "application/x-www-form-urlencoded" if form else "application/json"
    draft = Draft("sample", {"content-type": media_type}, document, "form" if form else "compact")
    if batch.startswith("json:/"):
        draft.put(locator(f"{batch}/0/sample"), text)
    if batch.startswith("form:"):
        draft.put(locator(batch), json.dumps([{"sample": text}]))
    chosen = _fitting(draft, places["type"])
    if chosen:
        words = _split(chosen, kind) if kind else _TYPE_WORDS
        draft.type = _join(chosen, words)
        for place, word in zip(_places_of(chosen), words, strict=False):
            draft.put(place, word)
    elif kind:
        raise ValueError(f"{title} tells no event type, so there is no sample of type {kind!r}; leave the type out")
    return draft


def fill(draft: Draft, scheme: Scheme | None, places: Places, *, now: int, rng: random.Random) -> None:
    """Put values wherever the scheme and the locators look for one and the draft has none."""
    if scheme and scheme.timestamp:
        _put_timestamp(draft, scheme, now)
    for name, value in (("time", _iso(now)), ("version", "1"), ("type", draft.type)):
        for place in _places_of(_fitting(draft, places[name])):
            _put_absent(draft, place, value)
    ids = [*_places_of(_fitting(draft, places["id"])), *([locator(scheme.id)] if scheme and scheme.id else [])]
    for place in ids:
        _put_absent(draft, place, str(uuid.UUID(int=rng.getrandbits(128), version=4)))
    for place, value in _signed_values(scheme, f"sample{rng.randbytes(4).hex()}") if scheme else ():
        _put_absent(draft, place, value)


def meet(draft: Draft, scheme: Scheme, params: Mapping[str, str], request: Request) -> None:
    """Put what the scheme requires to be equal to something else of the request."""
    for left, right in scheme.requirements:
        for target, other in ((left, right), (right, left)):
            if len(target) == 1 and isinstance(target[0], Placeholder) and target[0].kind in LOCATED:
                value = render_template(other, scheme, params, request, draft.fields)
                draft.put(_in_item(scheme, replace(target[0], filters=())), value.decode())
                break


def write_time(scheme: Scheme, now: int) -> str | int:
    """Return a time as the scheme's sender writes it."""
    moment = datetime.fromtimestamp(now / 1000, UTC)
    match scheme.timestamp_unit:
        case "s":
            return now // 1000
        case "ms":
            return now
        case "http_date":
            return format_datetime(moment, usegmt=True)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _put_timestamp(draft: Draft, scheme: Scheme, now: int) -> None:
    place = _in_item(scheme, locator(scheme.timestamp))
    if not draft.holds(place):
        draft.put(place, write_time(scheme, now))


def _put_absent(draft: Draft, place: Placeholder, value: str) -> None:
    if draft.can_hold(place) and not draft.holds(place):
        draft.put(place, value)


def _signed_values(scheme: Scheme, fresh: str) -> Iterator[tuple[Placeholder, str]]:
    """Yield a value for every place that is signed; those of an item are put into the first."""
    for place in scheme.placeholders():
        if place.kind == "header_values":
            yield Placeholder("sig", place.name), _LISTED_HEADERS
    for place in (*(Placeholder("sig", name) for name in scheme.positional), *scheme.placeholders()):
        if place.kind in LOCATED:
            yield _in_item(scheme, place), fresh


def _in_item(scheme: Scheme, place: Placeholder) -> Placeholder:
    if not scheme.each or place.kind != "json":
        return place
    return Placeholder("json", f"{scheme.each.removeprefix('json:')}/0{place.name}")


def _is_form(scheme: Scheme | None, places: Places) -> bool:
    """Tell whether the body is a form: going by what is signed, else by where the type and the id are."""
    signed = [place.kind for place in scheme.placeholders()] if scheme else []
    located = [*([scheme.at, scheme.timestamp, scheme.id] if scheme else []), *places["type"][:1], *places["id"][:1]]
    kinds = [*signed, *(place.kind for text in located for place in _places_of(text))]
    return next((kind != "json" for kind in kinds if kind.startswith(("form", "json"))), False)


def _fitting(draft: Draft, texts: Sequence[str]) -> str:
    """Return the first locator that the draft can hold all values of."""
    return next((text for text in texts if all(draft.can_hold(place) for place in _places_of(text))), "")


def _places_of(text: str) -> list[Placeholder]:
    if not text:
        return []
    return [*placeholders(_parts_of(text))]


def _parts_of(text: str) -> tuple[Part, ...]:
    return parse(text, "the locator") if "{" in text else (locator(text),)


def _join(text: str, words: Sequence[str]) -> str:
    """Return what a locator gives whose values are these words."""
    left = iter(words)
    return "".join(part if isinstance(part, str) else next(left, "sample") for part in _parts_of(text))


def _split(text: str, kind: str) -> tuple[str, ...]:
    """Return the values with which a locator gives `kind`. Raises ValueError."""
    parts = [re.escape(part) if isinstance(part, str) else "(.+?)" for part in _parts_of(text)]
    if match := re.fullmatch("".join(parts), kind):
        return match.groups()
    form = "".join(part if isinstance(part, str) else "..." for part in _parts_of(text))
    raise ValueError(f"a type of this provider has the form {form}, and {kind!r} has not")


def _iso(now: int) -> str:
    return datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
