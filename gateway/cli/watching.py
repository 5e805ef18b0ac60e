"""Do something again whenever a file it depends on changes, with the user's modules as they are then."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from gateway import user_code
from gateway.cli.options import complain, tell
from gateway.errors import GatewayError
from gateway.watch import Watch

LOOK_SECONDS = 0.2


def rerun_on_change(run: Callable[[], None], *files: Path) -> None:
    """Run now and after each change of the files or of the user's modules, until Ctrl-C.

    A fault is told, and mended by the next change.
    """
    watch = Watch(*files)
    try:
        while True:
            with user_code.renewed():
                watch.failed = not _ran(run)
            while not watch.changed():
                time.sleep(LOOK_SECONDS)
            complain("changed; once more", "dim")
    except KeyboardInterrupt:
        complain("")


def _ran(run: Callable[[], None]) -> bool:
    """Tell whether it did without a fault."""
    try:
        run()
    except GatewayError as error:
        tell(error)
        return False
    return True
