"""The forms a body may have had before something between sender and gateway rewrote it. Pure."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

from gateway import forms, payload
from gateway.model import Request
from gateway.rejections import RequestRejected

MAX_REWRITTEN = 262_144
FORM = "application/x-www-form-urlencoded"
BOM = b"\xef\xbb\xbf"

# Fractions are carried through as marked texts, since a float would not be written as it was.
_MARK = "\ue000"
_MARKED = re.compile(r'"(?:\ue000|\\ue000)([-+.0-9eE]+)(?:\ue000|\\ue000)"')


def rewritten(request: Request) -> Iterator[tuple[str, bytes]]:
    """Yield a description and the bytes of each form the body may have had; large bodies have none."""
    body = request.body
    if not body or len(body) > MAX_REWRITTEN:
        return
    yield from _line_ends(body)
    # By its look, as some label JSON as a form.
    if body.lstrip()[:1] in {b"{", b"["}:
        yield from _json(body)
    elif request.media_type == FORM:
        yield from _form(body)
    yield from _charsets(body)


def decoded(request: Request) -> Iterator[tuple[str, bytes]]:
    """Yield the body after its Content-Encoding, and compressed where something has decompressed it."""
    encodings = ", ".join(request.values("content-encoding"))
    try:
        yield "after Content-Encoding", payload.decode(request.body, encodings, MAX_REWRITTEN)
    except RequestRejected:
        return
    if not encodings and request.body[:2] == b"\x1f\x8b":
        yield "after gzip", _gunzip(request.body)


def _gunzip(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, MAX_REWRITTEN)
    except zlib.error:
        return body


def _line_ends(body: bytes) -> Iterator[tuple[str, bytes]]:
    unix = body.replace(b"\r\n", b"\n")
    yield "with CRLF in place of LF as line ends", unix.replace(b"\n", b"\r\n")
    yield "with LF in place of CRLF as line ends", unix
    yield "with a line end at its end", body + b"\n"
    yield "with a CRLF at its end", body + b"\r\n"
    yield "without the white space around it", body.strip()
    yield "without the last line end", body.removesuffix(b"\n").removesuffix(b"\r")
    yield "without a byte order mark", body.removeprefix(BOM)
    yield "with a byte order mark", BOM + body


def _json(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the document as the usual serialisers write it, numbers as they were written."""
    try:
        document = json.loads(body, parse_float=lambda text: f"{_MARK}{text}{_MARK}")
    except (ValueError, RecursionError):
        return
    for escaped, letters in ((False, ""), (True, " and letters as \\u escapes")):
        for form, options in _FORMS:
            text = _MARKED.sub(r"\1", json.dumps(document, ensure_ascii=escaped, **options))
            yield f"as {form}{letters}", _encode(text)
            yield f"as {form} with escaped slashes{letters}", _encode(text.replace("/", "\\/"))
            if "indent" in options:
                yield f"as {form} and a line end{letters}", _encode(text + "\n")


_FORMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("compact JSON", {"separators": (",", ":")}),
    ("JSON with blanks after separators", {"separators": (", ", ": ")}),
    ("JSON indented by 2", {"indent": 2}),
    ("JSON indented by 4", {"indent": 4}),
    ("JSON indented by tabs", {"indent": "\t"}),
    ("compact JSON with sorted keys", {"separators": (",", ":"), "sort_keys": True}),
    ("JSON with blanks and sorted keys", {"separators": (", ", ": "), "sort_keys": True}),
)


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _form(body: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=forms.MAX_FIELDS)
    except ValueError:
        return
    yield "as a form with + for blanks", urlencode(pairs, quote_via=quote_plus).encode()
    yield "as a form with %20 for blanks", urlencode(pairs, quote_via=quote).encode()
    yield "as a form with sorted fields", urlencode(sorted(pairs)).encode()
    yield "as a form that leaves * unescaped", urlencode(pairs, quote_via=quote_plus, safe="*").encode()


def _charsets(body: bytes) -> Iterator[tuple[str, bytes]]:
    if body.isascii():
        return
    yield "in UTF-8, which was taken for Latin-1", body.decode("latin-1").encode()
    try:
        yield "in Latin-1, which was turned into UTF-8", body.decode().encode("latin-1")
    except UnicodeError:
        return
