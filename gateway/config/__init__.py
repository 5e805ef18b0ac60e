"""The configuration: gateway.toml and the environment, read, checked and reported; the only reader of os.environ."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.config import tracing
from gateway.config.checks import check, check_names
from gateway.config.faults import Fault, Location, describe, render
from gateway.config.file import read
from gateway.config.models import (
    CLOUD_URL,
    EVENT_KEY_REFERENCE,
    AdminConfig,
    Config,
    EventApiConfig,
    InboxConfig,
    LogConfig,
    RecordConfig,
    RejectionsConfig,
    ServerConfig,
)
from gateway.config.secrets import LEARNED, Secret, Surroundings
from gateway.config.signature import DeliveryConfig, SignatureConfig
from gateway.config.source import SourceConfig
from gateway.errors import ConfigError

__all__ = [
    "AdminConfig",
    "Config",
    "DeliveryConfig",
    "EventApiConfig",
    "InboxConfig",
    "LogConfig",
    "RecordConfig",
    "RejectionsConfig",
    "Secret",
    "ServerConfig",
    "SignatureConfig",
    "SourceConfig",
    "default_path",
    "environ_without_secrets",
    "load",
    "schema",
    "secret_files",
    "shown_token",
]

DEV_SERVER_URL = "http://127.0.0.1:8288"


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the configuration is when nobody says: $GATEWAY_CONFIG, else ./gateway.toml."""
    return Path(environ.get("GATEWAY_CONFIG") or "gateway.toml")


def shown_token(environ: Mapping[str, str] = os.environ) -> str:
    """Return the admin token that the commands show: $GATEWAY_ADMIN_TOKEN, else of $GATEWAY_ADMIN_TOKEN_FILE, or none.

    Raises ConfigError when that file cannot be read.
    """
    if token := environ.get("GATEWAY_ADMIN_TOKEN", "").strip():
        return token
    if not (path := environ.get("GATEWAY_ADMIN_TOKEN_FILE")):
        return ""
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError([f"$GATEWAY_ADMIN_TOKEN_FILE: {path} cannot be read: {reason}"]) from error


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration and everything it refers to.

    Raises ConfigError with all faults, each a sentence `<file>: <key>: <what is wrong>; <what to do>`.
    """
    document = read(path)
    misnamed = list(check_names(document))
    config, malformed = _validate(_with_environment(document, environ), Surroundings(path, environ))
    senseless = [fault for fault in check(config) if not fault.follows_from(malformed)]
    faults = [render(path, fault) for fault in (*misnamed, *malformed, *senseless)]
    if faults := [*faults, *tracing.faults(environ)]:
        raise ConfigError(faults)
    return config


def environ_without_secrets(config: Config, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment without the variables that hold a secret of the configuration, whatever their names."""
    sources = config.sources.values()
    secrets = {config.event_api.key, *(secret for source in sources for secret in source.secrets)}
    secrets |= {source.path_token for source in sources if source.path_token}
    hidden = {secret.reveal() for secret in secrets if secret.known}
    inbox = config.inbox.url if config.inbox.shared else ""  # which may hold a password, as a part or as a whole
    return {
        name: text
        for name, text in environ.items()
        if text.strip() not in hidden
        and name != "PGPASSWORD"
        and not tracing.holds_secrets(name)
        and not _is_password(text.strip(), inbox)
    }


def _is_password(text: str, url: str) -> bool:
    """Tell whether a text is the password in a URL, or the whole of it."""
    return bool(url and text) and (text == url or f":{text}@" in url)


def secret_files(path: Path) -> list[Path]:
    """Return the files that a configuration reads secrets from, as absolute paths. Raises ConfigError."""
    return [path.parent.absolute() / name for name in _named_files(read(path))]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of gateway.toml (https://json-schema.org/draft/2020-12)."""
    document = Config.model_json_schema(schema_generator=_FileSchema)
    return {"$schema": _FileSchema.schema_dialect, **document, "title": "gateway.toml"}


def _named_files(value: Any) -> Iterator[str]:
    """Yield what follows `file:` and `learned:` in the texts of a document."""
    match value:
        case dict():
            for item in value.values():
                yield from _named_files(item)
        case list():
            for item in value:
                yield from _named_files(item)
        case str() if value.startswith(("file:", LEARNED)):
            yield value.partition(":")[2]


def _with_environment(document: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Let Inngest's variables say what [event_api] leaves out: https://www.inngest.com/docs/sdk/environment-variables."""
    given = document.get("event_api", {})
    if not isinstance(given, dict):
        return document
    developing = environ.get("INNGEST_DEV", "").lower() not in {"", "0", "false"}
    table = {"url": _event_api_url(environ), "key": EVENT_KEY_REFERENCE, **given}
    if environ.get("INNGEST_ENV"):
        table.setdefault("env", "${INNGEST_ENV}")
    if developing and table["key"] == EVENT_KEY_REFERENCE and not environ.get("INNGEST_EVENT_KEY"):
        del table["key"]
    return {**document, "event_api": table}


def _event_api_url(environ: Mapping[str, str]) -> str:
    for name in ("INNGEST_EVENT_API_BASE_URL", "INNGEST_BASE_URL"):
        if environ.get(name):
            return f"${{{name}}}"
    match environ.get("INNGEST_DEV", "").lower():
        case "" | "0" | "false":
            return CLOUD_URL
        case "1" | "true":
            return DEV_SERVER_URL
    return "${INNGEST_DEV}"


def _validate(document: dict[str, Any], surroundings: Surroundings) -> tuple[Config, list[Fault]]:
    """Return the configuration as far as it is well formed, and a fault for everything that is not.

    What is faulty is left out and the rest validated again, so that one fault hides no other.
    """
    faults: list[Fault] = []
    while True:
        try:
            return Config.model_validate(document, context=surroundings), faults
        except ValidationError as error:
            found = describe(error, document)
        faults += [fault for fault in found if not fault.follows_from(faults)]
        for table, key in [_entry(document, fault.location) for fault in found]:
            table.pop(key, None)


def _entry(document: dict[str, Any], location: Location) -> tuple[dict[str, Any], str]:
    """Return the table and key to leave out for a fault: the innermost there is, so a table that lacks a key goes."""
    table, key = document, str(location[0])
    value = table[key]
    for part in location[1:]:
        if not isinstance(value, dict) or part not in value:
            break
        table, key = value, str(part)
        value = table[key]
    return table, key


class _FileSchema(GenerateJsonSchema):
    """Pydantic's generator for TOML, which has no null, without titles that only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave the titles of keys out."""
        del schema
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Describe what may be left out as what it is when given."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Leave out the default of what has none that could be written."""
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)
