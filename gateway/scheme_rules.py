"""What a signature scheme must satisfy before a request meets it: one sentence for each thing that makes no sense."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from gateway import coverage
from gateway.template import LOCATED, Placeholder, locator, require_header_name, require_pointer

if TYPE_CHECKING:
    from gateway.scheme import Scheme

PARAM = re.compile(r"\{param:[^{}|]+\}")
MAX_NUMBERED = 100
_CARRIERS = frozenset({"json", "form", "query"})


def check(scheme: Scheme) -> None:
    """Raise ValueError, with a sentence, when the scheme cannot be evaluated or would prove nothing."""
    rules: tuple[Callable[[Scheme], None], ...] = (
        _check_values,
        _check_carrier,
        _check_items,
        _check_locators,
        _check_templates,
        _check_each,
        _check_method,
        _check_circle,
        _check_timestamp,
    )
    for rule in rules:
        rule(scheme)


def _check_values(scheme: Scheme) -> None:
    """Refuse words that are not of a key's list, whoever made the scheme."""
    for name, known in _literals(type(scheme)).items():
        if getattr(scheme, name) not in known:
            raise ValueError(f"{name} is none of {', '.join(repr(word) for word in known)}")
    for name in ("tolerance_seconds", "future_tolerance_seconds"):
        if (getattr(scheme, name) or 0) < 0:
            raise ValueError(f"{name} is negative; 0 means that the signed time is not enforced")


def _literals(kind: type[Any]) -> dict[str, tuple[str, ...]]:
    if kind not in _KNOWN:
        hints = get_type_hints(kind)
        words = {item.name: get_args(hints[item.name]) for item in fields(kind) if item.init}
        _KNOWN[kind] = {name: known for name, known in words.items() if known and isinstance(known[0], str)}
    return _KNOWN[kind]


_KNOWN: dict[type[Any], dict[str, tuple[str, ...]]] = {}


def _check_carrier(scheme: Scheme) -> None:
    if bool(scheme.header) == bool(scheme.at):
        raise ValueError("exactly one of header and at says where the signature is; set one of the two")
    if scheme.at and (scheme.also or scheme.numbered):
        raise ValueError("also and numbered belong to header; with at, remove them")
    if scheme.at and locator(scheme.at).kind not in _CARRIERS:
        raise ValueError(
            f"{scheme.at!r} cannot be at; write json:/<pointer>, form:<field>, query:<name>, or use header"
        )
    for name in filter(None, (scheme.header, *scheme.also)):
        require_header_name(name)
    if not 0 <= scheme.numbered <= MAX_NUMBERED:
        raise ValueError(f"numbered is not between 0 and {MAX_NUMBERED}")


def _check_items(scheme: Scheme) -> None:
    if bool(scheme.assign) != bool(scheme.key):
        raise ValueError("assign and key belong together: assign splits an item, key names the signatures")
    if scheme.positional and not scheme.separator:
        raise ValueError("positional names items, and without separator there is only one; set separator")
    if len(set(scheme.positional)) < len(scheme.positional) or scheme.key in scheme.positional:
        raise ValueError("positional names an item twice")
    if "{" in scheme.key and not PARAM.fullmatch(scheme.key):
        raise ValueError("key is neither a plain text nor {param:<name>}")


def _check_locators(scheme: Scheme) -> None:
    for key in ("timestamp", "id"):
        if where := getattr(scheme, key):
            _check_field(scheme, locator(where))


def _check_templates(scheme: Scheme) -> None:
    for place in scheme.placeholders():
        if place.kind in {"timestamp", "id"} and not getattr(scheme, place.kind):
            raise ValueError(f"signed uses {{{place.kind}}} but {place.kind} does not say where it is")
        if place.kind == "secret" and scheme.method != "hash":
            raise ValueError('{secret} is part of what is signed with method = "hash" alone')
        _check_field(scheme, place)
    for pair in scheme.requirements:
        if all(isinstance(part, str) for side in pair for part in side):
            raise ValueError("require compares two texts that no request changes; use a placeholder")


def _check_field(scheme: Scheme, place: Placeholder) -> None:
    """Refuse a field of the signature that its value is not split into."""
    known = bool(scheme.assign) or scheme.method == "jwt-hs256"
    wanted = place.name if place.kind in {"sig", "header_values"} else ""
    if wanted and not known and wanted not in scheme.positional:
        raise ValueError(
            f"{place.place!r} needs assign and key, or positional, which split the signature's value into fields"
        )
    if wanted and wanted == scheme.key:
        raise ValueError(f"{place.place!r} is the signature itself")


def _check_each(scheme: Scheme) -> None:
    if not scheme.each:
        return
    kind, _, pointer = scheme.each.partition(":")
    if kind != "json":
        raise ValueError(f"{scheme.each!r} is no array; write json:/<pointer>")
    if pointer:
        require_pointer(pointer)
    allowed = {"json", "header", "param", "secret"}
    inside = all(place.kind in allowed for place in scheme.placeholders()) or scheme.method == "token"
    if not scheme.at.startswith("json:") or not inside or scheme.timestamp or scheme.id:
        raise ValueError(
            "each verifies items of the body, so at, signed and require name values within an item, json:/<pointer>"
        )


def _check_method(scheme: Scheme) -> None:
    if scheme.method in {"token", "basic", "jwt-hs256"}:
        if scheme.signed != "{body}" or scheme.timestamp or scheme.id:
            raise ValueError(f'signed, timestamp and id mean nothing with method = "{scheme.method}"; remove them')
        if scheme.method == "basic" and (scheme.headers != ("authorization",) or scheme.separator):
            raise ValueError('method = "basic" reads the Authorization header; leave header, also and separator out')
    elif not any(place.kind not in {"param", "secret"} for place in scheme.placeholders()):
        raise ValueError("signed holds no part of the request, so anyone could change it")
    if scheme.method == "hash" and all(place.kind != "secret" for place in scheme.placeholders()):
        raise ValueError('method = "hash" without {secret} in signed proves nothing, as anyone can hash')
    if (scheme.claim or scheme.url_claim) and scheme.method != "jwt-hs256":
        raise ValueError('claim and url_claim belong to method = "jwt-hs256"')
    if scheme.method == "jwt-hs256" and not scheme.claim:
        raise ValueError('method = "jwt-hs256" without claim leaves out the body, so anyone could change it; set claim')


def _check_circle(scheme: Scheme) -> None:
    """Refuse a signature that would be part of what it signs."""
    around = {"json": {"body"}, "form": {"body", "form_sorted"}, "query": {"url", "path_query", "query_sorted"}}
    inside = around.get(scheme.at.partition(":")[0], set())
    for place in scheme.placeholders() if scheme.signs else ():
        if place.kind in inside:
            raise ValueError(f"signed holds {{{place.kind}}}, which holds the signature at {scheme.at!r} itself")


def _check_timestamp(scheme: Scheme) -> None:
    """Refuse a time that nobody signed: it must not decide about a request."""
    if not scheme.timestamp:
        return
    place = locator(scheme.timestamp)
    direct = any(
        used.kind == "timestamp" or (used.kind, used.name) == (place.kind, place.name) for used in scheme.placeholders()
    )
    if place.kind in LOCATED and not direct and not coverage.covers(scheme, place):
        raise ValueError(
            f"timestamp is {scheme.timestamp!r}, which signed does not cover, so anyone could change it; "
            "add {timestamp} to signed, or remove timestamp"
        )
