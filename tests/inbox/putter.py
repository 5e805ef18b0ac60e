"""Puts deliveries into the inbox file it is given, several at a time, and prints each id that was acknowledged."""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from gateway.inbox.sqlite import SqliteInbox
from tests.inbox.samples import NOW, delivery


async def put_for_ever(inbox: SqliteInbox, worker: int) -> None:
    """Put one delivery after another; the print comes after the put has returned."""
    for n in itertools.count():
        name = f"evt_{os.getpid()}_{worker}_{n}"
        await inbox.put([delivery(name, body=bytes(n % 5_000))], NOW)
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()


async def main(path: Path) -> None:
    """Put with eight workers until killed."""
    inbox = SqliteInbox.open(path, dedupe_window_ms=1_000_000)
    await asyncio.gather(*(put_for_ever(inbox, worker) for worker in range(8)))


asyncio.run(main(Path(sys.argv[1])))
