"""A gateway that writes no log line and counts nothing: `python -m benchmarks.servers.silent_gateway CONFIG`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.contenders import ENVIRON
from gateway import app, run
from gateway.config import load


class Nothing:
    """Takes whatever is said to it, and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> Nothing:
        """Return itself, which stands for whatever is asked of it."""
        return self

    __getattr__ = __getitem__ = __call__


async def _alone(*_: Any) -> None:
    """Let nothing run beside the gateway."""


if __name__ == "__main__":
    vars(app).update(Log=Nothing, Metrics=Nothing)
    path = Path(sys.argv[1])
    sys.exit(uvloop.run(run.run(lambda: load(path, ENVIRON), _alone)))
