"""A stream for log lines that never holds up who writes: a thread passes them on, and drops them while nobody reads."""

from __future__ import annotations

import atexit
import contextlib
import json
import queue
import threading
from typing import TextIO

MOST_LINES = 10_000
LAST_SECONDS = 2.0


_open: list[LineWriter] = []


@atexit.register
def finish(seconds: float = LAST_SECONDS) -> None:
    """Write what waits in every writer; for the end of the process."""
    while _open:
        _open.pop().close(seconds)


class LineWriter:
    """Takes whole lines and writes them to `out` in order; beyond `most` waiting ones they are dropped and counted.

    A pipe whose reader stopped would otherwise stop the loop, and with it the intake. At the end of the process
    what waits is written for `LAST_SECONDS` at most.
    """

    def __init__(self, out: TextIO, most: int = MOST_LINES) -> None:
        self._out = out
        self._lines: queue.Queue[str | None] = queue.Queue(most)
        self._dropped = 0
        self._thread = threading.Thread(target=self._pass_on, name="log", daemon=True)
        self._thread.start()
        _open.append(self)

    def write(self, line: str) -> None:
        """Take a line, or count it as dropped."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Do nothing: each line is flushed as it is written."""

    def close(self, seconds: float) -> None:
        """Write what waits, as far as somebody reads it within `seconds`; later lines are lost."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=seconds)
            self._thread.join(seconds)

    def _pass_on(self) -> None:
        while (line := self._lines.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            if dropped:
                note = {"event": "log_lines_dropped", "count": dropped, "level": "warning"}
                line += json.dumps({**note, "detail": "nobody read the log for a while"}) + "\n"
            try:
                self._out.write(line)
                self._out.flush()
            except (OSError, ValueError):
                return
