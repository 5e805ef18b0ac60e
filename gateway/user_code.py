"""The user's own modules, beside the configuration or named by file: kept as they were read, and renewed all at once.

Their bytecode is neither read nor written, since its age is told in whole seconds and an edit may be quicker.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD = Path(sysconfig.get_path("stdlib")).resolve()

_folders: set[Path] = set()
_pinned: dict[str, bytes] = {}
_kept: dict[str, bytes] = {}
_seen: set[str] = set()


class _Loader(SourceFileLoader):
    """Imports a module from its source alone, and keeps what it read."""

    def path_stats(self, path: Any) -> NoReturn:
        """Know no age, without which Python leaves the bytecode alone."""
        raise OSError(path)

    def get_data(self, path: Any) -> bytes:
        """Return the content of a file, as pinned where it is."""
        name = str(path)
        content = _pinned[name] if name in _pinned else super().get_data(path)
        _kept[name] = content
        _seen.add(name)
        return content


def admit(folder: Path) -> None:
    """Take what is imported from a folder, or from below it, for the user's own, unless it is installed there."""
    place = folder.resolve()
    if place in _folders:
        return
    _folders.add(place)
    if _finder not in sys.path_hooks:
        sys.path_hooks.insert(0, _finder)
    for path in [path for path in sys.path_importer_cache if _is_own(path)]:
        del sys.path_importer_cache[path]


def package_name(folder: Path) -> str:
    """Return the name of the package that stands for a folder, so that a file of it is a module no other hides."""
    return f"gateway_file_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"


def make_package(folder: Path) -> None:
    """Make the package that stands for a folder, unless it is there; its `__init__.py`, where it has one, is run.

    Its files import each other as `from .other import name`.
    """
    place = folder.resolve()
    admit(place)
    name = package_name(place)
    if name not in sys.modules:
        init = place / "__init__.py"
        loader = _Loader(name, str(init)) if init.is_file() else None
        spec = ModuleSpec(name, loader, origin=str(init), is_package=True)
        spec.has_location = loader is not None
        spec.submodule_search_locations = [str(place)]
        _execute(spec)


def pin(contents: Mapping[str, bytes]) -> None:
    """Import these files with these contents from now on, whatever the disk says; they are the user's own."""
    _pinned.update(contents)
    for parent in {Path(path).parent for path in contents}:
        admit(parent)


def kept() -> dict[str, bytes]:
    """Return the content of every file that the modules in use were made from, by path."""
    return dict(_kept)


def changed() -> list[str]:
    """Return the files whose modules are in use and whose content is another now."""
    return sorted(path for path, content in _kept.items() if _content(path) != content)


def watched() -> frozenset[str]:
    """Return the files and folders whose change may make a renewal worth trying."""
    return frozenset({*_seen, *(str(Path(path).parent) for path in _seen), *map(str, _folders)})


@contextmanager
def renewed() -> Iterator[list[str]]:
    """Forget the user's modules if any of their files changed, so that what follows imports them afresh.

    Gives the changed files. When what follows fails, all modules are again as they were. Functions in use keep theirs.
    """
    found = changed()
    if not found:
        yield []
        return
    modules, contents = _take(), dict(_kept)
    _kept.clear()
    try:
        yield found
    except BaseException:
        _take()
        sys.modules.update(modules)
        _kept.clear()
        _kept.update(contents)
        raise


def _take() -> dict[str, ModuleType]:
    """Remove the user's modules from those that are imported; return them.

    Packages with compiled parts stay, as few of these can be imported twice.
    """
    names = [name for name, module in list(sys.modules.items()) if _is_users(name, module)]
    compiled = {name.partition(".")[0] for name, module in list(sys.modules.items()) if _is_compiled(module)}
    return {name: sys.modules.pop(name) for name in names if name.partition(".")[0] not in compiled}


def _is_compiled(module: ModuleType) -> bool:
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader)


def _is_users(name: str, module: ModuleType) -> bool:
    if name.partition(".")[0] == "gateway":
        return False
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    paths: Iterable[Any] = getattr(module, "__path__", ()) if not isinstance(loader, SourceFileLoader) else ()
    return isinstance(loader, _Loader) or any(_is_own(str(path)) for path in paths)


def _finder(path: str) -> FileFinder:
    """Find modules in one of the user's folders: https://docs.python.org/3/reference/import.html#path-entry-finders."""
    if not _is_own(path):
        raise ImportError(path=path)
    return FileFinder(
        path,
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (_Loader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )


def _is_own(path: str) -> bool:
    place = Path(path).resolve()
    lineage = {place, *place.parents}
    return not (_folders.isdisjoint(lineage) or _STANDARD in lineage or _INSTALLED.intersection(place.parts))


def _execute(spec: ModuleSpec) -> None:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        if spec.loader:
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise


def _content(path: str) -> bytes | None:
    with suppress(OSError):
        return Path(path).read_bytes()
    return None
