"""Do something again whenever a file it depends on changes, with the user's modules as they are then."""

from __future__ import annotations

import linecache
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

from gateway.cli.options import complain, tell
from gateway.config import Config, default_path
from gateway.errors import GatewayError

LOOK_SECONDS = 0.2

State = dict[Path, tuple[int, int] | None]


def rerun_on_change(run: Callable[[], Config], config: Path | None, files: Iterable[Path], reference: str) -> None:
    """Run now and after each change of the configuration, of `files` or of the user's modules, until Ctrl-C.

    A fault is told, and mended by the next change. Bytecode is not written, as its age is told in whole seconds.
    """
    sys.dont_write_bytecode = True
    given = set(sys.modules)
    path = config or default_path()
    seen = {path, *files}
    try:
        while True:
            state = _look(seen)  # before it runs, so that a change meanwhile is not missed
            _forget(_own_modules(given, path.parent))
            loaded = _run(run)
            seen |= {Path(str(module.__file__)) for module in _own_modules(given, path.parent).values()}
            seen |= _named(loaded, reference, path.parent)
            _wait_for_change({**_look(seen), **state})
            complain("changed; once more", "dim")
    except KeyboardInterrupt:
        complain("")


def _run(run: Callable[[], Config]) -> Config | None:
    try:
        return run()
    except GatewayError as error:
        tell(error)
    return None


def _own_modules(given: set[str], folder: Path) -> dict[str, ModuleType]:
    """Return the modules imported since that lie below a folder and are not installed there."""
    place = folder.resolve()
    found = {}
    for name in sys.modules.keys() - given:
        file = getattr(sys.modules[name], "__file__", None)
        if file and place in Path(file).resolve().parents and "site-packages" not in Path(file).parts:
            found[name] = sys.modules[name]
    return found


def _forget(modules: Iterable[str]) -> None:
    for name in modules:
        del sys.modules[name]
    linecache.clearcache()


def _named(loaded: Config | None, reference: str, folder: Path) -> set[Path]:
    """Return the files that references may mean, as those of a module that cannot be imported are in no list."""
    own = [source.transform for source in loaded.sources.values()] if loaded else []
    places = [text.rpartition(":")[0] for text in (reference, *own) if text]
    return {folder / (place if place.endswith(".py") else place.replace(".", "/") + ".py") for place in places if place}


def _wait_for_change(before: State) -> None:
    while _look(before) == before:
        time.sleep(LOOK_SECONDS)


def _look(files: Iterable[Path]) -> State:
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
