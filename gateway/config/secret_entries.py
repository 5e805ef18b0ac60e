"""The items of `secrets`: a reference, or a table that gives one a label and an end."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.config.secrets import LEARNED, REFERENCE, Secret, resolve_source_secret

LABEL_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

_KEYS = ("value", "label", "not_after")
_REFERENCES = {"type": "string", "pattern": rf"^({REFERENCE.pattern}|file:.+|{LEARNED}.+)$"}


def resolve_entry(value: Any, info: ValidationInfo) -> Any:
    """Read one item of `secrets`: the secret, what people call it, and until when it matches."""
    if not isinstance(value, dict):
        return _named(resolve_source_secret(value, info), _default_label(value), None)
    for key in value:
        if key not in _KEYS:
            raise _fault(f"holds {key!r}, which is none of its keys; they are value, label and not_after")
    reference = value.get("value")
    if not isinstance(reference, str):
        raise _fault('has no value; write { value = "${NAME}", label = "2026-10", not_after = 2026-12-01 }')
    secret = resolve_source_secret(reference, info)
    label = value.get("label", _default_label(reference))
    if not isinstance(label, str) or not re.fullmatch(LABEL_PATTERN, label):
        raise _fault(
            "has a label that cannot be one; use letters, digits, dots, - and _, beginning with a letter or digit, at "
            "most 64 of them, and nothing of the secret"
        )
    return _named(secret, label, _end(value.get("not_after")))


SecretEntry = Annotated[
    Secret,
    BeforeValidator(resolve_entry),
    WithJsonSchema(
        {
            "anyOf": [
                _REFERENCES,
                {
                    "type": "object",
                    "properties": {
                        "value": {**_REFERENCES, "description": "The secret, as a reference."},
                        "label": {
                            "type": "string",
                            "pattern": f"^{LABEL_PATTERN}$",
                            "description": "What logs call it; the variable's or file's name where absent.",
                        },
                        "not_after": {
                            "type": "string",
                            "format": "date",
                            "description": "The last day, in UTC, or the last moment on which it matches.",
                        },
                    },
                    "required": ["value"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""A source's secret: a reference, or a table of one with `label` and `not_after`."""


def _named(secret: Any, label: str, not_after: int | None) -> Any:
    return secret.named(label, not_after) if isinstance(secret, Secret) else secret


def _default_label(reference: object) -> str:
    """Return the variable's or the file's name, which is a name of the secret that gives nothing of it away."""
    if not isinstance(reference, str):
        return ""
    if variable := REFERENCE.fullmatch(reference):
        return variable[1]
    return PurePath(reference.partition(":")[2]).name


def _end(moment: object) -> int | None:
    """Return the last millisecond (unix) of a day in UTC, or a moment with an offset."""
    match moment:
        case None:
            return None
        case datetime() if moment.tzinfo:
            return int(moment.timestamp() * 1000)
        case datetime():
            raise _fault("has a not_after without an offset from UTC; write one such as 2026-12-01T12:00:00Z")
        case date():
            last = datetime.combine(moment, time(), UTC) + timedelta(days=1)
            return int(last.timestamp() * 1000) - 1
    raise _fault("has a not_after that is no date; write 2026-12-01 or 2026-12-01T12:00:00Z, without quotes")


def _fault(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("reference", "{sentence}", {"sentence": sentence})
