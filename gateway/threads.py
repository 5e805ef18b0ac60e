"""Threads that are started before they are needed.

Where memory is short, starting a thread may fail, and in CPython it may also block whoever starts it for ever, which
must not be the loop: https://github.com/python/cpython/issues/140746
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue

# Long after what was interrupted has closed what it had open, where the interruption was not lost.
AGAIN_SECONDS = 5.0

Work = Callable[[], bool]
"""What a thread of a crew does; False tells that it was given up meanwhile and another took the thread's place."""


def pool(size: int, name: str) -> ThreadPoolExecutor:
    """Return an executor whose threads all run."""
    made = ThreadPoolExecutor(size, thread_name_prefix=name)
    met = threading.Barrier(size + 1)
    for _ in range(size):
        made.submit(met.wait)
    met.wait()
    return made


class Interrupted(BaseException):
    """What is raised in code that is to end and was given up."""


def interrupt(thread: threading.Thread, loop: asyncio.AbstractEventLoop) -> None:
    """Raise Interrupted in a thread that is to end, once it runs Python code, and again until it has ended.

    So a loop without an end does end, and takes no processor for ever; a call that blocks goes on until it returns.
    What is raised while the garbage collector calls back is lost: https://docs.python.org/3/c-api/threads.html.
    """
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Interrupted))
        loop.call_later(AGAIN_SECONDS, interrupt, thread, loop)


class Crew:
    """Daemon threads that take work in turn. One that hangs cannot be stopped: `replace` it, and its end is its own."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        for _ in range(size):
            self.replace()

    def put(self, work: Work) -> None:
        """Let the next free thread do it."""
        self._work.put(work)

    def replace(self) -> None:
        """Start a thread in place of one whose work was given up."""
        threading.Thread(target=self._serve, name=self._name, daemon=True).start()

    def dismiss(self) -> None:
        """End each thread after what it does now."""
        for _ in range(self._size):
            self._work.put(None)

    def _serve(self) -> None:
        with suppress(Interrupted):
            while (work := self._work.get()) and work():
                pass
