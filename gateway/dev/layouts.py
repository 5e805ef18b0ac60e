"""The spellings in which providers write a document: compact or indented JSON, forms, and what each of them escapes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

_EMPTY = re.compile(r"^( *)(.*)([{\[])([}\]])(,?)$", re.MULTILINE)


def lay_out(name: str, document: Any) -> bytes:
    """Return the body that a document is in the layout of this name."""
    return _LAYOUTS[name](document)


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _stripe(value: Any) -> bytes:
    """Indent by two, with empty containers spread over lines, as Stripe does."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return _EMPTY.sub(_spread, text).encode()


def _spread(match: re.Match[str]) -> str:
    indent, before, opening, closing, comma = match.groups()
    gap = "\n" if opening == "{" else "\n\n"
    return f"{indent}{before}{opening}{gap}{indent}{closing}{comma}"


def _slack(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).replace("/", r"\/").encode()


def _rails(value: Any) -> bytes:
    text = _compact(value).decode()
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode()


def _form(value: dict[str, str]) -> bytes:
    return urlencode(value).encode()


def _form_payload(value: Any) -> bytes:
    return _form({"payload": _slack(value).decode()})


_LAYOUTS: dict[str, Callable[[Any], bytes]] = {
    "compact": _compact,
    "stripe": _stripe,
    "slack": _slack,
    "rails": _rails,
    "form": _form,
    "form_payload": _form_payload,
}
