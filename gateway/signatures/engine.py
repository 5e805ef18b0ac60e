"""The one engine that checks signatures of any scheme, compiled once, over the bytes on the wire."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from gateway.locators import follow, pointer_tokens
from gateway.model import Request
from gateway.rejections import RequirementUnmet, SecretMissing, SignatureMalformed, SignatureMismatch, SignatureMissing
from gateway.scheme import Scheme
from gateway.signatures.carrier import compile_decode, compile_find
from gateway.signatures.matching import Keys, compile_match, is_any
from gateway.signatures.proof import Proof
from gateway.signatures.received import Received
from gateway.signatures.render import compile_read, compile_template, missing
from gateway.signatures.web_token import compile_token
from gateway.signatures.window import parser, require_recent
from gateway.template import Placeholder, locator

BODY_LIMIT = 1024 * 1024
MAX_ITEMS = 1_000

Check = Callable[[Request, int], Proof | None]
"""Check a request at a time (unix milliseconds); None where it carries no signature of the scheme.

Raises a VerificationError that says which check failed, or SecretMissing when there is no usable key. The window is
checked after the signature, so that a clock nobody signed decides nothing.
"""

_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_PORT = re.compile(r":[0-9]+$")


def compile_check(
    scheme: Scheme, keys: Sequence[bytes], params: Mapping[str, str] | None = None, limit: int = BODY_LIMIT
) -> Check:
    """Return the check of one scheme with its keys; `limit` is the most bytes of a decoded body.

    Raises ValueError, with a sentence, for a public key that cannot be used.
    """
    usable = [(index, key) for index, key in enumerate(keys) if key.strip(b"\0")]
    if not usable:
        return _refuse_all
    if scheme.method == "jwt-hs256":
        return _compile_web_token(scheme, usable, params or {}, limit)
    if scheme.each:
        return _compile_each(scheme, usable, params or {}, limit)
    return _compile_single(scheme, usable, params or {}, limit)


def check(
    request: Request, scheme: Scheme, keys: Sequence[bytes], now: int, params: Mapping[str, str] | None = None
) -> Proof:
    """Check a request under one scheme, as `compile_check` does. Raises SignatureMissing as well."""
    if proof := compile_check(scheme, keys, params)(request, now):
        return proof
    raise unsigned(request, [scheme])


def unsigned(request: Request, schemes: Sequence[Scheme]) -> SignatureMissing:
    """Return the refusal of a request that carries a signature of none of the schemes."""
    for scheme in schemes:
        if any(request.values(name) for name in scheme.headers):
            form = f" that begins with {scheme.prefix!r}" if scheme.prefix else ""
            form += f" under {scheme.key!r}" if scheme.key else ""
            return SignatureMissing(f"the request has the header {scheme.header}, but no signature{form} in it")
    expected = " or ".join(scheme.carrier for scheme in schemes)
    return SignatureMissing(
        f"the request has no signature in {expected}; check that the sender signs, with this secret"
    )


def reader(
    scheme: Scheme, params: Mapping[str, str] | None = None
) -> Callable[[Request], tuple[Mapping[str, str], list[bytes]]]:
    """Return the function that gives a request's other signature fields and its signatures, decoded.

    It raises SignatureMissing, SignatureMalformed, HeaderRepeated or HeaderMalformed.
    """
    wanted, find, decode = frozenset(scheme.headers), compile_find(scheme, params or {}), compile_decode(scheme)

    def read(request: Request) -> tuple[Mapping[str, str], list[bytes]]:
        received = Received(request, wanted, BODY_LIMIT)
        if not (candidates := find(received)):
            raise unsigned(request, [scheme])
        return received.fields, decode(candidates)

    return read


def read_signatures(request: Request, scheme: Scheme) -> tuple[Mapping[str, str], list[bytes]]:
    """Return the other fields of the signature's value and the signatures, as `reader` says."""
    return reader(scheme)(request)


def _compile_single(scheme: Scheme, keys: Keys, params: Mapping[str, str], limit: int) -> Check:
    wanted, find, match = wanted_headers(scheme), compile_find(scheme, params), compile_match(scheme, keys, params)
    prepare = _compile_preparation(scheme, params)
    tolerance, ahead = scheme.tolerance_seconds, scheme.future_tolerance_seconds
    # Proof(...) goes through a function in Python, which is a fiftieth of the whole.
    make: Callable[[type[Proof], Sequence[object]], Proof] = tuple.__new__
    before, after = tolerance * 1000, (tolerance if ahead is None else ahead) * 1000

    def run(request: Request, now: int) -> Proof | None:
        received = Received(request, wanted, limit)
        if not (candidates := find(received)):
            return None
        sent_at = prepare(received) if prepare else None
        index = match(received, candidates)
        if index is None and scheme.signs_url and (other := _other_spelling(received.url)):
            received.respelled_url = other
            index = match(received, candidates)
        if index is None:
            raise _mismatch(scheme, keys)
        if sent_at is not None and not -before <= sent_at - now <= after:
            require_recent(sent_at, now, tolerance, ahead)
        return make(Proof, (index, sent_at, received.id, received.fields, received.message))

    return run


