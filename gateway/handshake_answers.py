"""Answer a handshake: recognise it, check its token, fill in the reply. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway import payload
from gateway.handshakes import MAX_TOKEN_LENGTH, Handshake, Mac
from gateway.locators import Content, compile_locator
from gateway.model import Learned, Reply
from gateway.rejections import BodyMalformed, HandshakeMalformed, HandshakeRefused, SecretMissing

FORM = "application/x-www-form-urlencoded"
MIN_LEARNED_LENGTH = 16
MAX_UNSIGNED_BODY = 16_384

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# Whoever may choose a token must not choose markup for a browser or, where it is signed, anything like a body.
_ECHOED = re.compile(r"[^\x00-\x1f\x7f-\U0010ffff<>{}\"']*")
_SIGNED = re.compile(r"[A-Za-z0-9._~+/=:-]*")


@dataclass(frozen=True, slots=True)
class Means:
    """What a source gives to its answers: HMAC keys and secrets, the operator's constants, and whether it learns."""

    handshakes: tuple[Handshake, ...] = ()
    keys: Sequence[bytes] = field(default=(), repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    learns: bool = False


def answer(content: Content, means: Means, *, verified: bool) -> Reply | Learned | None:
    """Answer the first handshake that the request is, or return None where it is none.

    Before verification only unsigned ones are answered, of requests that are small and not encoded. Raises
    RequestRejected.
    """
    request = content.request
    if not verified and (len(request.body) > MAX_UNSIGNED_BODY or request.values("content-encoding")):
        return None
    for handshake in means.handshakes:
        due = not handshake.learn if verified else not handshake.signed
        if due and _is(content, handshake):
            return _answer(content, handshake, means)
    return None


def _is(content: Content, handshake: Handshake) -> bool:
    request = content.request
    if request.method != handshake.method or (handshake.empty_body and request.body):
        return False
    for where, locate, literal in handshake.conditions:
        found = _read(content, where, locate)
        if found is None or (literal and found != literal):
            return False
    return True


def _read(content: Content, where: str, locate: Callable[[Content], Any]) -> str | None:
    """Return a located value as text, None where it is absent; forms and JSON are told apart by the media type."""
    is_form = content.request.media_type == FORM
    if where.startswith("form:") is not is_form and where.startswith(("form:", "json:")):
        return None
    try:
        found = locate(content)
    except BodyMalformed:
        return None
    match found:
        case None | str():
            return found
        case bool():
            return str(found).lower()
        case int():
            return str(found)
        case [] | {} if not found:
            return "[]" if found == [] else "{}"
    return ""


def _answer(content: Content, handshake: Handshake, means: Means) -> Reply | Learned:
    token = _token(content, handshake)
    filled = Filling(content, handshake, means, token)
    for left, right in handshake.require:
        expected = filled.text(right).encode()
        if not expected or not hmac.compare_digest(filled.text(left).encode(), expected):
            return _otherwise(handshake)
    reply = filled.reply()
    return _learn(token, handshake, means, reply) if handshake.learn else reply


def _token(content: Content, handshake: Handshake) -> str:
    if not handshake.token:
        return ""
    token = _read(content, handshake.token, compile_locator(handshake.token)) or ""
    grammar = _SIGNED if handshake.mac or handshake.learn else _ECHOED
    usable = len(token) <= MAX_TOKEN_LENGTH and grammar.fullmatch(token)
    if not usable or not re.fullmatch(handshake.token_pattern, token):
        raise HandshakeMalformed(f"the token of the handshake {handshake.kind} is not one that its sender makes")
    return token


def _otherwise(handshake: Handshake) -> Reply:
    if handshake.otherwise_status != HandshakeRefused.status:
        return Reply(handshake.otherwise_status, kind=handshake.kind)
    raise HandshakeRefused(
        f"the handshake {handshake.kind} does not hold what this source requires; "
        "compare the constants of the source's params with what the sender was given"
    )


def _learn(token: str, handshake: Handshake, means: Means, reply: Reply) -> Reply | Learned:
    """Take the first token as the secret; later ones must be equal to it."""
    known = any(hmac.compare_digest(token.encode(), secret.encode()) for secret in means.secrets)
    if known or not (means.secrets or means.learns):
        return reply
    if means.secrets:
        raise HandshakeRefused(
            f"the handshake {handshake.kind} offers another secret than the one this source has; if that is the "
            "sender's doing, delete the file of the learned secret, reload, and start the handshake again"
        )
    if len(token) < MIN_LEARNED_LENGTH:
        raise HandshakeMalformed(f"the handshake {handshake.kind} offers a secret shorter than {MIN_LEARNED_LENGTH}")
    return Learned(token, reply)


class Filling:
    """The texts of one handshake's answer, filled in from the request and the source."""

    def __init__(self, content: Content, handshake: Handshake, means: Means, token: str) -> None:
        self._content = content
        self._handshake = handshake
        self._means = means
        self._token = token

    def reply(self) -> Reply:
        """Return the answer."""
        handshake = self._handshake
        document = handshake.json
        if document is None:
            body, kind = self.text(handshake.body).encode(), "text/plain"
        else:
            body, kind = payload.dumps(self._document(document)), "application/json"
        return Reply(
            status=handshake.status,
            body=body,
            content_type=handshake.type or kind,
            headers=tuple((name, self.text(text)) for name, text in handshake.headers.items()),
            kind=handshake.kind,
            rationed=not handshake.signed and bool(handshake.mac or handshake.learn),
        )

    def text(self, template: str) -> str:
        """Fill in one text."""
        return _PLACEHOLDER.sub(lambda match: self._value(match[1]), template)

    def _document(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {key: self._document(item) for key, item in value.items()}
            case list() | tuple():
                return [self._document(item) for item in value]
        return value

    def _value(self, name: str) -> str:
        match name:
            case "token":
                return self._token
            case "mac" if self._handshake.mac:
                return self._mac(self._handshake.mac)
            case "url":
                return self._content.request.url
            case "url_base":
                return self._content.request.url.partition("?")[0]
        if name.startswith("param:"):
            return self._means.params.get(name.removeprefix("param:"), "")
        return _read(self._content, name, compile_locator(name)) or ""

    def _mac(self, mac: Mac) -> str:
        message = self.text(mac.signed).encode()
        if mac.method == "hash":
            digest = hashlib.new(mac.algorithm, message, usedforsecurity=False).digest()
        elif usable := [key for key in self._means.keys if key.strip(b"\0")]:
            digest = hmac.digest(usable[0], message, mac.algorithm)
        else:
            raise SecretMissing("the source has no secret with which this handshake could be answered")
        return mac.prefix + _ENCODERS[mac.encoding](digest)


_ENCODERS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda digest: base64.b64encode(digest).decode(),
    "base64url": lambda digest: base64.urlsafe_b64encode(digest).decode(),
}
