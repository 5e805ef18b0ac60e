"""Parse what nobody has verified yet: JSON and forms, strictly, so that no two readers see two documents."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from gateway import forms
from gateway.rejections import FieldMalformed

Pairs = list[tuple[str, str]]


def parse_json(content: bytes) -> Any:
    """Parse JSON whose numbers become their text as written; repeated keys, NaN and deep nesting are refused.

    The size is bounded by whoever read the content. Raises FieldMalformed.
    """
    try:
        return json.loads(
            content.decode(),
            object_pairs_hook=_unique,
            parse_int=str,
            parse_float=str,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError) as error:
        raise FieldMalformed(
            "the body is not JSON in UTF-8 without repeated keys, and parts of it are signed"
        ) from error


def parse_form(text: str) -> Pairs:
    """Split a form or query string into its decoded pairs, in order. Raises FieldMalformed."""
    try:
        return forms.pairs(text.encode(), strict=True)
    except UnicodeEncodeError as error:
        raise FieldMalformed("the form or the query is not UTF-8") from error
    except ValueError as error:
        raise FieldMalformed(str(error)) from error


def scalar(value: Any) -> str | None:
    """Return the text of a JSON scalar as signers write it; None for null and what is absent. Raises FieldMalformed."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            return value
    raise FieldMalformed("a signed part of the body is an object or an array where a single value was expected")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("repeated key")
    return document


def _refuse(_: str) -> NoReturn:
    raise ValueError("not JSON")
