"""Slack: the Events API as JSON, interactivity and slash commands as forms, its handshakes, on one URL.

https://docs.slack.dev/apis/events-api and https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

from __future__ import annotations

import hashlib
from typing import Any

from gateway import payload
from gateway.answers import Change
from gateway.errors import InvalidPayload
from gateway.locators import Content, follow, to_milliseconds
from gateway.model import Reply, Request
from gateway.providers.contract import Facts, Provider, Retries
from gateway.rejections import BodyMalformed
from gateway.scheme import Scheme
from gateway.signatures import Proof

FORM = "application/x-www-form-urlencoded"
MAX_CHALLENGE_LENGTH = 512

_NO_RETRY = {"X-Slack-No-Retry": "1"}


def probe(request: Request) -> Reply | None:
    """Answer Slack's certificate probe, which is not reliably signed, with nothing; nothing else in it is read."""
    if request.media_type != FORM or b"ssl_check" not in request.body:
        return None
    try:
        fields = payload.form(request.body)
    except InvalidPayload:
        return None
    return Reply() if fields.get("ssl_check") == "1" else None


def handshake(content: Content) -> Reply | None:
    """Echo the challenge of a url_verification, whose signature has been checked."""
    if content.request.media_type == FORM:
        return None
    document = content.json()
    if not isinstance(document, dict) or document.get("type") != "url_verification":
        return None
    challenge = document.get("challenge")
    if not isinstance(challenge, str) or not challenge.isprintable() or len(challenge) > MAX_CHALLENGE_LENGTH:
        raise BodyMalformed("the challenge is not a printable text of at most 512 characters")
    return Reply(body=challenge.encode())


def describe(content: Content, _: Proof) -> Facts:
    """Tell the three families apart by media type and by the *fields* of the form, never by substrings."""
    if content.request.media_type != FORM:
        return _describe_event(_object(content.json()))
    fields = content.form()
    if "payload" in fields:
        return _describe_interaction(_interaction(fields["payload"]))
    if "command" in fields:
        return Facts(id=_of_app(fields, _digest(fields.get("trigger_id"))), type="command", id_at="form:trigger_id")
    raise BodyMalformed("the form has neither a payload nor a command field")


def _describe_event(envelope: dict[str, Any]) -> Facts:
    """https://docs.slack.dev/apis/events-api#callback-field."""
    if envelope.get("type") == "app_rate_limited":
        minute = envelope.get("minute_rate_limited")
        key = f"{envelope.get('team_id')}:rate:{minute}"
        at = "json:/minute_rate_limited"
        return Facts(id=_of_app(envelope, key), type="app_rate_limited", time=to_milliseconds(minute), id_at=at)
    event = envelope.get("event")
    event = event if isinstance(event, dict) else {}
    time = to_milliseconds(event.get("event_ts")) or to_milliseconds(envelope.get("event_time"))
    return Facts(
        id=_of_app(envelope, envelope.get("event_id")),
        type=str(event.get("type") or envelope.get("type") or ""),
        time=time,
        id_at="json:/event_id",
    )


def _describe_interaction(interaction: dict[str, Any]) -> Facts:
    """https://docs.slack.dev/reference/interaction-payloads; the ids are hashed, as a trigger_id is a credential."""
    action_ts = interaction.get("action_ts") or follow(interaction, ["actions", "0", "action_ts"])
    user = follow(interaction, ["user", "id"])
    view = [follow(interaction, ["view", name]) for name in ("id", "hash")]
    key = _digest(interaction.get("trigger_id")) or _digest(*view, user)
    key = key or _digest(action_ts, interaction.get("callback_id"), user)
    return Facts(
        id=_of_app(interaction, key),
        type=str(interaction.get("type") or ""),
        time=to_milliseconds(action_ts),
        id_at="form:payload",
    )


def _of_app(document: dict[str, Any], key: Any) -> str:
    """Put the app before the key: one source may serve several apps, whose ids need not differ."""
    if not key or not isinstance(key, str):
        return ""
    app = document.get("api_app_id")
    return f"{app}:{key}" if app else key


def _digest(*parts: Any) -> str:
    """Return a short digest of the parts; empty when the first of them is missing."""
    if not parts[0]:
        return ""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:32]


def _interaction(text: str) -> dict[str, Any]:
    try:
        return _object(payload.loads(text.encode()))
    except InvalidPayload as error:
        raise BodyMalformed("the form's payload field is not JSON") from error


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BodyMalformed("the payload is not a JSON object")
    return value


PROVIDER = Provider(
    name="slack",
    title="Slack",
    docs="https://docs.slack.dev/authentication/verifying-requests-from-slack",
    read_from=("docs: docs.slack.dev", "official test vector (recomputed): slackapi/python-slack-sdk"),
    notes=(
        "Interactivity and slash commands are never sent again, and what they answer is shown to the user.",
        "With Delayed Events, a setting of the app, an event is tried hourly for 24 hours more.",
    ),
    transform="transforms.slack:transform",
    register_at="api.slack.com/apps > your app > Event Subscriptions, Interactivity & Shortcuts, Slash Commands",
    secret_at="Basic Information > App Credentials > Signing Secret (not Client Secret or Verification Token)",  # noqa: S106 - where it is
    schemes=(
        Scheme(
            header="X-Slack-Signature",
            prefix="v0=",
            signed="v0:{timestamp}:{body}",
            timestamp="header:X-Slack-Request-Timestamp",
            tolerance_seconds=300,
        ),
    ),
    describe=describe,
    probe=probe,
    handshake=handshake,
    # What is signed and cannot be read will not be readable on the next try.
    answers={
        "accepted": Change(body=""),
        "malformed": Change(headers=_NO_RETRY),
        "encoding_unsupported": Change(headers=_NO_RETRY),
    },
    retries=Retries(
        horizon_hours=25,
        checked=True,
        note="at once, after 1 minute and after 5 minutes; with Delayed Events hourly for 24 hours",
        disables="more than 95 % failures within 60 minutes, above 1,000 events per hour",
        disables_after_hours=1,
    ),
    answer_seconds=3,
)
