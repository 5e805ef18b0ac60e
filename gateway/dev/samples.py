"""Sample webhooks as the providers send them, unsigned: fresh ids and times on every call, the rest constant.

Each file under samples/ holds headers, body and the layout the provider writes it in. `{{name}}` in a text stands for
a fresh value and `{{name-60}}`, where it is a time, for one shifted by seconds. Where the delivery id is not signed no
two bodies are equal, as a gateway knows signed bytes again; what identifies the thing told of, such as a commit, is the
same wherever it stands in a sample. `filling` adds what only the source's configuration knows.
"""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from string import ascii_letters, ascii_uppercase, digits
from typing import Any

from gateway.dev.layouts import lay_out

_TYPES = {
    "stripe": (
        "customer.created",
        "invoice.paid",
        "checkout.session.completed",
        "payment_intent.succeeded",
        "v1.customer.created",
    ),
    "slack": ("message", "app_mention", "command", "block_actions"),
    "github": ("push", "pull_request"),
    "shopify": ("orders/create",),
    "standard-webhooks": ("invoice.paid",),
    "hmac": ("order.created",),
    "adyen": ("AUTHORISATION",),
    "calendly": ("invitee.created",),
    "clerk": ("user.created",),
    "contentful": ("ContentManagement.Entry.publish",),
    "discord": ("APPLICATION_AUTHORIZED",),
    "docusign": ("envelope-completed",),
    "gitlab": ("push",),
    "hubspot": ("contact.propertyChange",),
    "intercom": ("conversation.user.created",),
    "jira": ("jira:issue_created",),
    "linear": ("Issue.update",),
    "mailgun": ("delivered",),
    "notion": ("page.content_updated",),
    "paddle": ("subscription.created",),
    "pagerduty": ("incident.triggered",),
    "razorpay": ("payment.captured",),
    "resend": ("email.delivered",),
    "sendgrid": ("delivered",),
    "sentry": ("issue.created",),
    "square": ("payment.created",),
    "twilio": ("delivered",),
    "typeform": ("form_response",),
    "woocommerce": ("order.created",),
    "xero": ("INVOICE.UPDATE",),
    "zendesk": ("zen:event-type:ticket.created",),
    "zoom": ("meeting.started",),
}
_PLACEHOLDER = re.compile(r"\{\{(\w+)([+-]\d+)?\}\}")
_FILE_NAME = re.compile("[/:]")
_LOCAL = timezone(timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Sample:
    """A webhook without its signature; names of `headers` are lower case."""

    provider: str
    type: str
    headers: tuple[tuple[str, str], ...]
    document: Any
    layout: str

    @property
    def body(self) -> bytes:
        """The document as the provider writes it."""
        return lay_out(self.layout, self.document)


def providers() -> list[str]:
    """Return the names of the providers there are samples of."""
    return list(_TYPES)


def types(provider: str) -> list[str]:
    """Return the types there are samples of, the default first; none for an unknown provider."""
    return list(_TYPES.get(provider, ()))


def make(provider: str, type: str | None = None, *, now: int, rng: random.Random) -> Sample:  # noqa: A002 - the glossary's word
    """Return a sample of a type (default: the provider's first) as if sent `now` (unix milliseconds).

    Raises ValueError, naming the types there are, for one there is no sample of.
    """
    known = types(provider)
    if not known:
        raise ValueError(f"there are no samples for the provider {provider!r}, only for: {', '.join(_TYPES)}")
    chosen = type or known[0]
    if chosen not in known:
        raise ValueError(f"there is no {provider} sample of type {chosen!r}, only of: {', '.join(known)}")
    path = resources.files("gateway.dev") / "samples" / provider / f"{_FILE_NAME.sub('.', chosen)}.json"
    document = _fill(json.loads(path.read_bytes()), now, rng, {name: fresh(rng) for name, fresh in _THINGS.items()})
    headers = tuple((name, str(value)) for name, value in document["headers"].items())
    return Sample(provider, chosen, headers, document["body"], document["layout"])


def _fill(value: Any, now: int, rng: random.Random, things: dict[str, Any]) -> Any:
    """Return the value with its placeholders replaced; a text that is nothing else may become a number."""

    def fresh(match: re.Match[str]) -> Any:
        name, shift = match[1], int(match[2] or 0)
        if name in things:
            return things[name]
        return _TIMES[name](now + shift * 1000) if name in _TIMES else _IDS[name](rng)

    match value:
        case dict():
            return {key: _fill(item, now, rng, things) for key, item in value.items()}
        case list():
            return [_fill(item, now, rng, things) for item in value]
        case str():
            whole = _PLACEHOLDER.fullmatch(value)
            return fresh(whole) if whole else _PLACEHOLDER.sub(lambda match: str(fresh(match)), value)
    return value


def _letters(rng: random.Random, count: int, alphabet: str = ascii_letters + digits) -> str:
    return "".join(rng.choices(alphabet, k=count))


def _moment(ms: int, zone: timezone = UTC) -> datetime:
    return datetime.fromtimestamp(ms // 1000, zone) + timedelta(milliseconds=ms % 1000)


def _z(ms: int, precision: str) -> str:
    return _moment(ms).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


_TIMES: dict[str, Callable[[int], int | str]] = {
    "seconds": lambda ms: ms // 1000,
    "milliseconds": lambda ms: ms,
    "slack_ts": lambda ms: f"{ms // 1000}.{ms % 1000:03}219",
    "iso": lambda ms: _z(ms, "seconds"),
    "iso_ms": lambda ms: _z(ms, "milliseconds"),
    "iso_us": lambda ms: _z(ms, "microseconds"),
    "iso_ns": lambda ms: _z(ms, "microseconds").replace("Z", "482Z"),
    "iso_ns7": lambda ms: _z(ms, "microseconds").replace("Z", "4Z"),
    "iso_naive": lambda ms: _z(ms, "seconds").removesuffix("Z"),
    "iso_local": lambda ms: _moment(ms, _LOCAL).isoformat(timespec="seconds"),
}
_IDS: dict[str, Callable[[random.Random], str | int]] = {
    "stripe_event": lambda rng: f"evt_1{_letters(rng, 23)}",
    "stripe_thin_event": lambda rng: f"evt_test_65{_letters(rng, 48)}",
    "slack_event": lambda rng: f"Ev0{_letters(rng, 8, ascii_uppercase + digits)}",
    "slack_trigger": lambda rng: (
        f"{_letters(rng, 13, '123456789')}.{_letters(rng, 12, '123456789')}.{rng.randbytes(16).hex()}"
    ),
    "letters": lambda rng: _letters(rng, 24),
    "hex": lambda rng: rng.randbytes(16).hex(),
    "serial": lambda rng: rng.randrange(10**9, 10**10),
    "guid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "message": lambda rng: f"msg_{_letters(rng, 27)}",
    "acme_event": lambda rng: f"acme_{_letters(rng, 20)}",
}
_THINGS: dict[str, Callable[[random.Random], str | int]] = {
    "thing": lambda rng: rng.randbytes(16).hex(),
    "commit": lambda rng: rng.randbytes(20).hex(),
    "number": lambda rng: rng.randrange(10**12, 10**13),
}
