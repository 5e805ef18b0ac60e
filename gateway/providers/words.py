"""What a provider does, in words: how it signs, what its deliveries tell, when it sends again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from gateway import dedupe
from gateway.answers import Outcome
from gateway.providers.contract import Provider
from gateway.scheme import Scheme

USUAL_WINDOW_DAYS = 7
GENERIC = "transforms.generic:"
CONFIDENCE = {
    "high": "high: from the provider's own page or library, a published vector, or two independent sources",
    "medium": "medium: from one maintained source; send a test webhook before you rely on it",
    "low": "low: general knowledge, not confirmed; send a test webhook, and see that another secret is refused",
}
_METHODS = {
    "token": "token",
    "basic": "HTTP Basic",
    "ed25519": "Ed25519",
    "ecdsa-p256": "ECDSA P-256",
    "rsa-pkcs1": "RSA",
    "rsa-pss": "RSA-PSS",
    "jwt-hs256": "JWT HS256",
}
_ALGORITHMS = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
_ENCODINGS = {"hex": "hex", "base64": "base64", "base64url": "base64url", "base64_of_hex": "base64 of hex"}
_PLACES = {
    "header": "the header {}",
    "json": "{} in the JSON body",
    "form": "the form field {}",
    "query": "the query parameter {}",
    "sig": "{} beside the signature",
}
_UNITS = {"s": "unix seconds", "ms": "unix milliseconds", "iso8601": "ISO 8601", "http_date": "an HTTP date"}


def proof(scheme: Scheme) -> str:
    """Return the kind of proof in a word or two: `HMAC-SHA256`."""
    if scheme.method == "hmac":
        return f"HMAC-{_ALGORITHMS[scheme.algorithm].replace('-', '')}"
    return f"keyed {_ALGORITHMS[scheme.algorithm]}" if scheme.method == "hash" else _METHODS[scheme.method]


def in_short(scheme: Scheme) -> str:
    """Return one sentence: what proves who sends, and where it is."""
    match scheme.method:
        case "token":
            return f"It shows a token that you share with it, in {carrier(scheme)}."
        case "basic":
            return "It shows a user and a password, as HTTP Basic."
    return f"It signs with {proof(scheme)}, in {carrier(scheme)}."


def verification(scheme: Scheme) -> list[str]:
    """Return sentences that say what is checked under a scheme."""
    told = [_what_is_signed(scheme)]
    if scheme.timestamp:
        where = f"The signed time is {place(scheme.timestamp)}, in {_UNITS[scheme.timestamp_unit]}"
        told.append(f"{where}; {_window(scheme)}.")
    if scheme.id:
        told.append(f"The delivery id is signed too: {place(scheme.id)}.")
    told += [f"`{left}` must be equal to `{right}`." for left, right in scheme.require]
    if scheme.signs_url:
        told.append("The URL is signed, so `public_url` under `[server]` must be the beginning of what is registered.")
    if not scheme.covers_body:
        told.append(_not_covered(scheme))
    return told


def events(provider: Provider) -> list[tuple[str, str]]:
    """Return what a provider's deliveries tell, as pairs of a word and where it is."""
    prefix = provider.prefix or provider.name
    told_by_items = "that of each item" if provider.batch and not provider.transform.startswith(GENERIC) else ""
    worked_out = "read from the payload, whichever kind of request it is" if provider.describe else ""
    return [
        ("Event name", f"`{prefix}/<type>`"),
        ("Type", worked_out or told_by_items or places(provider.type) or "not told; every event is `webhook.received`"),
        ("Delivery id", worked_out or _id(provider)),
        ("Time", worked_out or places(provider.time) or "not told; the time of receipt stands for it"),
        *([("Version", places(provider.version))] if provider.version else []),
        *(
            [("Items", f"several in one delivery, {_array(provider.batch)}; each becomes an event")]
            if provider.batch
            else []
        ),
    ]


def sends_again(provider: Provider) -> str:
    """Say in a sentence or two when a provider sends again, and what ends its subscription."""
    retries, note = provider.retries, provider.retries.note
    match retries.horizon_hours:
        case None:
            told = f"Sends again: {note}." if note else "Whether it sends again what was refused is not known."
        case 0:
            told = f"Does not send again what was refused{f' ({note})' if note else ''}."
        case hours:
            told = f"Sends again for {duration(hours)}{f': {note}' if note not in {'', duration(hours)} else ''}."
    if retries.on:
        told += f" It does so only after {_listed(retries.on)}."
    if retries.never:
        told += f" It gives up after {_listed(retries.never)}, which the gateway never answers for a fault of its own."
    if retries.disables:
        told += f" The subscription ends after: {retries.disables}."
    unchecked = not retries.checked and (retries.horizon_hours is not None or note)
    return f"{told} (General knowledge, not confirmed in its own text.)" if unchecked else told


