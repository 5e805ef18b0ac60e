"""Secrets and references: `${NAME}` reads the environment, `file:<path>` a file, and nothing ever shows a secret."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn, SupportsIndex

from pydantic import BeforeValidator, GetCoreSchemaHandler, ValidationInfo, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_SECRET_BYTES = 65_536
SHOWN = "Secret(…)"
LEARNED = "learned:"

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Secret:
    """A text that only `reveal` gives: shown and serialised as a placeholder, neither copied nor pickled.

    One that a handshake gives is kept in the file `learned_at`, and `known` once it is there. `label` is what people
    call it, and `not_after` the last moment (unix milliseconds) at which it matches, where it has one.
    """

    __slots__ = ("_text", "label", "learned_at", "not_after")

    def __init__(
        self, text: str, learned_at: Path | None = None, *, label: str = "", not_after: int | None = None
    ) -> None:
        self._text = text
        self.learned_at = learned_at
        self.label = label
        self.not_after = not_after

    @property
    def known(self) -> bool:
        """Whether there is a text, which one that is yet to be learned lacks."""
        return bool(self._text)

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def named(self, label: str, not_after: int | None) -> Secret:
        """Return the same secret with what people call it and the last moment at which it matches."""
        return Secret(self._text, self.learned_at, label=label, not_after=not_after)

    def __repr__(self) -> str:
        return SHOWN

    def __format__(self, _: str) -> str:
        return SHOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce_ex__(self, _: SupportsIndex) -> NoReturn:
        raise TypeError("a Secret is neither copied nor pickled")

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        shown = core_schema.plain_serializer_function_ser_schema(str)
        return core_schema.is_instance_schema(cls, serialization=shown)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a file's references are read against: where the file is, and the environment."""

    path: Path
    environ: Mapping[str, str]


def references(text: str) -> list[str]:
    """Return the `${NAME}` references in a text, as written."""
    return [match[0] for match in REFERENCE.finditer(text)]


def expand(value: Any, info: ValidationInfo) -> Any:
    """Replace every `${NAME}` in a text by the environment variable's value."""
    if not isinstance(value, str):
        return value
    return REFERENCE.sub(lambda match: _variable(match[1], info), value)


def resolve(value: Any, info: ValidationInfo) -> Any:
    """Read the secret that `value` refers to; a secret written out is refused."""
    if not isinstance(value, str):
        return value
    if match := REFERENCE.fullmatch(value):
        text, origin = _variable(match[1], info), f"the environment variable {match[1]}"
    elif value.startswith("file:"):
        path = _surroundings(info).path.parent / value.removeprefix("file:")
        text, origin = _content(path), f"the file {path}"
    else:
        raise _fault(
            "is not a reference, and secrets are not written out here; put it into an environment variable "
            'and write "${NAME}", or into a file and write "file:/path"'
        )
    if not (secret := text.strip()):
        raise _fault(f"{origin} is empty; put the secret there")
    return Secret(secret)


def resolve_source_secret(value: Any, info: ValidationInfo) -> Any:
    """Read the secret that `value` refers to, or note the file in which the first handshake's will be kept."""
    if not isinstance(value, str) or not value.startswith(LEARNED):
        return resolve(value, info)
    path = _surroundings(info).path.parent.absolute() / value.removeprefix(LEARNED)
    if path.is_file():
        return Secret(resolve(f"file:{path}", info).reveal(), path)
    if path.exists() or not path.parent.is_dir():
        raise _fault(f"names no file in a folder that is there; create the folder {path.parent}, or correct the path")
    return Secret("", path)


SecretReference = Annotated[
    Secret,
    BeforeValidator(resolve),
    WithJsonSchema({"type": "string", "pattern": rf"^({REFERENCE.pattern}|file:.+)$"}),
]
"""A secret, written as `${NAME}` or `file:<path>`; a relative path is relative to the configuration file's folder."""


def _surroundings(info: ValidationInfo) -> Surroundings:
    return info.context or Surroundings(Path(), {})


def _variable(name: str, info: ValidationInfo) -> str:
    text = _surroundings(info).environ.get(name)
    if text is None:
        raise _fault(f"the environment variable {name} is not set; set it, or name another one")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _fault(f"the environment variable {name} is not UTF-8; set it to text in UTF-8") from None
    return text


def _content(path: Path) -> str:
    """Return a small file's text without the white space around it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        if len(content) <= MAX_SECRET_BYTES:
            return content.decode().strip()
    except FileNotFoundError:
        raise _fault(f"the file {path} does not exist; create it, or correct the path") from None
    except OSError as error:
        raise _fault(f"the file {path} cannot be read ({error.strerror}); let the gateway's user read it") from None
    except ValueError:
        raise _fault(f"the file {path} holds no text in UTF-8; put the secret alone into it") from None
    raise _fault(f"the file {path} has more than {MAX_SECRET_BYTES} bytes; put the secret alone into it")


def _fault(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("reference", "{sentence}", {"sentence": sentence})
