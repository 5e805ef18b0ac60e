"""Handshakes: how a provider tests a URL before or between deliveries, as data that is checked when made. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.locators import Locator, compile_locator

TOKEN_PATTERN = r"[A-Za-z0-9._~-]{1,128}"  # noqa: S105 - a grammar, not a secret
MAX_TOKEN_LENGTH = 1_024
MAX_SIGNED_BYTES = 8 * MAX_TOKEN_LENGTH

Method = Literal["GET", "HEAD", "POST"]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")
_FIXED_HEADERS = {"connection", "content-length", "content-type", "set-cookie", "transfer-encoding"}
_LOCATED = ("header:", "json:/", "form:", "query:")


@dataclass(frozen=True, slots=True)
class Mac:
    """What `{mac}` in an answer is: a digest of `signed` under the source's first secret, or without one (`hash`)."""

    signed: str = "{token}"
    method: Literal["hmac", "hash"] = "hmac"
    algorithm: Literal["sha256", "sha1", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64", "base64url"] = "hex"
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Handshake:
    """One kind of handshake and its answer. Every field is a key of `[[sources.<name>.handshake]]`.

    A request is this handshake when its method is, every locator of `when` gives its literal (or, for "", anything),
    `token` is there, and the body is empty where `empty_body` says so. Of these, one that is `signed` is answered only
    after the signature was checked. The token must match `token_pattern` as a whole. All of `require` must hold, else
    the answer is `otherwise_status` without a body. `body` or `json`, and `headers`, are texts with `{token}`, `{mac}`,
    `{param:<name>}`, `{url}` and `{url_base}`; those of `require` may hold locators too. With `learn` the token becomes
    the source's secret.

    Raises ValueError, with a sentence, when it cannot be answered or would answer deliveries.
    """

    kind: str
    method: Method = "POST"
    when: Mapping[str, str] = field(default_factory=dict)
    empty_body: bool = False
    signed: bool = True
    token: str = ""
    token_pattern: str = TOKEN_PATTERN
    require: tuple[tuple[str, str], ...] = ()
    status: int = 200
    otherwise_status: int = 401
    type: str = ""
    body: str = ""
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    mac: Mac | None = None
    learn: bool = False
    conditions: tuple[tuple[str, Locator, str], ...] = field(init=False, repr=False, compare=False)
    forged: re.Pattern[bytes] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "require", tuple((left, right) for left, right in self.require))
        _check_answer(self)
        _check_moment(self)
        _check_token(self)
        _check_texts(self)
        wanted = {**({self.token: ""} if self.token else {}), **self.when}
        conditions = tuple((where, compile_locator(where), literal) for where, literal in wanted.items())
        object.__setattr__(self, "conditions", conditions)
        object.__setattr__(self, "forged", self._compile_forged())

    def can_sign(self, message: bytes) -> bool:
        """Tell whether anyone can have this message signed with the source's secret, by asking for this handshake."""
        return bool(self.forged and len(message) <= MAX_SIGNED_BYTES and self.forged.fullmatch(message))

    @property
    def params(self) -> frozenset[str]:
        """The names of the operator's constants that the answer needs, `{param:<name>}`."""
        return frozenset(name.removeprefix("param:") for name in placeholders(self) if name.startswith("param:"))

    @property
    def needs_url(self) -> bool:
        """Whether the answer holds the source's public URL."""
        return bool({"url", "url_base"} & set(placeholders(self)))

    def _compile_forged(self) -> re.Pattern[bytes] | None:
        if self.signed or not self.mac or self.mac.method == "hash":
            return None
        pieces = _PLACEHOLDER.split(self.mac.signed)
        free = {"token": f"(?:{self.token_pattern})"}
        grammar = [free.get(text, "(?s:.*)") if index % 2 else re.escape(text) for index, text in enumerate(pieces)]
        return re.compile("".join(grammar).encode())


