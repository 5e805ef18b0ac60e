"""The newest of a stream of things, bounded by number and by size."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Keeps at most `limit` items of together at most `limit_bytes`, and counts all there ever were."""

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._limit, self._limit_bytes = limit, limit_bytes
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self.total = 0

    def append(self, item: T, size: int) -> None:
        """Keep an item of `size` bytes and forget the oldest where there is too much; the newest always stays."""
        self._items.append((item, size))
        self._bytes += size
        self.total += 1
        while len(self._items) > 1 and (len(self._items) > self._limit or self._bytes > self._limit_bytes):
            self._bytes -= self._items.popleft()[1]

    def items(self) -> list[T]:
        """Return what is kept, oldest first."""
        return [item for item, _ in self._items]
