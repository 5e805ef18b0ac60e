"""Cut the power under an inbox in use, in this process, and look at what the disk kept."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from gateway.errors import InboxError, InboxUnavailable, InboxUnsupported
from gateway.history import Query
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import Attempt, Delivery, Lease, SentEvent, Settlement, State
from gateway.torture.disk import Disk, check_integrity, remembered
from gateway.torture.haste import Synchronous, settings

MODES = ("disk_full", "slow_fsync", "cut", "cut_reordered", "fsync_error")
"""How the disk behaves before the power goes. In all but `cut` some unsynced writes survive, whole or torn."""

CHECKPOINT_PAGES = 60
LAST_SYNCS, STRIDE = 97, 37  # coprime: each sync gets its turn, and the first few turns are far apart
WORKERS = 3
SLOW_SECONDS = 0.004
NOW = 1_800_000_000_000
LEASE_MS = 60_000
WINDOW_MS = 7 * 86_400_000


@dataclass(slots=True)
class PowerLosses:
    """What so many power losses did. Whatever is not a count of work must be empty."""

    losses: int = 0
    modes: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    settled: int = 0
    syncs: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Ledger:
    """What the inbox has promised to the outside: ids with the digest of their body, and those settled."""

    digests: dict[str, str] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)


async def lose_power(folder: Path, number: int, rng: Random, total: PowerLosses, synchronous: Synchronous) -> None:
    """Use an inbox in `folder`, cut the power at a moment that `number` and `rng` choose, and add the findings."""
    mode = MODES[number % len(MODES)]
    ledger = _Ledger()
    survivors = folder / "survived"
    with remembered() as disk, settings(checkpoint_pages=CHECKPOINT_PAGES, synchronous=synchronous):
        try:
            await _use(folder / "inbox.db", disk, ledger, survivors, mode=mode, number=number, rng=rng)
        except InboxUnsupported:  # the power went while the file was being made
            disk.after_power_cut(survivors)
    total.losses += 1
    total.modes[mode] += 1
    total.acknowledged += len(ledger.digests)
    total.settled += len(ledger.settled)
    total.syncs += disk.syncs
    found = await _look(survivors / "inbox.db", ledger)
    total.violations += [f"power loss {number} ({mode}): {finding}" for finding in found]
    shutil.rmtree(folder)


async def _use(
    path: Path, disk: Disk, ledger: _Ledger, survivors: Path, *, mode: str, number: int, rng: Random
) -> None:
    """Put, lease and settle until the disk fails or all is done; then the power goes."""
    if mode in {"cut", "cut_reordered", "fsync_error"}:
        disk.fail_after(number // len(MODES) * STRIDE % LAST_SYNCS)
    if mode == "slow_fsync":
        disk.on_sync = lambda: time.sleep(SLOW_SECONDS)
    inbox = SqliteInbox.open(path, dedupe_window_ms=WINDOW_MS)
    if mode == "disk_full":
        disk.leave_room(rng.randint(10_000, 800_000))
    try:
        putters = [asyncio.create_task(_put(inbox, rng, worker, ledger)) for worker in range(WORKERS)]
        forwarder = asyncio.create_task(_forward(inbox, putters, ledger))
        await asyncio.gather(*putters, forwarder)
        if mode == "disk_full":
            disk.leave_room(None)
            await _put(inbox, rng, WORKERS, ledger)
        disk.after_power_cut(survivors, None if mode == "cut" else rng)
    finally:
        disk.fail_after(None)
        await inbox.close()


async def _put(inbox: SqliteInbox, rng: Random, worker: int, ledger: _Ledger) -> None:
    """Put deliveries of many sizes one after another; a full disk refuses some, a failed one ends it."""
    for n in range(rng.randint(5, 25)):
        name = f"evt_{worker}_{n}"
        body = rng.randbytes(rng.choice((10, 700, 3_000, 9_000, 40_000)))
        delivery = Delivery("torture", "hmac", name, "order.created", NOW, body, content=body)
        try:
            await inbox.put([delivery], NOW)
        except InboxUnavailable:
            if inbox.failure:
                return
            continue
        ledger.digests[name] = hashlib.sha256(body).hexdigest()


async def _forward(inbox: SqliteInbox, putters: list[asyncio.Task[None]], ledger: _Ledger) -> None:
    """Lease and settle while there are puts; what is leased last stays leased."""
    while not all(putter.done() for putter in putters):
        try:
            leases = await inbox.lease(8, LEASE_MS, NOW)
            refusals = await inbox.settle([(lease, _forwarded(lease)) for lease in leases], NOW)
        except InboxUnavailable:
            if inbox.failure:
                return
        else:
            ledger.settled |= {
                lease.entry.delivery.id for lease, lost in zip(leases, refusals, strict=True) if lost is None
            }
        await asyncio.sleep(0)


def _forwarded(lease: Lease) -> Settlement:
    name = lease.entry.delivery.id
    event = SentEvent(f"torture:{name}:order.created", "torture/order.created", f"01{name}")
    return Settlement(State.FORWARDED, attempt=Attempt(lease.attempt, NOW, 5, "accepted", 200), events=(event,))


async def _look(path: Path, ledger: _Ledger) -> list[str]:
    """Open what survived and say how it differs from what was promised."""
    try:
        inbox = SqliteInbox.open(path, dedupe_window_ms=WINDOW_MS)
    except InboxError as error:
        return [f"the surviving file does not open: {error}"]
    found = {history.entry.delivery.id: history.entry for history in await inbox.search(Query(limit=1_000_000))}
    differing = []
    for name in ledger.digests.keys() & found.keys():
        history = await inbox.get(found[name].key)
        if history is None or hashlib.sha256(history.entry.delivery.body).hexdigest() != ledger.digests[name]:
            differing.append(name)
    await inbox.close()
    lost = ledger.digests.keys() - found.keys()
    undone = {name for name in ledger.settled & found.keys() if found[name].state is not State.FORWARDED}
    integrity = check_integrity(path)
    findings = [
        (lost, f"acknowledged and lost: {len(lost)} of {len(ledger.digests)}"),
        (differing, f"kept with other bytes: {len(differing)}"),
        (undone, f"settled and forgotten: {len(undone)} of {len(ledger.settled)}"),
        (integrity != "ok", f"the surviving file is damaged: {integrity}"),
    ]
    return [finding for wrong, finding in findings if wrong]