def _compile_each(scheme: Scheme, keys: Keys, params: Mapping[str, str], limit: int) -> Check:
    wanted, find, match = wanted_headers(scheme), compile_find(scheme, params), compile_match(scheme, keys, params)
    prepare = _compile_preparation(scheme, params)
    tokens = pointer_tokens(scheme.each.removeprefix("json:"))

    def run(request: Request, _: int) -> Proof | None:
        received = Received(request, wanted, limit)
        items = follow(received.document(), tokens)
        found = [_narrowed(received, item, find) for item in items[: MAX_ITEMS + 1]] if isinstance(items, list) else []
        if not any(found):
            return None
        if not all(found) or len(items) > MAX_ITEMS:
            raise SignatureMalformed(f"not every item of the body has a signature, or there are over {MAX_ITEMS}")
        indexes, signed = set(), []
        for item, candidates in zip(items, found, strict=True):
            received.narrow(item)
            if prepare:
                prepare(received)
            indexes.add(match(received, candidates))
            signed.append(received.message)
        if None in indexes:
            raise _mismatch(scheme, keys)
        return Proof(secret=min(index for index in indexes if index is not None), signed=b"\n".join(signed))

    return run


def _narrowed(received: Received, item: object, find: Callable[[Received], list[str]]) -> list[str]:
    received.narrow(item)
    return find(received)


def _compile_web_token(scheme: Scheme, keys: Keys, params: Mapping[str, str], limit: int) -> Check:
    wanted, find, match = wanted_headers(scheme), compile_find(scheme, params), compile_token(scheme, keys)
    require = [_compile_requirement(scheme, number, params) for number in range(len(scheme.requirements))]

    def run(request: Request, now: int) -> Proof | None:
        received = Received(request, wanted, limit)
        if not (candidates := find(received)):
            return None
        index, sent_at = match(received, candidates, now)
        if index is None:
            raise _mismatch(scheme, keys)
        for requirement in require:
            requirement(received)
        return Proof(index, sent_at, "", received.fields, received.message)

    return run


def _compile_preparation(scheme: Scheme, params: Mapping[str, str]) -> Callable[[Received], int | None] | None:
    """Return what is done before the comparison: read the signed time and id, and hold the requirements.

    It returns the signed time; there is none to do for a scheme without these.
    """
    timestamp, delivery_id = (locator(where) if where else None for where in (scheme.timestamp, scheme.id))
    read_time = compile_read(timestamp, params) if timestamp else None
    read_id = compile_read(delivery_id, params) if delivery_id else None
    requirements = [_compile_requirement(scheme, number, params) for number in range(len(scheme.requirements))]
    decoded, parse = scheme.signed_encoding == "decoded", parser(scheme.timestamp_unit)

    def prepare(received: Received) -> int | None:
        sent_at = None
        if decoded:
            received.body = received.content()
        if read_time and timestamp:
            received.timestamp = _required(read_time(received), timestamp)
            sent_at = parse(received.timestamp)
        if read_id and delivery_id:
            received.id = _required(read_id(received), delivery_id)
        for requirement in requirements:
            requirement(received)
        return sent_at

    if timestamp and not (delivery_id or requirements or decoded):
        if timestamp.kind == "header":
            return _compile_header_time(timestamp, parse)
        if timestamp.kind == "sig":
            return _compile_field_time(timestamp, parse)
    return prepare if timestamp or delivery_id or requirements or decoded else None


def _compile_header_time(place: Placeholder, parse: Callable[[str], int]) -> Callable[[Received], int]:
    """Return the preparation of the most common form, a time in a header and nothing else."""
    name = place.name

    def prepare(received: Received) -> int:
        # The grammar of a time is narrower than that of a header.
        if not (text := received.headers.get(name)):
            raise missing(place)
        received.timestamp = text
        return parse(text)

    return prepare


def _compile_field_time(place: Placeholder, parse: Callable[[str], int]) -> Callable[[Received], int]:
    """Return the preparation of the next most common form, a time beside the signature and nothing else."""
    name = place.name

    def prepare(received: Received) -> int:
        if not (text := received.fields.get(name)):
            raise missing(place)
        received.timestamp = text
        return parse(text)

    return prepare


def _required(value: str | bytes | None, place: Placeholder) -> str:
    if not value:
        raise missing(place)
    return value if isinstance(value, str) else value.decode()


def _compile_requirement(scheme: Scheme, number: int, params: Mapping[str, str]) -> Callable[[Received], None]:
    left, right = (compile_template(side, scheme, params) for side in scheme.requirements[number])
    texts = scheme.require[number]

    def hold(received: Received) -> None:
        if not is_any(left(received), [right(received)]):
            raise RequirementUnmet(f"{texts[0]} is not equal to {texts[1]}, as the scheme requires")

    return hold


def wanted_headers(scheme: Scheme) -> frozenset[str]:
    """Return the names of the headers that decide something."""
    places = [*scheme.placeholders(), *(locator(where) for where in (scheme.timestamp, scheme.id) if where)]
    return frozenset({*scheme.headers, *(place.name for place in places if place.kind == "header")})


def _other_spelling(url: str) -> str:
    """Return the URL with its scheme's default port where it has none, without it where it has it; else nothing.

    Twilio's own libraries try both: https://www.twilio.com/docs/usage/security#validating-requests
    """
    default, host = _DEFAULT_PORTS.get(url.partition("://")[0]), urlsplit(url).netloc
    if not default or not host:
        return ""
    if host.endswith(default):
        return url.replace(host, host.removesuffix(default), 1)
    return "" if _PORT.search(host) else url.replace(host, host + default, 1)


def _mismatch(scheme: Scheme, keys: Keys) -> SignatureMismatch:
    return SignatureMismatch(f"{scheme.carrier} matches none of the {len(keys)} configured secrets")


def _refuse_all(_: Request, __: int) -> Proof | None:
    raise SecretMissing("the source has no usable secret")
