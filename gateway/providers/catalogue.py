"""The catalogue: one TOML file per provider, in the folder of this module's name, read when it is asked for."""

from __future__ import annotations

from functools import cache
from importlib import resources

from gateway.providers.catalogue_file import parse
from gateway.providers.contract import Provider

_FOLDER = resources.files("gateway.providers") / "catalogue"
_SUFFIX = ".toml"


@cache
def names() -> tuple[str, ...]:
    """Return the names of the catalogue's providers in order, without reading their files."""
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in _FOLDER.iterdir() if file.name.endswith(_SUFFIX)))


@cache
def load(name: str) -> Provider:
    """Read the provider of this name. Raises KeyError where there is none, ConfigError for a malformed file."""
    if name not in names():
        raise KeyError(name)
    return parse(name, (_FOLDER / f"{name}{_SUFFIX}").read_text(encoding="utf-8"))
