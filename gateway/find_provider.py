"""Find the provider that a configuration names: a shipped one, a file beside gateway.toml, or an installed one."""

from __future__ import annotations

import difflib
import importlib.util
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from gateway import providers
from gateway.blame import raised, sentence
from gateway.providers import Provider

GROUP = "gateway.providers"
FILE = re.compile(r"(?P<path>.+\.py):(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
MAX_SENTENCE = 500

_loaded: dict[tuple[Path, int, int], dict[str, Any]] = {}


def find(reference: str, folder: Path) -> Provider:
    """Return the provider named `reference`: a shipped one's name, `<file>.py:<NAME>`, or an entry point's name.

    A relative file is relative to `folder`. Raises ValueError, with a sentence that says what to do.
    """
    if reference in providers.names():
        return providers.get(reference)
    file = FILE.fullmatch(reference)
    found = _in_file(folder / file["path"], file["name"]) if file else _installed(reference)
    if not isinstance(found, Provider):
        raise ValueError(f"is of type {type(found).__name__}; name a gateway.providers.Provider")  # noqa: TRY004 - a user's mistake
    return found


def _in_file(path: Path, name: str) -> Any:
    try:
        state = path.stat()
        key = (path.resolve(), state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read ({error.strerror}); correct the path") from None
    names = _loaded.get(key) or _run(path)
    # Only the newest state of a file is kept; a reload of the configuration reads what was changed.
    for old in [old for old in _loaded if old[0] == key[0]]:
        del _loaded[old]
    _loaded[key] = names
    if name not in names:
        known = [known for known, value in names.items() if isinstance(value, Provider)]
        raise ValueError(f"the file {path} has no {name}; {f'it has {known[0]}' if known else 'make one there'}")
    return names[name]


def _run(path: Path) -> dict[str, Any]:
    """Run the file as a module of its own and return its names."""
    title = f"gateway_provider_{path.stem}"
    spec = importlib.util.spec_from_file_location(title, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"the file {path} is no Python file; name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[title] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        raise ValueError(sentence(raised(f"cannot be loaded: {path}", error, title), MAX_SENTENCE)) from None
    return vars(module)


def _installed(name: str) -> Any:
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in offered:
        raise ValueError(f"is not a known provider; {_suggest(name, [*providers.names(), *offered])}")
    try:
        return offered[name].load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        package = offered[name].module.partition(".")[0]
        raise ValueError(sentence(raised("cannot be loaded: its module", error, package), MAX_SENTENCE)) from None


def _suggest(name: str, known: list[str]) -> str:
    """Name one that was probably meant; there are too many to name them all."""
    if close := difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75):
        return f"did you mean {close[0]}?"
    return 'set provider = "hmac" and say in [sources.<name>.signature] how it signs'
