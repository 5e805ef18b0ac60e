"""Notice that files or the user's modules changed, by looking at them now and then."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gateway import user_code

State = tuple[int, ...] | tuple[str, ...] | None


class Watch:
    """Some files and the user's modules, as they are in use. Set `failed` where what they hold cannot be used.

    What failed is worth another try whenever any of them was written, made or removed, as a module may have been
    missing; else there is something new only where a content is another one. A file that cannot be read may be
    about to be written, and is none.
    """

    def __init__(self, *files: Path) -> None:
        self.failed = False
        self._files = files
        self._used: dict[Path, bytes] = {}
        self._used = self._contents()
        self._state = self._look()

    def changed(self) -> bool:
        """Tell whether there is something new since this was made, or since this last told so."""
        before, self._state = self._state, self._look()
        if self.failed and all(self._state.get(path) == state for path, state in before.items()):
            return False
        contents = self._contents()
        new = self.failed or contents != self._used or bool(user_code.changed())
        self._used = contents
        return new

    def _contents(self) -> dict[Path, bytes]:
        found = dict(self._used)
        for file in self._files:
            with suppress(OSError):
                found[file] = file.read_bytes()
        return found

    def _look(self) -> dict[str, State]:
        return {path: _state(path) for path in {*map(str, self._files), *user_code.watched()}}


def _state(path: str) -> State:
    """Return what tells that a file was written, or that a folder has other modules; inboxes come and go there too."""
    try:
        if os.path.isdir(path):  # noqa: PTH112 - of many paths, often
            return tuple(sorted(name for name in os.listdir(path) if "." not in name or name.endswith(".py")))  # noqa: PTH208
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
