"""The kinds of values in gateway.toml that have a grammar of their own. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from gateway import admin_token
from gateway.client_address import parse_network
from gateway.config.secrets import REFERENCE, Secret, SecretReference, expand
from gateway.locators import compile_locator

MAX_PREFIX_LENGTH = 128

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_PREFIX = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_PATH_TOKEN = re.compile(r"[A-Za-z0-9._-]{16,128}")
_POSTGRES_PASSWORD = re.compile(r"postgres(?:ql)?://[^@/?]*?:([^@]+)@")
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_INTERNAL = (".localhost", ".local", ".internal", ".svc")


def is_internal(host: str) -> bool:
    """Tell whether a host is this machine or one of a private network, going by its name or address alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.lower().rstrip(".").endswith(_INTERNAL)
    return address.is_private or address.is_link_local


def _check_host(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not _HOST_NAME.fullmatch(text):
            raise ValueError("is not a host name or address; write one such as 127.0.0.1, without a port") from None
    return text


def _check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = bool(_URL.fullmatch(text) and parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is not an http:// or https:// URL; write one such as https://example.com")
    if "@" in parts.netloc:
        raise ValueError("holds a user name or password; remove everything up to the @")
    if "?" in text or "#" in text:
        raise ValueError("has a query or fragment; end it after the path")
    return text.rstrip("/")


def _check_optional_url(text: str) -> str:
    return text and _check_url(text)


def _check_source_url(text: str) -> str:
    """Keep a slash at the end, as the URL may be part of what is signed."""
    return text and _check_url(text) + ("/" if text.endswith("/") else "")


def _check_path_token(token: Secret) -> Secret:
    if not _PATH_TOKEN.fullmatch(token.reveal()):
        raise ValueError(
            "is not a token that a URL can end in; make one of 16 to 128 letters, digits, dots, - and _, such as "
            "`openssl rand -hex 24` prints"
        )
    return token


def _check_networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not texts:
        raise ValueError("is empty, which would leave nobody; name an address or network, or remove it")
    for text in texts:
        parse_network(text)
    return texts


def _check_event_api_url(text: str) -> str:
    url = urlsplit(_check_url(text))
    if url.scheme.lower() == "http" and not is_internal(url.hostname or ""):
        raise ValueError("would send the event key over plain http to a public host; write https:// instead of http://")
    return text.rstrip("/")


def _check_environment_name(text: str) -> str:
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise ValueError("cannot be sent as a header; use printable ASCII without blanks at the ends")
    return text


def _check_inbox_url(text: str) -> str:
    kind, _, where = text.partition(":")
    if kind in {"postgres", "postgresql"}:
        return _check_postgres_url(text)
    if kind != "sqlite" or not where or "\0" in where or re.match(r"//(?!/)", where):
        raise ValueError(
            "does not name an inbox; write sqlite:<path>, such as sqlite:inbox.db, or postgresql://user@host/database"
        )
    if where.startswith(":memory:"):
        raise ValueError("would lose every delivery at a restart; write sqlite:<path>, such as sqlite:inbox.db")
    return text


def _check_token_hash(text: str) -> str:
    if text and not admin_token.is_digest(text):
        raise ValueError("is not the digest of a token; run `gateway admin-token`, and write what it prints for here")
    return text


def _check_postgres_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        named = parts.netloc.rpartition("@")[2] and len(parts.path) > 1
    except ValueError:
        named = False
    if not named or not text.isprintable():
        raise ValueError("does not name a host and a database; write postgresql://user@host/database")
    return text


def _refuse_written_password(value: Any) -> Any:
    """Refuse a password that stands in the file itself; it is called before references are read."""
    if isinstance(value, str) and (match := _POSTGRES_PASSWORD.match(value)) and not REFERENCE.search(match[1]):
        raise ValueError(
            "holds a password, and secrets are not written out here; put it into an environment variable and write "
            "postgresql://user:${NAME}@host/database, or into a password file, which PGPASSFILE names"
        )
    return value


def _check_schema_name(text: str) -> str:
    if not _SCHEMA_NAME.fullmatch(text):
        raise ValueError("cannot name a schema; use lower-case letters, digits and _, at most 63 of them")
    return text


def _check_prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text) or len(text) > MAX_PREFIX_LENGTH:
        raise ValueError(
            "cannot begin an event name; use letters, digits, dots, - and _, with single slashes only in between, "
            f"at most {MAX_PREFIX_LENGTH} characters"
        )
    if text.lower().split("/")[0] == "inngest":
        raise ValueError("is reserved by the event API; choose another, such as the source's name")
    return text


def _check_transform(text: str) -> str:
    if not text.strip():
        raise ValueError(
            'is empty; write "module:function" or "./file.py:function", or leave it out for the default of the provider'
        )
    return text


def _as_tables(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _check_locators(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        compile_locator(text)
    return texts


class _OneOrSeveral:
    """Describes a tuple that may be written as one table as well."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


Host = Annotated[str, BeforeValidator(expand), AfterValidator(_check_host)]
OptionalUrl = Annotated[str, BeforeValidator(expand), AfterValidator(_check_optional_url)]
SourceUrl = Annotated[str, BeforeValidator(expand), AfterValidator(_check_source_url)]
EventApiUrl = Annotated[str, BeforeValidator(expand), AfterValidator(_check_event_api_url)]
EnvironmentName = Annotated[str, BeforeValidator(expand), AfterValidator(_check_environment_name)]
InboxUrl = Annotated[
    str, BeforeValidator(expand), BeforeValidator(_refuse_written_password), AfterValidator(_check_inbox_url)
]
SchemaName = Annotated[str, AfterValidator(_check_schema_name)]
PathToken = Annotated[SecretReference, AfterValidator(_check_path_token)]
Networks = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_check_networks)]
Prefix = Annotated[str, AfterValidator(_check_prefix)]
TransformReference = Annotated[str, AfterValidator(_check_transform)]
TokenHash = Annotated[str, BeforeValidator(expand), AfterValidator(_check_token_hash)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]

_LOCATOR_SCHEMA = {"type": "string", "pattern": "^((header|form|query|sig):.+|json:/.*|.*\\{.+\\}.*)$"}
Locators = Annotated[
    tuple[str, ...],
    Field(strict=False),
    BeforeValidator(_as_list),
    AfterValidator(_check_locators),
    WithJsonSchema({"anyOf": [_LOCATOR_SCHEMA, {"type": "array", "items": _LOCATOR_SCHEMA}]}),
]
"""One locator or a list of them, of which the first present wins."""

Text = Annotated[str, BeforeValidator(expand)]
"""A text in which `${NAME}` is the environment variable's value."""

Item = TypeVar("Item")
OneOrSeveral = Annotated[tuple[Item, ...], Field(strict=False), BeforeValidator(_as_tables), _OneOrSeveral()]
"""One table, or an array of tables in order."""
