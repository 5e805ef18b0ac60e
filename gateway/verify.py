"""Verify a request against its source. Pure: no I/O, no clock, no logging; the only maker of a Delivery."""

from __future__ import annotations

from urllib.parse import unquote_plus

from gateway import dedupe, handshake_answers, multipart, payload, signatures
from gateway.dedupe import Digest
from gateway.delivered import delivered
from gateway.errors import InvalidPayload
from gateway.locators import Content, compile_locator, first_at, to_milliseconds
from gateway.model import Delivery, Learned, Reply, Request
from gateway.providers import Facts
from gateway.rejections import (
    BodyMalformed,
    MethodNotAllowed,
    SecretExpired,
    SecretMissing,
    SignatureMismatch,
    VerificationError,
)
from gateway.signatures import Proof
from gateway.sources import Source

MAX_ID_LENGTH = 255
UNVERIFIED = "unverified:"


def verify(request: Request, source: Source, now: int, traceparent: str = "") -> Delivery | Reply | Learned:
    """Return the delivery that `request` is, or the reply to a handshake; `now` is unix milliseconds.

    Where the source does not enforce verification, a request that fails it is a delivery too, with the failure as its
    `doubt`; only a handshake needs the signature all the same, as its answer may prove that we know the secret.

    Raises RequestRejected, and nothing else, whatever the request holds.
    """
    provider = source.provider
    live = source.at(now)
    if (provider.probe or source.handshakes) and (reply := _answer_unsigned(request, live)):
        return reply
    if request.method != "POST":
        raise no_handshake(request.method, source)
    inner = multipart.unwrap(request, provider.payload_field) if provider.payload_field else request
    proof, digest, failure = _examine(inner, source, live, now)
    if failure and (reply := _answer_anyone(request, live)):
        return reply
    if failure and source.enforced:
        try:
            raise failure
        finally:
            del failure  # else its traceback would hold it, by this frame, until the garbage collector finds that
    content = _decode(inner, source, proof)
    if (provider.handshake or source.handshakes) and (reply := _answer_signed(content, live)):
        if failure:
            raise failure
        return reply
    facts = _describe(content, source, proof if not failure else _claimed(content, source))
    return delivered(
        source.name,
        provider.name,
        (UNVERIFIED if failure else "") + (facts.id or dedupe.stand_in(inner, proof, source.equal_bodies)),
        facts.type,
        request.received_at,
        request.body,
        facts.time,
        facts.version,
        _kept_headers(request, source),
        _kept_query(request, source) if request.query else "",
        content.data,
        live.label(proof.secret),
        source.verified and not failure,
        f"{failure.label}: {failure}" if failure else "",
        traceparent,
        digest(inner, proof, facts.id_at if facts.id else dedupe.BODY),
        proof.timestamp,
    )


def _answer_unsigned(request: Request, source: Source) -> Reply | Learned | None:
    """Answer what the provider does not sign; a POST with a signature could be a delivery, so that is checked first."""
    if source.provider.probe and (reply := source.provider.probe(request)):
        return reply
    if not source.handshakes or (request.method == "POST" and _carries_signature(request, source)):
        return None
    return _answer_anyone(request, source)


def _answer_anyone(request: Request, source: Source) -> Reply | Learned | None:
    if not source.handshakes:
        return None
    return handshake_answers.answer(Content(request, request.body), source.means, verified=False)


def _answer_signed(content: Content, source: Source) -> Reply | Learned | None:
    """Answer the handshakes of a verified request, which is a delivery where it is none."""
    if source.provider.handshake and (reply := source.provider.handshake(content)):
        return reply
    return handshake_answers.answer(content, source.means, verified=True) if source.handshakes else None


def no_handshake(method: str, source: Source) -> MethodNotAllowed:
    """Say that a method is not one that deliveries come with."""
    kinds = ", ".join(handshake.kind for handshake in source.handshakes if handshake.method == method)
    only = f", which is for the handshakes {kinds} alone" if kinds else ""
    return MethodNotAllowed(
        f"webhooks are sent with POST, not {method}{only}; a redirect in front turns a POST into a GET, so register "
        "the final URL",
        ", ".join(sorted(source.methods)),
    )


def _carries_signature(request: Request, source: Source) -> bool:
    return any(request.values(name) for scheme in source.schemes for name in scheme.headers)


def _examine(
    request: Request, source: Source, live: Source, now: int
) -> tuple[Proof, Digest, VerificationError | None]:
    """Check the signature, and return what it proved and its digest, or why it proves nothing."""
    if not source.verified:
        return Proof(), dedupe.no_digest, None
    try:
        return (*_prove(request, source, live, now), None)
    except VerificationError as failure:
        return Proof(), dedupe.no_digest, failure


