"""What the request itself suggests where nothing could be proven. Pure; what it reads is not verified."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway import payload
from gateway.diagnosis.findings import Case, Cause, Finding
from gateway.diagnosis.senders import who_sends
from gateway.errors import InvalidPayload

MAX_PARSED = 262_144
MAX_NAMES = 24
MAX_TOLD = 3

_APP = re.compile(r"A[A-Z0-9]{6,20}")
_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_PROXY = ("via", "x-forwarded-for", "x-forwarded-proto", "forwarded", "cf-ray", "x-amzn-trace-id")


def of_the_provider(case: Case) -> Iterator[Finding]:
    """Say what is known of Stripe's and Slack's usual mistakes."""
    match case.source.provider.name:
        case "stripe":
            yield from _of_stripe(case, _document(case))
        case "slack":
            yield from _of_slack(case, _document(case))


def _of_stripe(case: Case, event: Mapping[str, Any]) -> Iterator[Finding]:
    """https://docs.stripe.com/webhooks#verify-official-libraries."""
    cli = "for the Stripe CLI take the secret that `stripe listen --print-secret` prints"
    if event.get("account"):
        yield Finding(
            Cause.CONNECTED_ACCOUNT,
            "the event names a connected account, so it came from a Connect endpoint, which has its own secret",
            "add the Connect endpoint's signing secret to secrets",
        )
    if event.get("livemode") is False:
        v0 = (
            " and the header has a v0"
            if any(",v0=" in value for value in case.request.values("stripe-signature"))
            else ""
        )
        yield Finding(
            Cause.TEST_MODE,
            f"the event says livemode = false{v0}: it was sent by test mode, a sandbox or `stripe listen`, which have "
            "secrets of their own",
            f"add the secret of the test endpoint to secrets; {cli}",
        )
    elif event.get("livemode") is True:
        yield Finding(
            Cause.TEST_MODE,
            "the event says livemode = true, so a secret of test mode or of `stripe listen` cannot match",
            "take the signing secret from the live endpoint's page, with test mode off",
        )
    if str(event.get("object", "")) == "event" and b"\n" not in case.request.body.strip():
        yield Finding(
            Cause.BODY_REWRITTEN,
            f"the body is {len(case.request.body)} bytes of compact JSON, and Stripe sends snapshot events indented: "
            f"something between Stripe and the gateway re-serialised it{_through(case)}",
            "let proxies and forwarders pass the body on byte for byte, as received",
        )
    if str(event.get("object", "")) == "v2.core.event":
        yield Finding(
            Cause.SECRET_UNKNOWN,
            "this is a thin event: its event destination is another one than that of snapshot events, with a secret "
            "of its own, and its payload has no data.object",
            "add the signing secret of the thin destination to secrets",
        )


def _of_slack(case: Case, document: Mapping[str, Any]) -> Iterator[Finding]:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    app = document.get("api_app_id")
    named = f"app {app}" if isinstance(app, str) and _APP.fullmatch(app) else "the app you are configuring"
    remedy = (
        "copy the Signing Secret (not the Client Secret, not the Verification Token) from Basic Information > App "
        f"Credentials of {named}"
    )
    if document.get("type") == "url_verification":
        sentence = "a url_verification arrived and is answered only when its signature matches, which it does not"
        yield Finding(Cause.SECRET_UNKNOWN, sentence, remedy)
    elif case.label == "signature_mismatch":
        yield Finding(Cause.SECRET_UNKNOWN, f"the signature is of {named} or of another secret", remedy)


def of_the_headers(case: Case) -> Iterator[Finding]:
    """Tell whose request it looks like, and which headers something on the way may have dropped."""
    wanted = {name for scheme in case.source.schemes for name in scheme.headers}
    present = [name for name, _ in case.request.headers]
    if wanted & set(present):
        return
    seen = ", ".join(name for name in dict.fromkeys(present) if _NAME.fullmatch(name))[: MAX_NAMES * 40]
    for header, names in who_sends(present):
        if case.source.provider.name not in names:
            told = " or ".join(names[:MAX_TOLD]) + (" or another" if len(names) > MAX_TOLD else "")
            yield Finding(
                Cause.OTHER_PROVIDER,
                f"the request has {header}, which {told} sends, and source {case.source.name} takes {case.title}",
                f'register this URL with {case.title} alone, and make a source with provider = "{names[0]}" for {told}',
            )
    missing = " or ".join(dict.fromkeys(scheme.carrier for scheme in case.source.schemes)) or "its signature"
    if any("_" in name for name in wanted):
        yield Finding(
            Cause.HEADERS_DROPPED,
            f"{missing} is missing, and many proxies drop headers whose names have underscores; headers seen: {seen}",
            "in nginx set underscores_in_headers on, or have the sender use another name",
        )
    if proxies := _through(case):
        yield Finding(
            Cause.HEADERS_DROPPED,
            f"{missing} is missing{proxies}, where it may have been dropped; headers seen: {seen}",
            "have the proxy pass on every header of the request",
        )
    yield Finding(Cause.UNSIGNED, f"{missing} is missing; headers seen: {seen or 'none'}", _sign_remedy(case))


def _sign_remedy(case: Case) -> str:
    if case.source.provider.name == "github":
        return "GitHub signs once a secret is set: enter it in the Secret field of the webhook's page"
    return f"check that {case.title} was given a secret ({case.source.provider.secret_at}); else a stranger sent this"


def of_the_body(case: Case) -> Iterator[Finding]:
    """Say that the body is empty, or that something passed the request on."""
    if not case.request.body:
        yield Finding(
            Cause.BODY_EMPTY,
            f"the body is empty{_through(case)}: a redirect or a proxy dropped it, or a stranger probes the URL",
            "register the final URL, as redirects lose the body, and let proxies pass it on",
        )
    elif proxies := _through(case):
        yield Finding(
            Cause.BODY_REWRITTEN,
            f"the request came{proxies}, which may have changed its body",
            "compare the body's length and SHA-256 with what the sender logged",
        )


def _through(case: Case) -> str:
    """Name the headers that proxies leave, with which the request came; empty without any."""
    found = [name for name in _PROXY if case.request.values(name)]
    return f" through a proxy ({', '.join(found)})" if found else ""


def _document(case: Case) -> Mapping[str, Any]:
    """Return the payload if it is a JSON object of moderate size, else nothing."""
    if len(case.request.body) > MAX_PARSED:
        return {}
    try:
        document = payload.loads(case.request.body)
    except InvalidPayload:
        return {}
    return document if isinstance(document, dict) else {}
