"""Read one field of a multipart/form-data body, in time that grows with the body's length alone. Pure.

https://www.rfc-editor.org/rfc/rfc7578
"""

from __future__ import annotations

import re
from dataclasses import replace

from gateway.model import Request
from gateway.rejections import BodyMalformed

MAX_PARTS = 100

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s";]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'^content-disposition:\s*form-data\s*;[^\r\n]*?\bname="([^"\r\n]*)"', re.IGNORECASE | re.MULTILINE)


def unwrap(request: Request, field: str) -> Request:
    """Return the request with the content of one field as its body; one of another media type as it is.

    Raises BodyMalformed when the field is not there exactly once.
    """
    if request.media_type != "multipart/form-data":
        return request
    boundary = _BOUNDARY.search(request.values("content-type")[0])
    if not boundary:
        raise BodyMalformed("the body is multipart/form-data, and its Content-Type names no boundary")
    parts = _parts(request.body, (boundary[1] or boundary[2]).encode("utf-8", "surrogateescape"))
    contents = [content for name, content in parts if name == field.encode()]
    if len(contents) != 1:
        raise BodyMalformed(f"the form holds the field {field!r} {len(contents)} times, and it should be there once")
    return replace(request, body=contents[0])


def wrap(request: Request, field: str) -> Request:
    """Return the request with its body as the content of the only field of a multipart/form-data body."""
    boundary = "sample-boundary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n'
    others = tuple(pair for pair in request.headers if pair[0] != "content-type")
    return replace(
        request,
        headers=(*others, ("content-type", f"multipart/form-data; boundary={boundary}")),
        body=head.encode() + request.body + f"\r\n--{boundary}--\r\n".encode(),
    )


def _parts(body: bytes, boundary: bytes) -> list[tuple[bytes, bytes]]:
    """Split the body into names and contents."""
    delimiter = b"\r\n--" + boundary
    pieces = (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)
    if len(pieces) > MAX_PARTS or not pieces[-1].startswith(b"--"):
        raise BodyMalformed(f"the form is cut off, or has {MAX_PARTS} parts or more")
    parts = []
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        parts.append((name[1] if name else b"", content))
    return parts
