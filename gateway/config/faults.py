"""Faults of a configuration: where they are and what to do, in one sentence each, without any value of the file."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.config.handshakes import HandshakeConfig, MacConfig
from gateway.config.models import (
    AdminConfig,
    Config,
    EventApiConfig,
    InboxConfig,
    LogConfig,
    RecordConfig,
    RejectionsConfig,
    ServerConfig,
)
from gateway.config.secrets import references
from gateway.config.signature import DeliveryConfig, SignatureConfig
from gateway.config.source import AnswerConfig, SourceConfig

Location = tuple[str | int, ...]

_QUOTED = re.compile(r"'([^']*)'")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TABLES: dict[Location, type[BaseModel]] = {
    (): Config,
    ("server",): ServerConfig,
    ("admin",): AdminConfig,
    ("event_api",): EventApiConfig,
    ("inbox",): InboxConfig,
    ("log",): LogConfig,
    ("rejections",): RejectionsConfig,
    ("record",): RecordConfig,
    ("sources", "*"): SourceConfig,
    ("sources", "*", "signature"): SignatureConfig,
    ("sources", "*", "delivery"): DeliveryConfig,
    ("sources", "*", "handshake"): HandshakeConfig,
    ("sources", "*", "handshake", "mac"): MacConfig,
    ("sources", "*", "answer"): AnswerConfig,
}
_NOT_A_TABLE = "is not a table; write it as a [table] with its keys below"
_SENTENCES = {
    "string_type": "is not a text; put it in quotes",
    "is_instance_of": "is not a text; put it in quotes",
    "int_type": "is not a whole number; write it without quotes and decimal point",
    "float_type": "is not a number; write it without quotes",
    "finite_number": "is not a finite number; write one such as 10",
    "bool_type": "is neither true nor false; write one of them, without quotes",
    "tuple_type": "is not a list; put it in brackets",
    "dict_type": _NOT_A_TABLE,
    "model_type": _NOT_A_TABLE,
    "greater_than": "is too small; it must be more than {gt:g}",
    "greater_than_equal": "is too small; the least is {ge}",
    "less_than_equal": "is too large; the most is {le:.0f}",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at one location, and what to do.

    `depends_on` are other locations whose faults would make this one a mere consequence.
    """

    location: Location
    sentence: str
    depends_on: tuple[Location, ...] = ()

    def follows_from(self, earlier: Iterable[Fault]) -> bool:
        """Tell whether one of the earlier faults is at, above or below a location that this one depends on."""
        return any(_related(fault.location, location) for fault in earlier for location in self.depends_on)


def describe(error: ValidationError, document: dict[str, Any]) -> list[Fault]:
    """Return a fault for each of pydantic's errors about `document`."""
    errors = error.errors(include_url=False, include_input=True)
    found = [(_as_written(details["loc"], document), details) for details in errors]
    return [Fault(location, _sentence(location, details, document), (location,)) for location, details in found]


def render(path: Path, fault: Fault) -> str:
    """Return the fault as one line that names the file and the key."""
    text = f"{path}: {dotted(fault.location)}: {fault.sentence}"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def dotted(location: Location) -> str:
    """Write a location as TOML writes it: `sources.stripe.secrets[0]`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.fullmatch(part) else json.dumps(part))
    return text


def suggest(word: object, known: Iterable[str]) -> str:
    """Name the known word that `word` was probably meant to be, else all of them."""
    words = list(known)
    close = difflib.get_close_matches(word.lower(), words, n=1) if isinstance(word, str) else []
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(words)}"


def _as_written(location: Location, document: dict[str, Any]) -> Location:
    """Leave out the index of what stands alone where several may be."""
    value: Any = document
    written: list[str | int] = []
    for part in location:
        if isinstance(part, int) and not isinstance(value, list):
            continue
        written.append(part)
        inside = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
        value = value[part] if inside else None
    return tuple(written)


def _sentence(location: Location, details: ErrorDetails, document: dict[str, Any]) -> str:
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            return f"is not a known key; {suggest(location[-1], _known_keys(location[:-1]))}"
        case "missing":
            return f"is missing; add it to [{dotted(location[:-1])}]"
        case "literal_error":
            return f"is not a known value; {suggest(details['input'], _QUOTED.findall(context['expected']))}"
        case "value_error":
            subject = "".join(f"{reference} " for reference in references(_raw(document, location)))
            return f"{subject}{context['error']}"
        case "reference":
            return details["msg"]
        case kind if kind in _SENTENCES:
            return _SENTENCES[kind].format(**context)
    return f"cannot be used ({details['msg']}); correct it"


def _known_keys(location: Location) -> list[str]:
    return [field.alias or name for name, field in _TABLES[_generic(location)].model_fields.items()]


def _generic(location: Location) -> Location:
    named = [part for part in location if isinstance(part, str)]
    return tuple("*" if index == 1 and named[0] == "sources" else part for index, part in enumerate(named))


def _raw(document: dict[str, Any], location: Location) -> str:
    """Return the text at a location as the file has it; empty where there is none."""
    value: Any = document
    for part in location:
        value = value[part]
    return value if isinstance(value, str) else ""


def _related(one: Location, other: Location) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]
