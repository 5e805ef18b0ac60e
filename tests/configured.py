"""A source of provider = "hmac" as a user makes it: written into a gateway.toml, loaded, and built."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway import build
from gateway.config import load
from gateway.sources import Source

Signature = Mapping[str, Any]


def configured(
    folder: Path, signature: Signature | Sequence[Signature], secrets: Sequence[str], **more: Mapping[str, str]
) -> Source:
    """Return the source that such a configuration describes; `more` are the tables beside `signature`.

    Raises ConfigError.
    """
    names = [f"SECRET_{number}" for number in range(len(secrets))]
    schemes = [signature] if isinstance(signature, Mapping) else signature
    lines = ['[server]\npublic_url = "https://hooks.example.com"', '[sources.x]\nprovider = "hmac"']
    lines.append(f"secrets = {json.dumps([f'${{{name}}}' for name in names])}")
    lines += [_table(f"[sources.x.{name}]", keys) for name, keys in more.items()]
    lines += [_table("[[sources.x.signature]]", keys) for keys in schemes]
    path = folder / "gateway.toml"
    path.write_text("\n".join(lines))
    environ = {"INNGEST_EVENT_KEY": "k", **dict(zip(names, secrets, strict=True))}
    return build.sources(load(path, environ))["x"]


def _table(head: str, keys: Mapping[str, Any]) -> str:
    """Write a table; JSON's texts, numbers and lists are TOML's as well."""
    return "\n".join([head, *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items())])
