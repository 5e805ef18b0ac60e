"""Contentful: https://www.contentful.com/developers/docs/webhooks/request-verification/.

It signs the method, the path, a list of headers that the request names, and the body. The list is what data cannot say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, urlsplit

from gateway.model import Request
from gateway.providers.contract import Provider, Retries
from gateway.rejections import HeaderMalformed, HeaderMissing, HeaderRepeated
from gateway.scheme import Scheme
from gateway.signatures import Proof, parse_timestamp, require_recent
from gateway.signatures import check as check_scheme

MAX_SIGNED_HEADERS = 32
TOLERANCE_SECONDS = 30

# The body of this scheme is the text that Contentful signs.
SCHEME = Scheme(header="X-Contentful-Signature")

_LIST = "x-contentful-signed-headers"
_TIMESTAMP = "x-contentful-timestamp"
_NOT_ESCAPED = "!#$&'()*+,/:;=?@-._~"


def check(request: Request, secrets: Sequence[str], now: int) -> Proof:
    """Verify the text that is signed, and then the signed time; `now` is unix milliseconds."""
    text = signed_text(request)
    keys = [SCHEME.decode_key(secret) for secret in secrets]
    proof = check_scheme(replace(request, body=text), SCHEME, keys, now)
    sent_at = parse_timestamp(_only(request, _TIMESTAMP), "ms")
    require_recent(sent_at, now, TOLERANCE_SECONDS)
    return proof._replace(timestamp=sent_at)


def signed_text(request: Request) -> bytes:
    """Return the method, the path, the listed headers and the body, each on a line of its own.

    https://github.com/contentful/node-apps-toolkit, signRequest. Raises HeaderMissing, HeaderMalformed, HeaderRepeated.
    """
    names = sorted(_only(request, _LIST).split(","))
    if len(names) > MAX_SIGNED_HEADERS or len(set(names)) < len(names):
        raise HeaderMalformed(f"{_LIST} names a header twice, or more than {MAX_SIGNED_HEADERS}")
    if not {_LIST, _TIMESTAMP} <= set(names):
        raise HeaderMalformed(f"{_LIST} leaves out itself or {_TIMESTAMP}, so anyone could change them")
    headers = ";".join(f"{name}:{_only(request, name).strip()}" for name in names)
    return "\n".join([request.method, _path(request), headers, ""]).encode() + request.body


def _path(request: Request) -> str:
    """Return the public path, escaped as encodeURI does, and a query escaped before that as a whole."""
    path = urlsplit(request.url).path if request.url else request.path
    escaped = f"{path}?{quote(request.query, safe='!()*-._~' + chr(39))}" if request.query else path
    return quote(escaped, safe=_NOT_ESCAPED)


def _only(request: Request, name: str) -> str:
    """Return the value of a header that must occur exactly once."""
    values = request.values(name)
    if not values:
        raise HeaderMissing(f"the header {name} is missing, and it is part of what is signed")
    if len(values) > 1:
        raise HeaderRepeated(f"the header {name} occurs {len(values)} times; a proxy may have joined two requests")
    if not (values[0].isascii() and values[0].isprintable()):
        raise HeaderMalformed(f"the header {name} is not printable ASCII")
    return values[0]


PROVIDER = Provider(
    name="contentful",
    title="Contentful",
    docs="https://www.contentful.com/developers/docs/webhooks/request-verification/",
    read_from=("official source: contentful/node-apps-toolkit src/requests",),
    transform="transforms.generic:transform",
    register_at="the space > Settings > Webhooks > Add Webhook",
    secret_at="the space > Settings > Webhooks > Settings > Enable request verification",  # noqa: S106 - where it is
    schemes=(SCHEME,),
    check=check,
    type=("header:X-Contentful-Topic",),
    time=("json:/sys/updatedAt",),
    retries=Retries(note="up to 99 tries, as the webhook is configured"),
    notes=(
        "The path is signed, so [server] public_url must be what is registered.",
        "Contentful allows 30 seconds between signing and receipt.",
        "The topic is a header, and signed only when the list of signed headers names it.",
    ),
)
