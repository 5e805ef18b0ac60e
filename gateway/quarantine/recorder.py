"""Take rejected requests from the intake at no cost, and diagnose and write a few of them in a thread."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.diagnosis import Finding, explain, explain_label, explain_unknown
from gateway.quarantine import sample
from gateway.quarantine.file import KEPT_MS, Shelves, Writer
from gateway.quarantine.sample import UNKNOWN, Rejected
from gateway.quarantine.tally import MOST_TALLIES, Tally
from gateway.sources import Source
from gateway.telemetry.logs import Log

FLUSH_SECONDS = 1.0
LAST_SECONDS = 2.0

# How many samples, of how many bytes in sum, are taken between two writes; what is beyond is counted alone.
ALL_SAMPLES = 40
SOURCE_SAMPLES = 8
KIND_SAMPLES = 4
WAITING_BYTES = 8 * 1_048_576
DIAGNOSIS_SECONDS = 0.2
# A diagnosis takes some milliseconds, in which webhooks wait for the interpreter's lock: each is alone with that.
REST_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Keeping:
    """What may be kept beyond the usual, and whose secrets explain: [rejections], and all sources."""

    sources: Mapping[str, Source]
    bodies: bool = False
    addresses: bool = False


class Recorder:
    """Holds rejected requests, from any thread; `keeping` may be replaced at any time."""

    def __init__(self, path: Path, keeping: Keeping, *, log: Log) -> None:
        self.keeping = keeping
        self._log = log
        self._lock = threading.Lock()
        self._batch = _Batch()
        self._writer = Writer(path)
        self._path = path
        self._shelves: Shelves | None = None
        self._unwritable = False
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quarantine", daemon=True)

    def start(self) -> None:
        """Start the thread that diagnoses and writes."""
        self._thread.start()

    def hold(self, rejected: Rejected) -> None:
        """Count a rejected request and, within the bounds, take a sample of it; never waits and never fails."""
        known = rejected.source in self.keeping.sources
        with self._lock:
            self._batch.add(rejected, rejected.source if known else UNKNOWN)
            if not self._wake.is_set():  # most find it so under attack, and to ask costs a tenth
                self._wake.set()

    def close(self) -> None:
        """Write what waits and end the thread, within a bounded time."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(LAST_SECONDS)

    def flush(self) -> None:
        """Diagnose and write what waits; a file that cannot be written is said once, and tried again later."""
        with self._lock:
            batch, self._batch = self._batch, _Batch()
            self._wake.clear()
        if not batch.tallies:
            return
        try:
            if self._shelves is None:
                shelves = Shelves()
                shelves.fill(self._path, since=max(news.last_at for news in batch.tallies.values()) - KEPT_MS)
                self._shelves = shelves
            self._writer.write(self._shelve(batch, self._shelves), self._shelves)
        except OSError as error:
            if not self._unwritable:
                self._log.quarantine_unwritable(path=str(self._path), reason=error.strerror or type(error).__name__)
            self._unwritable = True
        else:
            self._unwritable = False

    def _run(self) -> None:
        while True:
            self._wake.wait()
            stopping = self._stop.is_set()
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - a fault in explaining must not end the explaining of others
                self._log.crashed(where="quarantine", error=error)
            if stopping or self._stop.wait(FLUSH_SECONDS):
                if stopping:
                    return
                self._wake.set()

    def _shelve(self, batch: _Batch, shelves: Shelves) -> list[bytes]:
        """Put a batch on the shelves; return its lines."""
        lines = []
        for (source, label), news in batch.tallies.items():
            before = shelves.tallies.get((source, label))
            total = before.plus(news) if before else news
            shelves.add_tally(total)
            lines.append(total.dumps())
        keeping = self.keeping
        tokens = [source.admission.path_token for source in keeping.sources.values()]
        secrets = [secret for source in keeping.sources.values() for secret in source.secrets]
        secrets += filter(None, tokens)
        until = time.thread_time() + DIAGNOSIS_SECONDS
        for rejected in batch.samples:
            findings: tuple[Finding, ...] = ()
            if time.thread_time() < until:
                findings = _diagnose(rejected, keeping)
                self._stop.wait(REST_SECONDS)
            known = keeping.sources.get(rejected.source)
            if not keeping.addresses:
                rejected = replace(rejected, remote="")  # noqa: PLW2901 - nothing after this may see the address
            kept = sample.make(rejected, known, secrets, findings, keep_body=keeping.bodies)
            lines.append(shelves.add_sample(kept))
        return lines


class _Batch:
    """What was held since the last write."""

    def __init__(self) -> None:
        self.samples: list[Rejected] = []
        self.tallies: dict[tuple[str, str], Tally] = {}
        self._taken: Counter[str | tuple[str, str]] = Counter()
        self._bytes = 0

    def add(self, rejected: Rejected, source: str) -> None:
        key, at = (source, rejected.label), rejected.request.received_at
        before = self.tallies.get(key)
        if before is None and len(self.tallies) >= MOST_TALLIES:
            return
        self.tallies[key] = before.one_more(at) if before else Tally(*key, count=1, first_at=at, last_at=at)
        full = self._taken[source] >= SOURCE_SAMPLES or self._taken[key] >= KIND_SAMPLES
        if full or len(self.samples) >= ALL_SAMPLES:
            return
        if self._bytes + len(rejected.request.body) > WAITING_BYTES:
            rejected = replace(rejected, request=replace(rejected.request, body=b""))
        self._taken.update((source, key))
        self._bytes += len(rejected.request.body)
        self.samples.append(rejected)


def _diagnose(rejected: Rejected, keeping: Keeping) -> tuple[Finding, ...]:
    request = rejected.request
    source = keeping.sources.get(rejected.source)
    if source is None:
        return (explain_unknown(request.path, keeping.sources),)
    if len(request.body) < (rejected.body_bytes or 0):
        return (explain_label(request, rejected.label, source),)
    return explain(request, rejected.label, source, keeping.sources, request.received_at)
