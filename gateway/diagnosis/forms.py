"""Whether a signature fits when it, the signed content or the URL is read in another way. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args
from urllib.parse import urlsplit, urlunsplit

from gateway.diagnosis.findings import Case, Cause, Finding
from gateway.diagnosis.tries import fits, schemes_of, untimed
from gateway.scheme import Algorithm, Encoding, Scheme

MAX_CARRIERS = 6

_CARRIER = re.compile(r"sign|hmac|digest|hub-|token|webhook")
_PREFIX = re.compile(r"(?:hmac-)?[a-z]{1,5}[0-9]{0,3}=", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?")
_TIMED = ("{timestamp}.{body}", "{timestamp}{body}", "{timestamp}:{body}", "v0:{timestamp}:{body}")
_NAMED = ("{id}.{timestamp}.{body}", "{id}{timestamp}{body}", "{id}.{body}")


def of_the_signature(case: Case) -> Iterator[Finding]:
    """Find another algorithm, encoding, prefix or header under which the signature fits."""
    for scheme, keys in schemes_of(case.source):
        for changed in _readings(case, scheme):
            if fits(case.request, changed, keys, case.source):
                yield _signature_form(case, scheme, changed)
                return


def _readings(case: Case, scheme: Scheme) -> Iterator[Scheme]:
    usual = (scheme.algorithm, scheme.encoding, scheme.prefix)
    for header in _carriers(case, scheme):
        values = case.request.values(header)
        found = _PREFIX.match(values[0]) if values else None
        prefixes = dict.fromkeys((scheme.prefix, found[0] if found else "", ""))
        for algorithm, encoding, prefix in itertools.product(get_args(Algorithm), _encodings(), prefixes):
            ours = header in scheme.headers
            if (algorithm, encoding, prefix) == usual and ours:
                continue
            changes = {"algorithm": algorithm, "encoding": encoding, "prefix": prefix}
            if changed := untimed(scheme, **changes, **({} if ours else {"header": header, "also": ()})):
                yield changed


def _encodings() -> tuple[Encoding, ...]:
    return ("hex", "base64", "base64url")


def _carriers(case: Case, scheme: Scheme) -> list[str]:
    """Return the headers that may carry the signature: the scheme's own, then those with telling names."""
    present = dict.fromkeys(name for name, _ in case.request.headers)
    ours = [name for name in scheme.headers if name in present]
    others = [name for name in present if name not in ours and _CARRIER.search(name)]
    return [*ours, *others][:MAX_CARRIERS]


def _signature_form(case: Case, scheme: Scheme, changed: Scheme) -> Finding:
    keys = ("header", "algorithm", "encoding", "prefix")
    differing = [key for key in keys if getattr(scheme, key).lower() != getattr(changed, key).lower()]
    told = ", ".join(f"signature.{key} = {_quoted(getattr(changed, key))}" for key in differing)
    if case.is_custom:
        remedy = f"set {told}"
    else:
        remedy = f'this is not how {case.title} signs: see what stands between, or use provider = "hmac" with {told}'
    what = " and ".join(f"another {key}" for key in differing)
    return Finding(Cause.SIGNATURE_FORM, f"the signature is genuine, written with {what}", remedy, proven=True)


def _quoted(text: str) -> str:
    return f'"{text}"'


def of_the_signed_content(case: Case) -> Iterator[Finding]:
    """Find another usual signed content under which the signature fits."""
    for scheme, keys in schemes_of(case.source):
        templates = ["{body}", *(_TIMED if scheme.timestamp else ()), *(_NAMED if scheme.id else ())]
        for template in templates:
            absent = {place: "" for place in ("timestamp", "id") if f"{{{place}}}" not in template}
            if template != scheme.signed and fits(
                case.request, untimed(scheme, signed=template, **absent), keys, case.source
            ):
                yield Finding(
                    Cause.SIGNED_CONTENT,
                    f"the signature is genuine over {template}, not over {scheme.signed}",
                    f'set signature.signed = "{template}"',
                    proven=True,
                )
                return


def of_the_url(case: Case) -> Iterator[Finding]:
    """Find another public URL under which the signature fits; the Host header is a hint, believed once it fits."""
    for scheme, keys in schemes_of(case.source):
        if "{url" not in scheme.signed:
            continue
        for url in _urls(case):
            if url != case.request.url and fits(replace(case.request, url=url), scheme, keys, case.source):
                yield _public_url(case, url)
                return


def _public_url(case: Case, url: str) -> Finding:
    parts, configured = urlsplit(url), urlsplit(case.request.url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if origin == f"{configured.scheme}://{configured.netloc}":
        sentence = "the signature is genuine for the same host with another path or query"
        remedy = f"register {origin}{case.source.path} exactly, with no slash and no query after it"
        return Finding(Cause.PUBLIC_URL, sentence, remedy, proven=True)
    known = f"{configured.scheme}://{configured.netloc}" if case.request.url else "no public URL"
    sentence = f"the signature covers the URL and is genuine for {origin}, and {known} is configured"
    return Finding(Cause.PUBLIC_URL, sentence, f'set server.public_url = "{origin}"', proven=True)


def _urls(case: Case) -> Iterator[str]:
    """Yield the URLs that the sender may have been given."""
    request = case.request
    parts = urlsplit(request.url)
    hosts = [parts.netloc, *request.values("host"), *request.values("x-forwarded-host")]
    for host in dict.fromkeys(host for host in hosts if _HOST.fullmatch(host)):
        bare = host.partition(":")[0]
        for scheme, netloc in itertools.product(("https", "http"), dict.fromkeys((host, bare))):
            ports = ("", ":443" if scheme == "https" else ":80") if netloc == bare else ("",)
            for port, path in itertools.product(ports, _paths(request.path)):
                for query in dict.fromkeys((request.query, "")):
                    yield urlunsplit((scheme, netloc + port, path, query, ""))


def _paths(path: str) -> tuple[str, ...]:
    return (path, path.removesuffix("/") if path.endswith("/") else f"{path}/")
