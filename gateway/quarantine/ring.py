"""Keep the newest of many lines within bounds, so that one kind of noise does not push out the others. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

SOURCE_LINES = 100
SOURCE_BYTES = 1_048_576
UNKNOWN_LINES = 50
TOTAL_LINES = 1_000
TOTAL_BYTES = 16 * 1_048_576


class Ring:
    """Lines by source and label, oldest first. What is over a bound goes: the oldest of the largest kind.

    A source keeps `SOURCE_LINES` and `SOURCE_BYTES`, the unknown one ("") fewer, all together `TOTAL_LINES` and
    `TOTAL_BYTES`.
    """

    def __init__(self) -> None:
        self._shelves: dict[str, _Shelf] = {}

    def add(self, source: str, label: str, line: bytes) -> None:
        """Keep a line, and let go of what is then too much."""
        if len(line) > SOURCE_BYTES:
            return
        shelf = self._shelves.setdefault(source, _Shelf())
        shelf.add(label, line)
        most = SOURCE_LINES if source else UNKNOWN_LINES
        while shelf.count > most or shelf.size > SOURCE_BYTES:
            shelf.drop()
        while self.count > TOTAL_LINES or self.size > TOTAL_BYTES:
            self._drop()

    @property
    def count(self) -> int:
        """How many lines there are."""
        return sum(shelf.count for shelf in self._shelves.values())

    @property
    def size(self) -> int:
        """How many bytes the lines have."""
        return sum(shelf.size for shelf in self._shelves.values())

    def lines(self) -> Iterator[bytes]:
        """Yield all lines; those of one source and label are in the order they were added."""
        for shelf in self._shelves.values():
            for kind in shelf.kinds.values():
                yield from kind

    def _drop(self) -> None:
        by = "count" if self.count > TOTAL_LINES else "size"
        source, shelf = max(self._shelves.items(), key=lambda item: getattr(item[1], by))
        shelf.drop()
        if not shelf.count:
            del self._shelves[source]


class _Shelf:
    """The lines of one source."""

    def __init__(self) -> None:
        self.kinds: dict[str, deque[bytes]] = {}
        self.count = 0
        self.size = 0

    def add(self, label: str, line: bytes) -> None:
        self.kinds.setdefault(label, deque()).append(line)
        self.count += 1
        self.size += len(line)

    def drop(self) -> None:
        """Let go of the oldest line of the label that has most lines."""
        label, kind = max(self.kinds.items(), key=lambda item: len(item[1]))
        self.size -= len(kind.popleft())
        self.count -= 1
        if not kind:
            del self.kinds[label]
