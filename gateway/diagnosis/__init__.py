"""Find out why a request was rejected, by trying the likely causes. Pure: it explains and never accepts."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping

from gateway.diagnosis import bodies, forms, hints, labels, secrets, times
from gateway.diagnosis.findings import Case, Cause, Finding
from gateway.diagnosis.tries import fitting_body
from gateway.model import Request
from gateway.sources import Source

__all__ = ["Cause", "Finding", "explain", "explain_label", "explain_unknown"]

MOST_FINDINGS = 4


def explain(
    request: Request, label: str, source: Source, sources: Mapping[str, Source], now: int
) -> tuple[Finding, ...]:
    """Return why a request was rejected with `label`, the most likely cause first; `now` is unix milliseconds.

    There is at least one finding. Proven ones leave no room for guesses.
    """
    case = Case(request, label, source, sources, now)
    proven = next((found for ask in _PROOFS if (found := next(iter(ask(case)), None))), None) if _asks(case) else None
    if proven:
        return (proven,)
    likely = list(_guesses(case))
    return tuple(likely[:MOST_FINDINGS]) or (labels.explain(case),)


def explain_label(request: Request, label: str, source: Source) -> Finding:
    """Return what a label alone tells, without a look at the body."""
    return labels.explain(Case(request, label, source, {}, request.received_at))


def explain_unknown(path: str, sources: Iterable[str]) -> Finding:
    """Return why a request to a path that is no source's got nowhere."""
    names = list(sources)
    tried = path.removeprefix("/webhooks").strip("/").partition("/")[0]
    close = difflib.get_close_matches(tried.lower(), names, n=1)
    if close:
        sentence = f"the path is not that of source {close[0]}, although it resembles it"
        return Finding(Cause.URL_NAME, sentence, f"register /webhooks/{close[0]} in its place")
    known = ", ".join(f"/webhooks/{name}" for name in sorted(names)[:20])
    return Finding(Cause.URL_NAME, "no source has this path; strangers try such ones too", f"register one of {known}")


def _asks(case: Case) -> bool:
    """Tell whether there is a signature to ask about."""
    return bool(case.source.verified and case.source.keys) and case.label.startswith(
        ("signature_", "timestamp_", "header_", "field_", "requirement_")
    )


def _rewritten(case: Case) -> Iterator[Finding]:
    if form := fitting_body(case.request, case.source, bodies.rewritten(case.request)):
        via = ", ".join(name for name in ("via", "x-forwarded-for", "forwarded") if case.request.values(name))
        yield Finding(
            Cause.BODY_REWRITTEN,
            f"the signature fits the body {form}: something between {case.title} and the gateway rewrote it"
            + (f" (headers of proxies: {via})" if via else ""),
            "let proxies and forwarders pass the body on byte for byte, as received",
            proven=True,
        )


def _decoded(case: Case) -> Iterator[Finding]:
    if form := fitting_body(case.request, case.source, bodies.decoded(case.request)):
        yield Finding(
            Cause.BODY_DECODED,
            f"the signature fits the body {form}, and the bytes on the wire are what is checked",
            'set signature.signed_encoding = "decoded", or keep the proxy from compressing requests',
            proven=True,
        )


Ask = Callable[[Case], Iterator[Finding]]
_PROOFS: tuple[Ask, ...] = (
    times.of_the_clock,
    secrets.of_another_source,
    secrets.in_another_form,
    _decoded,
    _rewritten,
    forms.of_the_url,
    forms.of_the_signature,
    forms.of_the_signed_content,
    secrets.meant_for_another_source,
)


def _guesses(case: Case) -> Iterator[Finding]:
    match case.label:
        case "signature_mismatch":
            yield from hints.of_the_provider(case)
            yield from secrets.of_another_kind(case)
            yield from hints.of_the_body(case)
        case "signature_missing" | "header_missing":
            yield from hints.of_the_headers(case)
        case "signature_malformed":
            yield from hints.of_the_headers(case)
