"""What `gateway dev` needs on first use: demo secrets and, without a gateway.toml, one for all that has samples."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.dev import key_pairs
from gateway.dev.demo_secrets import demo_secret, key_pair_method

_VARIABLE = re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$")

_PROVIDERS = ("stripe", "slack", "github", "shopify", "standard-webhooks", "hmac")
_EVENT_KEY = "NO_EVENT_KEY_SET"

Provide = Callable[[str, str], str | None]
"""Gives a secret for a variable that is not set, by its name and the source's provider; None leaves it unset."""

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


def make_folder(folder: Path) -> None:
    """Make `folder` for this user only, and keep it out of version control."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep(folder / ".gitignore", "*\n")


def make_config(folder: Path) -> Path:
    """Make a configuration of all that have samples, with demo secrets, keeping what is there; return its path."""
    names = {("acme" if name == "hmac" else name): name for name in _PROVIDERS}
    keep(folder / "secrets" / "event_key", _EVENT_KEY)
    for name, provider in names.items():
        _keep_secret(folder / "secrets" / name, provider)
    blocks = [_SOURCE.format(name=name, provider=provider) for name, provider in names.items()]
    path = folder / "gateway.toml"
    keep(path, _HEAD + "".join(blocks) + _ACME)
    return path


def environment(config: Path, environ: Mapping[str, str], provide: Provide) -> dict[str, str]:
    """Return `environ` completed for a file: with what `provide` gives for secrets whose variables are not set.

    Nothing that uses this talks to an event API that knows keys, so any event key will do, and so will any public URL
    and any constant of a scheme, as long as all commands take the same.
    """
    document = _document(config)
    found = {"INNGEST_DEV": "1", **dict.fromkeys(_names([_table(document, "event_api").get("key")]), _EVENT_KEY)}
    for name in _names([_table(document, "server").get("public_url")]):
        found[name] = f"https://{name}.is-not-set"
    for source in _table(document, "sources").values():
        found |= {name: name for name in _names([*_table(source, "params").values()])}
        for name, provider in _wanted(source if isinstance(source, dict) else {}):
            secret = None if name in environ else provide(name, provider)
            if secret is not None:
                found[name] = secret
    return {**found, **environ}


def _wanted(source: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the variables that a source names, each with the provider whose secret it is; a path token is nobody's."""
    secrets = source.get("secrets")
    names = _names(secrets if isinstance(secrets, list) else [])
    return [(name, str(source.get("provider"))) for name in names] + [
        (name, "") for name in _names([source.get("path_token")])
    ]


def keeping_in(folder: Path) -> Provide:
    """Return a provider of demo secrets that are made on first use and kept in `folder`."""
    return lambda name, provider: _keep_secret(folder / "secrets" / name, provider)


def kept_private_key(folder: Path, public_keys: Sequence[str]) -> str:
    """Return the kept private key (PEM) of one of the public keys; empty where there is none."""
    for path in (folder / "secrets").glob("*.pem"):
        private = path.read_text()
        if key_pairs.public_of(private) in public_keys:
            return private
    return ""


def _keep_secret(path: Path, provider: str) -> str:
    """Keep a demo secret; of a public key the private one is kept beside it, for samples."""
    if method := key_pair_method(provider):
        private = keep(path.with_suffix(".pem"), key_pairs.generate(method)[0])
        return keep(path, key_pairs.public_of(private))
    return keep(path, demo_secret(provider))


def kept_in(folder: Path) -> Provide:
    """Return a provider of the demo secrets that were kept in `folder`, and of no others."""

    def provide(name: str, _: str) -> str | None:
        try:
            return (folder / "secrets" / name).read_text()
        except OSError:
            return None

    return provide


def placeholder(_: str, provider: str) -> str:
    """Provide a secret for those who will not use it."""
    return demo_secret(provider)


def keep(path: Path, text: str) -> str:
    """Return the content of a file that only its owner may read, writing `text` to it where there is none.

    Of several processes that do this at one moment, one writes and all return the same.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, written = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            with contextlib.suppress(FileExistsError):
                os.link(written, path)
        finally:
            Path(written).unlink()
    return path.read_text()


def _document(config: Path) -> dict[str, Any]:
    """Return the file's content, or nothing where it has none; what is wrong with it, others say."""
    try:
        return tomllib.loads(config.read_text())
    except (OSError, ValueError, RecursionError):
        return {}


def _table(document: Any, name: str) -> dict[str, Any]:
    table = document.get(name) if isinstance(document, dict) else None
    return table if isinstance(table, dict) else {}


def _names(references: list[Any]) -> list[str]:
    """Return the names of the variables among references to secrets."""
    texts = [item.get("value") if isinstance(item, dict) else item for item in references]
    matches = [_VARIABLE.match(text) for text in texts if isinstance(text, str)]
    return [match[1] for match in matches if match]