def placeholders(handshake: Handshake) -> Iterator[str]:
    """Yield what stands between braces in every text of a handshake."""
    for _, text in _texts(handshake):
        yield from _PLACEHOLDER.findall(text)


def _texts(handshake: Handshake) -> Iterator[tuple[str, str]]:
    """Yield every text that is filled in, with the key that it is under."""
    yield "body", handshake.body
    yield from (("json", text) for text in _leaves(handshake.json))
    yield from (("headers", text) for text in handshake.headers.values())
    yield from (("require", text) for pair in handshake.require for text in pair)
    if handshake.mac:
        yield "mac.signed", handshake.mac.signed


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _leaves(item)
        case list() | tuple():
            for item in value:
                yield from _leaves(item)


def _check_answer(handshake: Handshake) -> None:
    if not handshake.kind:
        raise ValueError("kind is empty; name the handshake for the log")
    if handshake.method not in {"GET", "HEAD", "POST"}:
        raise ValueError("method is none of GET, HEAD and POST")
    if handshake.status not in range(200, 300):
        raise ValueError("status is not one of success; providers take no other for an answered handshake")
    if handshake.otherwise_status not in range(400, 500) or handshake.otherwise_status in {403, 410}:
        raise ValueError("otherwise_status is not 4xx, or is 403 or 410, on which senders give up for good; use 401")
    if handshake.body and handshake.json is not None:
        raise ValueError("body and json are both there; an answer has one of them")
    if handshake.type and (not _MEDIA_TYPE.fullmatch(handshake.type) or "html" in handshake.type):
        raise ValueError('type is no media type, or one that a browser runs; write one such as "text/plain"')
    for name in handshake.headers:
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _FIXED_HEADERS:
            raise ValueError(f"{name!r} is no header that an answer can set")


def _check_moment(handshake: Handshake) -> None:
    """Refuse what would never be answered, and what would answer a delivery in place of keeping it."""
    if handshake.method != "POST" and handshake.signed:
        raise ValueError(f"a {handshake.method} has no signed body, so signed = true cannot hold; set signed = false")
    if handshake.method == "POST" and not (handshake.when or handshake.token or handshake.empty_body):
        raise ValueError("without when, token or empty_body every delivery would be this handshake; set one of them")
    for where in handshake.when:
        if not where.startswith(_LOCATED):
            raise ValueError(f"when: {where!r} is not header:<name>, json:/<pointer>, form:<field> or query:<name>")


def _check_token(handshake: Handshake) -> None:
    if handshake.token and not handshake.token.startswith(_LOCATED):
        raise ValueError("token is not header:<name>, json:/<pointer>, form:<field> or query:<name>")
    try:
        re.compile(handshake.token_pattern)
    except re.error as error:
        raise ValueError(f"token_pattern is not a regular expression: {error}") from error
    if handshake.learn and not handshake.token:
        raise ValueError("learn needs token, which says where the secret is")
    if handshake.learn and (handshake.mac or handshake.signed):
        raise ValueError("learn takes the secret that nothing is signed with yet; set signed = false and remove mac")


def _check_texts(handshake: Handshake) -> None:
    """Refuse placeholders that nothing would fill."""
    known = {"url", "url_base"} | ({"token"} if handshake.token else set())
    for key, text in _texts(handshake):
        if "{" in _PLACEHOLDER.sub("", text) or "}" in _PLACEHOLDER.sub("", text):
            raise ValueError(f"{key} has a brace that opens or closes no placeholder; write JSON under json")
        here = known | ({"mac"} if handshake.mac and key != "mac.signed" else set())
        for name in _PLACEHOLDER.findall(text):
            if key == "require" and name.startswith(_LOCATED):
                compile_locator(name)
            elif name not in here and not (name.startswith("param:") and name != "param:"):
                raise ValueError(
                    f"{key} has {{{name}}}, which is not there; known are {', '.join(sorted(here))} and param:<name>, "
                    "and in require locators; of a request the token alone is ever sent back, as it has a grammar"
                )
