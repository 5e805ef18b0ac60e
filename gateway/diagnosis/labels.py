"""What each label of a rejection means where nothing more can be told. Pure."""

from __future__ import annotations

from gateway.diagnosis.findings import Case, Cause, Finding

_MEANINGS: dict[str, tuple[Cause, str, str]] = {
    "unknown_source": (
        Cause.URL_NAME,
        "the URL does not end as that of this source does: its path token is wrong or missing, or it has none",
        "register the URL that `gateway sources --reveal` prints ({register_at})",
    ),
    "address_refused": (
        Cause.CONFIGURATION,
        "whoever sent it has an address that the source's allow does not hold",
        "compare allow with the addresses that {title} publishes, and server.trusted_proxies with the proxies in front",
    ),
    "secret_expired": (
        Cause.CONFIGURATION,
        "the signature is one of a secret whose not_after has passed, so {title} still uses the old one",
        "have {title} use the new secret ({secret_at}), or set a later not_after until it does",
    ),
    "signature_mismatch": (
        Cause.SECRET_UNKNOWN,
        "the signature is well formed and none of the configured secrets made it, in no form that was tried",
        "copy the secret again from {secret_at}; if it is right, something changed the body on its way",
    ),
    "signature_missing": (
        Cause.UNSIGNED,
        "the request has the signature's header, and no signature in it",
        "check signature.key and signature.prefix against what {title} sends",
    ),
    "signature_malformed": (
        Cause.SIGNATURE_FORM,
        "the signature is not written as configured",
        "check signature.algorithm, .encoding and .prefix against what {title} sends",
    ),
    "header_missing": (
        Cause.HEADERS_DROPPED,
        "a header that is part of the signed content is missing",
        "have the proxies in front pass on every header of the request",
    ),
    "header_repeated": (
        Cause.HEADER_REPEATED,
        "a header that decides something occurs more than once",
        "find the proxy that adds or joins headers, and have it pass them on as received",
    ),
    "header_malformed": (
        Cause.HEADER_ALTERED,
        "a header that is part of the signed content is not printable ASCII, or too long",
        "find what rewrites the header on its way; {title} does not send it so",
    ),
    "field_missing": (
        Cause.SIGNED_CONTENT,
        "a field of the body, the form or the query that is part of the signed content is missing",
        "check signature.signed against what {title} sends, and that no proxy cuts the query off",
    ),
    "field_repeated": (
        Cause.HEADER_REPEATED,
        "a field of the form or the query that decides something occurs more than once",
        "register the URL without a query of your own, and find what adds fields on the way",
    ),
    "field_malformed": (
        Cause.BODY_FORMAT,
        "the body, form or query cannot be read, and a part of it is signed or is the signature",
        "check the content type chosen where the URL is registered ({register_at})",
    ),
    "requirement_unmet": (
        Cause.BODY_REWRITTEN,
        "two parts of the request that must be equal differ, such as the body and its signed hash",
        "let proxies and forwarders pass the body on byte for byte; check signature.require if you wrote it",
    ),
    "handshake_refused": (
        Cause.CONFIGURATION,
        "the handshake does not show what it has to, such as the verify token",
        "enter the same verify token here and where the URL is registered ({register_at})",
    ),
    "handshake_malformed": (
        Cause.OTHER_PROVIDER,
        "the handshake's token is not one that {title} sends, and answering others would sign what strangers write",
        "nothing, if the URL is registered with {title}; else make a source for who sends it",
    ),
    "handshakes_too_many": (
        Cause.METHOD,
        "handshakes come faster than {title} sends them, so somebody probes the URL",
        "nothing; they are answered again after a pause",
    ),
    "timestamp_malformed": (
        Cause.TIMESTAMP_UNIT,
        "the signed time is not written in the configured unit",
        "set signature.timestamp_unit to how {title} writes it",
    ),
    "timestamp_stale": (
        Cause.CLOCK,
        "the signed time is too far behind this host's clock",
        "check that this host's clock follows NTP, and what holds requests back",
    ),
    "timestamp_in_future": (
        Cause.CLOCK,
        "the signed time is ahead of this host's clock",
        "check that this host's clock follows NTP",
    ),
    "method_not_allowed": (
        Cause.METHOD,
        "the request was not a POST: a browser or a probe asked, or a redirect turned the POST into a GET",
        "register the final URL: https, the right host, no redirect in front of the gateway",
    ),
    "body_too_large": (
        Cause.BODY_LIMIT,
        "the body is over the source's limit",
        "set body_limit_bytes of the source, and the like of the proxies in front, above what {title} sends",
    ),
    "body_timeout": (
        Cause.BODY_CUT,
        "the body did not arrive in time",
        "look at the network and at proxies that hold bodies back; server.body_timeout_seconds is the limit",
    ),
    "body_malformed": (
        Cause.BODY_FORMAT,
        "the body is not what {title} sends, although nothing was wrong with its signature",
        "check the content type chosen where the URL is registered ({register_at})",
    ),
    "encoding_unsupported": (
        Cause.BODY_FORMAT,
        "the Content-Encoding is none of gzip, deflate and identity",
        "have the sender, or the proxy that compresses, use gzip or nothing",
    ),
    "encoding_invalid": (
        Cause.BODY_CUT,
        "the body does not decode as its Content-Encoding says",
        "find the proxy that decompressed the body and kept the header, or cut the body short",
    ),
    "secret_missing": (
        Cause.CONFIGURATION,
        "the source has no usable secret, so nothing can be verified",
        "set the secret of the source; `gateway check` names the variable",
    ),
}


def explain(case: Case) -> Finding:
    """Return what the label alone tells."""
    cause, sentence, remedy = _MEANINGS.get(
        case.label,
        (Cause.UNKNOWN, "the request was rejected as the reason says", "see the log line of the request"),
    )
    facts = {
        "title": case.title,
        "secret_at": case.source.provider.secret_at,
        "register_at": case.source.provider.register_at,
    }
    return Finding(cause, sentence.format(**facts), remedy.format(**facts))
