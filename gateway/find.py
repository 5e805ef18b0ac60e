"""Find the function that a reference names.

package.module:function         a module that is installed, or beside the configuration
./transforms/acme.py:function   a file, its path relative to the configuration's folder
acme-orders                     an installed entry point of the group gateway.transforms
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from gateway import user_code
from gateway.blame import raised, sentence
from gateway.errors import TransformError
from gateway.mapper import Transform

GROUP = "gateway.transforms"
MAX_SENTENCE = 500
FORM = "write package.module:function, ./file.py:function, or the name of an installed transform"


def load(reference: str, folder: Path | None = None) -> Transform:
    """Return the transform; `folder`, the configuration file's, is looked into last and stays importable.

    Raises TransformError with a sentence that says what was not found, or how the user's module failed, and the fix.
    """
    if folder is not None and (place := str(folder.resolve())) not in sys.path:
        # At the end, so that a file beside the configuration hides no installed package of the same name.
        sys.path.append(place)
    if folder is not None:
        user_code.admit(folder)
    try:
        return _checked(_found(reference, folder or Path.cwd()))
    except TransformError as error:
        raise TransformError(sentence(f"transform {reference!r} {error}", MAX_SENTENCE)) from None


def _found(reference: str, folder: Path) -> Any:
    place, colon, name = reference.rpartition(":")
    if not colon:
        return _entry_point(reference)
    if not name.isidentifier():
        raise TransformError(f"is not a reference; {FORM}")
    if "/" in place or place.endswith(".py"):
        return _attribute(_file(folder / place), name, f"the file {place}")
    if not all(part.isidentifier() for part in place.split(".")):
        raise TransformError(f"is not a reference; {FORM}")
    return _attribute(_module(place), name, f"the module {place}")


def _attribute(module: ModuleType, name: str, place: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    known = [
        key for key, value in vars(module).items() if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    raise TransformError(f"was not found: {place} has no function {name}; {_suggest(name, known)}")


def _file(path: Path) -> ModuleType:
    """Import a file as a module of a package that stands for its folder, which is not put on the path."""
    path = path.resolve()
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise TransformError("is not a reference to a module; name a file such as ./transforms/acme.py")
    user_code.admit(path.parent)  # also without the file, so that whoever waits for it looks there
    if not path.is_file():
        raise TransformError(
            f"was not found: there is no file {path}; correct it, relative to the configuration's folder"
        )
    package = f"{user_code.package_name(path.parent)}"

    def load_it() -> ModuleType:
        user_code.make_package(path.parent)
        return importlib.import_module(package if path.stem == "__init__" else f"{package}.{path.stem}")

    importlib.invalidate_caches()
    module: ModuleType = _imported(load_it, f"{package}.{path.stem}")
    return module


def _module(name: str) -> ModuleType:
    # A file written since the last import must be seen by a reload of the configuration.
    importlib.invalidate_caches()
    try:
        module: ModuleType = _imported(lambda: importlib.import_module(name), name)
    except ModuleNotFoundError as error:
        raise TransformError(f"was not found: {_not_found(error.name or name)}") from None
    return module


def _imported(load_it: Callable[[], Any], module: str) -> Any:
    """Import user code; only a ModuleNotFoundError for `module` itself or a package it is in gets out as it is."""
    try:
        return load_it()
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise
        raise TransformError(raised("cannot be imported: its module", error, module.partition(".")[0])) from None


def _not_found(name: str) -> str:
    parent, _, missing = name.rpartition(".")
    if not parent:
        return f"there is no module {name}; put it beside the configuration file, or install its package"
    places = getattr(sys.modules.get(parent), "__path__", None)
    if places is None:
        return f"{parent} is a single module, so there is no {missing} in it; {FORM}"
    return (
        f"the package {parent} in {next(iter(places), 'no folder')} has no module {missing}; correct the name, or "
        "rename your own package if that one hides it"
    )


def _entry_point(name: str) -> Any:
    offered = entry_points(group=GROUP)
    points = {point.value: point for point in offered if point.name == name}
    match list(points.values()):
        case []:
            raise TransformError(f"is not installed; {_suggest(name, sorted(offered.names))}; {FORM}")
        case [point]:
            try:
                return _imported(point.load, point.module)
            except ModuleNotFoundError:
                raise TransformError(
                    f"is installed as {point.value}, and that module is missing; reinstall it"
                ) from None
    raise TransformError(f"is offered by several packages; write {' or '.join(sorted(points))}")


def _suggest(name: str, known: list[str]) -> str:
    if near := difflib.get_close_matches(name, known, n=3):
        return f"did you mean {' or '.join(near)}?"
    return f"there is {', '.join(known[:10])}" if known else "there is none"


def _checked(found: Any) -> Transform:
    """Return what was found if it can be called with a delivery."""
    if not callable(found):
        raise TransformError(f"is of type {type(found).__name__}; name a function")
    transform: Transform = found
    try:
        signature = inspect.signature(transform)
    except ValueError:  # a function in C need not tell
        return transform
    try:
        signature.bind(None)
    except TypeError:
        raise TransformError(f"takes {signature}; a transform takes one argument, the delivery") from None
    return transform