def _prove(request: Request, source: Source, live: Source, now: int) -> tuple[Proof, Digest]:
    """Check the signature with the secrets that match now. Raises SecretExpired where one does that did before."""
    if source.secrets and not live.secrets:
        raise SecretMissing("every secret of the source has passed its not_after; give it the one that the sender uses")
    try:
        return _prove_with(request, live, now)
    except SignatureMismatch as mismatch:
        if live is not source and (label := _matching_before(request, source, now)):
            raise SecretExpired(
                f"the signature is one of the secret {label}, whose not_after has passed; have the sender use the new "
                "one, or set a later not_after"
            ) from None
        if explain := source.provider.explain_mismatch:
            raise SignatureMismatch(f"{mismatch}; {explain(request)}") from None
        raise


def _matching_before(request: Request, source: Source, now: int) -> str | None:
    try:
        return source.label(_prove_with(request, source, now)[0].secret)
    except VerificationError:
        return None


def _prove_with(request: Request, source: Source, now: int) -> tuple[Proof, Digest]:
    """Check the signature by the first scheme that finds one in the request; there is no fallback to a later one."""
    if source.awaits_secret:
        raise SecretMissing("the source has no secret yet; start the handshake at the sender, whose first one gives it")
    if source.provider.check:
        return source.provider.check(request, source.secrets, now), next(iter(source.digests), dedupe.no_digest)
    for check, digest in zip(source.checks, source.digests, strict=True):
        if proof := check(request, now):
            if source.handshakes:
                _refuse_answered(source, proof.signed)
            return proof, digest
    raise signatures.unsigned(request, source.schemes)


def _refuse_answered(source: Source, signed: bytes) -> None:
    """Refuse what anyone can have signed by asking for a handshake: such a signature proves nothing."""
    for handshake in source.handshakes:
        if handshake.can_sign(signed):
            raise SignatureMismatch(
                f"the signed bytes are ones that the handshake {handshake.kind} signs for whoever asks; "
                "a delivery of this sender never consists of them alone"
            )


def _claimed(content: Content, source: Source) -> Proof:
    """Return what an unverified request says of itself where a verified one would have proved it."""
    claimed, _ = first_at([compile_locator(scheme.id) for scheme in source.schemes if scheme.id], content)
    return Proof(id=_text(claimed))


def _decode(request: Request, source: Source, proof: Proof) -> Content:
    """Undo the Content-Encoding, which is not done before the wire bytes are verified."""
    data = request.body
    if encodings := request.values("content-encoding"):
        data = payload.decode(data, ", ".join(encodings), source.body_limit)
    if not source.provider.binary:
        try:
            payload.text(data)
        except InvalidPayload as error:
            raise BodyMalformed(f"{error}, and {source.provider.name} sends text in UTF-8") from error
    return Content(request, data, proof.fields)


def _describe(content: Content, source: Source, proof: Proof) -> Facts:
    if source.provider.describe:
        facts = source.provider.describe(content, proof)
    else:
        name, at = (proof.id, "") if proof.id else first_at(source.id, content)
        kind, version = source.read_type(content), source.read_version(content)
        facts = Facts(
            name if isinstance(name, str) else _text(name),
            kind if isinstance(kind, str) else _text(kind),
            to_milliseconds(source.read_time(content)),
            (version if isinstance(version, str) else _text(version)) or None,
            at,
        )
    told = f"{facts.id}{facts.type}{facts.version or ''}"
    if told.isprintable() and len(told) <= MAX_ID_LENGTH:  # all of them, so each of them
        return facts
    for what, text in (("id", facts.id), ("type", facts.type), ("version", facts.version or "")):
        if not text.isprintable() or len(text) > MAX_ID_LENGTH:
            raise BodyMalformed(f"the delivery's {what} is not a printable text of at most {MAX_ID_LENGTH} characters")
    return facts


def _text(value: object) -> str:
    """Read a located value as text; anything but text and whole numbers tells nothing."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _kept_query(request: Request, source: Source) -> str:
    """Return the query as it came, without the parameters that hold the secret."""
    secret = source.secret_params
    if not secret or not request.query:
        return request.query
    parts = request.query.split("&")
    return "&".join(part for part in parts if unquote_plus(part.partition("=")[0]) not in secret)


def _kept_headers(request: Request, source: Source) -> dict[str, str]:
    """Return the headers without credentials and signatures; repeated ones are joined as RFC 9110 §5.3 does."""
    dropped = source.secret_headers
    if not request.repeats:
        return {name: value for name, value in request.headers if name not in dropped}
    kept: dict[str, str] = {}
    for name, value in request.headers:
        if name not in dropped:
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept
