"""What `gateway dev` needs on first use: demo secrets and, where there is no gateway.toml, one with every provider."""

from __future__ import annotations

import base64
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.providers import PROVIDERS

_VARIABLE = re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$")

_HEAD = """\
# Made by `gateway dev`. Copy it to ./gateway.toml and replace the secrets to go on from here.

[event_api]
url = "http://127.0.0.1:8288"
key = "file:secrets/event_key"

[inbox]
url = "sqlite:inbox.db"
"""

_SOURCE = """
[sources.{name}]
provider = "{provider}"
secrets = ["file:secrets/{name}"]
"""

_ACME = """prefix = "acme"

[sources.acme.signature]
header = "X-Acme-Signature"
prefix = "sha256="
signed = "{timestamp}.{body}"
timestamp = "header:X-Acme-Timestamp"

[sources.acme.delivery]
id = "json:/id"
type = "json:/type"
time = "json:/created_at"
"""


def make_folder(folder: Path) -> Path:
    """Make `folder` with a configuration and demo secrets, keeping what is there; return the configuration's path."""
    names = {("acme" if name == "hmac" else name): name for name in PROVIDERS}
    keep(folder / "secrets" / "event_key", "NO_EVENT_KEY_SET")
    for name, provider in names.items():
        keep(folder / "secrets" / name, demo_secret(provider))
    blocks = [_SOURCE.format(name=name, provider=provider) for name, provider in names.items()]
    path = folder / "gateway.toml"
    keep(path, _HEAD + "".join(blocks) + _ACME)
    return path


def missing_secrets(config: Path, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return demo values, kept in `folder`, for the variables that the file's sources want and nobody has set."""
    try:
        document = tomllib.loads(config.read_text())
    except (OSError, ValueError):
        return {}
    found: dict[str, str] = {}
    for source in _tables(document.get("sources")):
        wanted = source.get("secrets")
        for text in wanted if isinstance(wanted, list) else []:
            match = _VARIABLE.match(text) if isinstance(text, str) else None
            if match and match[1] not in environ:
                path = folder / "secrets" / match[1]
                found[match[1]] = keep(path, demo_secret(str(source.get("provider"))))
    return found


def demo_secret(provider: str) -> str:
    """Return a fresh secret of the form the provider uses."""
    match provider:
        case "stripe":
            return f"whsec_{secrets.token_hex(16)}"
        case "standard-webhooks":
            return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    return secrets.token_hex(16)


def keep(path: Path, text: str) -> str:
    """Return the content of a file that only its owner may read, writing `text` to it where there is none."""
    if path.exists():
        return path.read_text()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return text


def _tables(value: Any) -> list[dict[str, Any]]:
    return [item for item in value.values() if isinstance(item, dict)] if isinstance(value, dict) else []
