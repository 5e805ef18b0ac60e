from __future__ import annotations

import json
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.config import load, schema
from gateway.errors import ConfigError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAUSIBLE = st.sampled_from(
    ["stripe", "hmac", "none", "${SECRET}", "${NONE}", "file:nope", "https://example.com", "sqlite:x", "header:X",
     "json:/a", "{body}", "{timestamp}.{body}", "sha256", "hex", "info", "json", "sig:t", "a:b"]
)  # fmt: skip
SCALARS = (
    TEXTS
    | PLAUSIBLE
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.datetimes()
    | st.dates()
    | st.sampled_from([0, 1, 8080])
)


def _keys() -> list[str]:
    document = schema()
    tables = [document, *document["$defs"].values()]
    return sorted({key for table in tables for key in table["properties"]})


KEYS = st.sampled_from(_keys()) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6))
SOURCES = st.dictionaries(TEXTS | st.just("x"), st.dictionaries(KEYS, VALUES, max_size=8), max_size=3)
FILES = st.dictionaries(KEYS, VALUES, max_size=6) | st.fixed_dictionaries(
    {"sources": SOURCES}, optional={key: st.dictionaries(KEYS, VALUES) for key in ("server", "event_api", "inbox")}
)


def _toml(value: Any) -> str:
    """Write a value as TOML on one line."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case datetime() | date():
            return value.isoformat()
        case dict():
            return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)


def _faults(path: Path) -> list[str]:
    try:
        load(path, {"SECRET": "whsec_secret", "INNGEST_DEV": "1"})
    except ConfigError as error:
        return error.faults or ["no fault"]
    return []


@given(FILES)
def test_any_file_is_taken_or_refused(document: dict[str, Any]) -> None:
    """Whatever a TOML file holds, it is taken or refused with sentences of one line; nothing else is raised."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.toml"
        path.write_text("\n".join(f"{_toml(key)} = {_toml(value)}" for key, value in document.items()))
        found = _faults(path)
    assert all(fault.startswith(f"{path}: ") and "; " in fault and fault.isprintable() for fault in found)
