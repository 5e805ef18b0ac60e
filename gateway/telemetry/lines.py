"""A stream for log lines that never holds up who writes: a thread passes them on, and drops them while nobody reads."""

from __future__ import annotations

import atexit
import queue
import select
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

MOST_LINES = 10_000
LAST_SECONDS = 2.0
# The thread is woken by the first line and then waits for more, which then cost one write together.
GATHER_SECONDS = 0.02

_open: list[LineWriter] = []
_totals = {"dropped": 0}


@atexit.register
def finish(seconds: float = LAST_SECONDS) -> None:
    """Write what waits in every writer; for the end of the process."""
    while _open:
        _open.pop().close(seconds)


def dropped() -> int:
    """Return how many lines were dropped in this process."""
    return _totals["dropped"]


class LineWriter:
    """Takes whole lines of UTF-8 and writes them to `out` in order; beyond `most` waiting ones they are dropped.

    A pipe whose reader stopped would otherwise stop the loop, and with it the intake. Once lines are taken again,
    `note` makes a line of how many are missing. At the end of the process what waits is written for `LAST_SECONDS`.

    Where several processes write to one pipe, only so much as `among_others` writes at once is not torn.
    """

    def __init__(
        self, out: TextIO, note: Callable[[int], bytes], most: int = MOST_LINES, *, among_others: bool = False
    ) -> None:
        self._out = out
        self._note = note
        self._most = most
        self._together = in_pieces if among_others else _all
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._dropped = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._pass_on, name="log", daemon=True)
        self._thread.start()
        _open.append(self)

    def write(self, line: bytes) -> None:
        """Take a line, or count it as dropped."""
        if self._lines.qsize() < self._most:
            self._lines.put(line)
        else:
            self._dropped += 1
            _totals["dropped"] += 1

    def flush(self) -> None:
        """Do nothing: lines are flushed as they are written."""

    def close(self, seconds: float) -> None:
        """Write what waits, as far as somebody reads it within `seconds`; later lines are lost."""
        self._closing.set()
        self._lines.put(None)
        self._thread.join(seconds)

    def _pass_on(self) -> None:
        ended = False
        while not ended:
            lines, ended = self._waiting()
            missing, self._dropped = self._dropped, 0
            if missing:
                lines.append(self._note(missing) + b"\n")
            try:
                for piece in self._together(lines):
                    self._out.write(piece.decode())
                    self._out.flush()
            except (OSError, ValueError):
                return
            self._closing.wait(GATHER_SECONDS)

    def _waiting(self) -> tuple[list[bytes], bool]:
        """Wait for a line and return all there are, and whether the end was among them."""
        lines: list[bytes] = []
        line = self._lines.get()
        while line is not None:
            lines.append(line)
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return lines, False
        return lines, True


def in_pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to pieces that a pipe takes whole, of however many processes write to it; a longer line stands alone.

    https://pubs.opengroup.org/onlinepubs/9799919799/functions/write.html
    """
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > select.PIPE_BUF:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece


def _all(lines: Iterable[bytes]) -> Iterator[bytes]:
    yield b"".join(lines)
