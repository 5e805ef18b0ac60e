"""Read a TOML file, with the place of the first syntax error where there is one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError

_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


def read(path: Path) -> dict[str, Any]:
    """Return the file's content. Raises ConfigError when there is no such file or it is not TOML."""
    text = _text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: {_syntax(error, text)}; correct the TOML there"]) from None
    except (ValueError, RecursionError):
        raise ConfigError([f"{path}: a number is too long or lists are too deep; write it shorter"]) from None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        advice = "write one, or name another with --config or GATEWAY_CONFIG; `gateway dev` needs none"
        raise ConfigError([f"{path}: the file does not exist; {advice}"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: the file cannot be read ({error.strerror}); make it a readable file"]) from None
    except ValueError:
        raise ConfigError([f"{path}: the file is not UTF-8; save it as text in UTF-8"]) from None


def _syntax(error: tomllib.TOMLDecodeError, text: str) -> str:
    """Put the place of a syntax error before its description."""
    match = _PLACE.fullmatch(str(error))
    if match is None:
        return str(error)
    if match[2] is None:
        return f"line {text.count(chr(10)) + 1}: {match[1]} at the end of the file"
    return f"line {match[2]}, column {match[3]}: {match[1]}"