def _listed(statuses: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(statuses[:-1]), statuses[-1])))


def absorbed(provider: Provider) -> str:
    """Say for how long a re-send is known to be one, where no window is configured."""
    return (
        f"Re-sends are absorbed for {dedupe.window_days(provider, USUAL_WINDOW_DAYS, None)} days, unless set otherwise."
    )


def answers(provider: Provider) -> str:
    """Say what a provider is answered in place of 200 with a JSON document; empty where that is what it gets."""
    answer = provider.answer()[Outcome.ACCEPTED]
    if answer.body is None:
        return "" if answer.status == HTTPStatus.OK else str(answer.status)
    return f"{answer.status} with {f'`{answer.body.decode()}`' if answer.body else 'an empty body'}"


def duration(hours: float) -> str:
    """Return a duration in the unit in which people say it."""
    for size, unit in ((24.0, "days"), (1.0, "hours"), (1 / 60, "minutes"), (1 / 3600, "seconds")):
        if hours >= size * (2 if unit == "days" else 1):
            break
    count = round(hours / size, 1)
    return f"{count:g} {unit if count != 1 else unit.removesuffix('s')}"


def places(locators: Sequence[str]) -> str:
    """Return locators in words, of which the first present wins."""
    return ", else ".join(place(text) for text in locators)


def place(text: str) -> str:
    """Return a locator in words."""
    if "{" in text:
        return f"`{text}`"
    kind, _, name = text.partition(":")
    return _PLACES[kind].format(f"`{name}`")


def carrier(scheme: Scheme) -> str:
    """Return where the signature is."""
    if scheme.at:
        return f"{place(scheme.at)}{', in each item' if scheme.each else ''}"
    names = f"{scheme.header}-1` to `{scheme.header}-{scheme.numbered}" if scheme.numbered else scheme.header
    return " or ".join([f"the header `{names}`", *(f"`{name}`" for name in scheme.also)])


def _what_is_signed(scheme: Scheme) -> str:
    match scheme.method:
        case "token":
            return f"The secret itself stands in {carrier(scheme)}; it is compared in constant time."
        case "basic":
            return "User and password come as HTTP Basic, in the header `Authorization`."
        case "jwt-hs256":
            claim = f"whose claim `{scheme.claim}` is the body's SHA-256"
            return f"A JSON Web Token (HS256) {claim}, in {carrier(scheme)}."
    signed = "the body as sent" if scheme.signed == "{body}" else f"`{scheme.signed}`".replace("\n", "\\n")
    form = _ENCODINGS[scheme.encoding] + (f" after `{scheme.prefix}`" if scheme.prefix else "")
    form += f" under `{scheme.key}`" if scheme.key else ""
    key = "; the source's secret is the public key" if scheme.asymmetric else ""
    return f"{proof(scheme)} over {signed}, in {form}, in {carrier(scheme)}{key}."


def _window(scheme: Scheme) -> str:
    if not scheme.tolerance_seconds:
        return "its age is not checked"
    ahead = scheme.future_tolerance_seconds
    past = duration(scheme.tolerance_seconds / 3600)
    if ahead is None or ahead == scheme.tolerance_seconds:
        return f"it may be {past} away from the gateway's clock"
    return f"it may be {past} old"


def _not_covered(scheme: Scheme) -> str:
    if scheme.method in {"token", "basic"}:
        return "Nothing of the request is signed: who knows the secret, or has seen a request, can send any other."
    return "The signature covers what is named here and not the whole body."


def _id(provider: Provider) -> str:
    signed = [scheme.id for scheme in provider.schemes if scheme.id]
    if signed:
        return f"{place(signed[0])}, which is signed"
    if not provider.id:
        whole = "the SHA-256 of the body stands for it"
        return f"none; {whole}{', with the time' if provider.equal_bodies == 'distinct' else ''}"
    covered = all(scheme.authenticates(provider.id[0]) for scheme in provider.schemes)
    return f"{places(provider.id)}, which is {'signed' if covered else 'not signed'}"


def _array(batch: str) -> str:
    return "which is the JSON body itself, a list" if batch == "json:" else f"in {place(batch)}"
