from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway import quarantine
from gateway.cli.causes import group
from gateway.diagnosis import Cause, explain_unknown
from gateway.quarantine import UNKNOWN, Held, Keeping, Recorder, Rejected
from gateway.quarantine import ring as bounds
from gateway.quarantine.redaction import shape
from gateway.quarantine.ring import Ring
from gateway.quarantine.sample import make
from gateway.telemetry.logs import Log
from tests.signed import NOW, SECRETS, request, signed_headers, source

ROOT = Path(__file__).parents[1]
CANARY = "canary-b0d9"


def rejected(name: str = "github", label: str = "signature_mismatch", **more: object) -> Rejected:
    """Make a rejected request of a source."""
    body = f'{{"secret": "{CANARY}"}}'.encode()
    sent = request((*signed_headers("github", body, secret=CANARY), ("authorization", f"Bearer {CANARY}")), body)
    values = {"source": name, "label": label, "status": 401, "sentence": "it does not match", "request": sent}
    return Rejected(**{**values, "body_bytes": len(body), **more})  # type: ignore[arg-type]


def recorder(path: Path, keeping: Keeping | None = None) -> Recorder:
    """Make a recorder that is flushed by hand."""
    return Recorder(path, keeping or Keeping({"github": source("github")}), log=Log())


def test_kept_without_anything_secret(tmp_path: Path) -> None:
    """A sample tells header names, shapes, length and digest of the body, and holds no signature, secret or body."""
    path = tmp_path / "inbox.db.rejected"
    kept = recorder(path)
    sent = rejected()
    told = replace(sent.request, path=f"/webhooks/github/{CANARY}", query=f"token={CANARY}")
    told = replace(told, headers=(*told.headers, ("user-agent", SECRETS["github"]), ("x-api-key", CANARY)))
    kept.hold(replace(sent, request=told, remote="203.0.113.9"))
    kept.flush()
    [kept_one] = quarantine.read(path).samples
    content = path.read_bytes()
    signature = dict(sent.request.headers)["x-hub-signature-256"]
    for hidden in (CANARY, SECRETS["github"], signature, signature[7:], "203.0.113.9"):
        assert hidden.encode() not in content
    assert dict(kept_one.headers)["x-hub-signature-256"] == "[sha256= 64 hex digits]"
    assert dict(kept_one.headers)["authorization"] == f"[Bearer {len(CANARY)} base64url characters]"
    assert dict(kept_one.headers)["x-github-event"] == "push"
    assert (kept_one.path, kept_one.query_fields, kept_one.body_bytes) == (
        "/webhooks/github/…",
        1,
        len(sent.request.body),
    )
    assert len(kept_one.body_sha256) == 64
    assert (kept_one.findings[0].cause, kept_one.body, kept_one.remote) == (Cause.SECRET_UNKNOWN, None, "")
    assert path.stat().st_mode & 0o777 == 0o600


def test_bodies_and_addresses_only_when_configured(tmp_path: Path) -> None:
    """With keep_bodies a body of at most 64 KiB is kept as it came, and with keep_addresses the peer's address."""
    path = tmp_path / "q"
    kept = recorder(path, Keeping({"github": source("github")}, bodies=True, addresses=True))
    sent = rejected(remote="203.0.113.9")
    kept.hold(sent)
    kept.hold(replace(sent, request=replace(sent.request, body=b"x" * 65_537)))
    kept.flush()
    small, large = quarantine.read(path).samples
    assert (small.body, small.remote, large.body) == (sent.request.body, "203.0.113.9", None)


def test_unknown_sources_keep_no_values(tmp_path: Path) -> None:
    """Of a request for a name that no source has, the header values are left out and the tried name is told."""
    path = tmp_path / "q"
    kept = recorder(path)
    sent = rejected("gihub", "unknown_source")
    kept.hold(replace(sent, request=replace(sent.request, path="/webhooks/gihub")))
    kept.flush()
    [kept_one] = quarantine.read(path).samples
    assert (kept_one.source, kept_one.path) == (UNKNOWN, "/webhooks/gihub")
    assert {value for _, value in kept_one.headers} == {""}
    assert "/webhooks/github" in kept_one.findings[0].remedy


def test_a_flood_is_counted_and_sampled(tmp_path: Path) -> None:
    """Of 100,000 rejected requests of distinct kinds a few are kept, all are counted, and memory stays small."""
    path = tmp_path / "q"
    kept = recorder(path)
    sent = rejected()
    tracemalloc.start()
    for number in range(100_000):
        body = b"%d" % number
        label, name = f"kind_{number % 5_000}", f"source_{number % 977}"
        kept.hold(replace(sent, source=name, label=label, request=replace(sent.request, body=body, path=f"/{number}")))
        if number % 10_000 == 0:
            kept.flush()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    kept.flush()
    assert peak < 16 * 1_048_576
    held = quarantine.read(path)
    assert len(held.samples) <= bounds.UNKNOWN_LINES
    assert path.stat().st_size < 4 * 1_048_576


def test_one_kind_does_not_push_out_another(tmp_path: Path) -> None:
    """A hundred scans without a signature leave the one real mismatch where it is."""
    path = tmp_path / "q"
    kept = recorder(path)
    kept.hold(rejected())
    for second in range(200):
        sent = rejected(label="signature_missing")
        kept.hold(replace(sent, request=replace(sent.request, headers=(), received_at=NOW + second * 1_000)))
        kept.flush()
    held = quarantine.read(path)
    assert len(held.samples) == bounds.SOURCE_LINES
    assert [sample.label for sample in held.samples].count("signature_mismatch") == 1
    assert {tally.label: tally.count for tally in held.tallies} == {"signature_mismatch": 1, "signature_missing": 200}


def test_a_flood_of_one_kind_in_one_second(tmp_path: Path) -> None:
    """Between two writes a source has a few samples of a kind, whatever came, and another kind still has its own."""
    path = tmp_path / "q"
    kept = recorder(path)
    for _ in range(1_000):
        kept.hold(rejected(label="signature_missing"))
    kept.hold(rejected())
    kept.flush()
    labels = [sample.label for sample in quarantine.read(path).samples]
    assert (labels.count("signature_missing"), labels.count("signature_mismatch")) == (4, 1)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefghijklmnop"), st.sampled_from("xyz"), st.integers(1, 400_000)), max_size=300
    )
)
def test_the_ring_is_bounded(added: list[tuple[str, str, int]]) -> None:
    """Whatever is added, no bound is exceeded and the newest line of what fits is there."""
    ring = Ring()
    for source_name, label, size in added:
        line = b"x" * size
        ring.add(source_name, label, line)
        assert line in ring.lines()
        assert ring.count <= bounds.TOTAL_LINES
        assert ring.size <= bounds.TOTAL_BYTES


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    """A new process adds to what the last one kept and counted, and a torn last line costs that line alone."""
    path = tmp_path / "q"
    first = recorder(path)
    first.hold(rejected())
    first.flush()
    with path.open("ab") as file:
        file.write(b'{"at": 17000000')
    second = recorder(path)
    second.hold(rejected())
    second.flush()
    held = quarantine.read(path)
    assert len(held.samples) == 2
    assert [tally.count for tally in held.tallies] == [2]
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in path.read_bytes().splitlines())


def test_workers_write_files_of_their_own(tmp_path: Path) -> None:
    """Who reads the quarantine of an inbox has what each worker wrote, and what a gateway of one process did before."""
    inbox = tmp_path / "in[b]ox"
    for worker in (0, 1, 2, 2):
        kept = recorder(quarantine.path_of(inbox, worker))
        kept.hold(rejected())
        kept.flush()
    quarantine.path_of(tmp_path / "other", 1).write_bytes(quarantine.path_of(inbox, 1).read_bytes())
    held = quarantine.read(quarantine.path_of(inbox))
    assert len(held.samples) == 4
    assert [tally.count for tally in held.tallies] == [4]


def test_old_samples_go(tmp_path: Path) -> None:
    """A new process leaves out what is older than 30 days."""
    path = tmp_path / "q"
    for at in (NOW, NOW + 31 * 86_400_000):
        kept, sent = recorder(path), rejected()
        kept.hold(replace(sent, request=replace(sent.request, received_at=at)))
        kept.flush()
    held = quarantine.read(path)
    assert [sample.at for sample in held.samples] == [NOW + 31 * 86_400_000]
    assert [tally.count for tally in held.tallies] == [1]


def test_foreign_content_is_passed_over(tmp_path: Path) -> None:
    """A file of something else is read as empty, and replaced when there is something to keep."""
    path = tmp_path / "q"
    path.write_bytes(b'\xff\xfe\n[]\n{}\n1\n{"tally": 5}\n{"at": "x"}\nnull\n')
    assert quarantine.read(path) == Held()
    kept = recorder(path)
    kept.hold(rejected())
    kept.flush()
    assert len(quarantine.read(path).samples) == 1


WRITER = """
import sys
from pathlib import Path
from tests.test_quarantine import recorder, rejected
kept = recorder(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    for label in ("signature_mismatch", "signature_missing", "header_missing"):
        kept.hold(rejected(label=label))
    kept.flush()
"""


def test_kill_while_writing(tmp_path: Path) -> None:
    """After kill -9 in the midst of writing, what was kept can be read and gone on with."""
    path = tmp_path / "q"
    for life in range(3):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:  # noqa: S603 - our own code
            assert child.stdout
            assert child.stdout.readline() == b"ready\n"
            size, deadline = 0, time.monotonic() + 10
            while size < 40_000 * (life + 1) and time.monotonic() < deadline:
                size = path.stat().st_size if path.exists() else 0
            os.kill(child.pid, signal.SIGKILL)
        held = quarantine.read(path)
        assert held.samples
        assert sum(tally.count for tally in held.tallies) >= len(held.samples)
    kept = recorder(path)
    kept.hold(rejected(label="body_timeout"))
    kept.flush()
    assert "body_timeout" in {sample.label for sample in quarantine.read(path).samples}


def test_unwritable_is_said_once(tmp_path: Path) -> None:
    """A place that cannot be written is said once, keeps nobody waiting, and is used again once it can be."""
    folder = tmp_path / "gone"
    kept = recorder(folder / "q")
    with capture_logs() as lines:
        for _ in range(3):
            kept.hold(rejected())
            kept.flush()
    assert [line["event"] for line in lines] == ["quarantine_unwritable"]
    folder.mkdir()
    kept.hold(rejected())
    kept.flush()
    assert len(quarantine.read(folder / "q").samples) == 4


def test_full_disk(tmp_path: Path) -> None:
    """A write that is cut short by a full disk loses no earlier sample and is made good by the next one."""
    path = tmp_path / "q"
    kept = recorder(path)
    kept.hold(rejected())
    kept.flush()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with capture_logs() as lines:
            for _ in range(2):
                kept.hold(rejected())
                kept.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [line["event"] for line in lines] == ["quarantine_unwritable"]
    assert len(quarantine.read(path).samples) >= 1
    kept.hold(rejected())
    kept.flush()
    assert len(quarantine.read(path).samples) == 4


SHAPES = [
    ("", "0 printable characters"),
    ("sha256=" + "ab" * 32, "sha256= 64 hex digits"),
    ("t=1700000000,v1=" + "0f" * 32 + ",v0=00", "t= 10 digits, v1= 64 hex digits, v0= 2 digits"),
    ("v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "2 base64 characters, 44 base64 characters"),
    ("Basic dXNlcjpwYXNz", "Basic 12 base64 characters"),
    ("my-secret=", "10 base64url characters"),
    ("\xff\x00", "2 characters"),
    (",".join("abcdefghijkl"), ", ".join(["1 hex digits"] * 6 + ["1 base64 characters"] * 2) + " and 4 more"),
]


@pytest.mark.parametrize(("value", "told"), SHAPES)
def test_shapes(value: str, told: str) -> None:
    """A value is told by lengths, alphabets and prefixes of a closed list, and by nothing of its own."""
    assert shape(value) == told


async def test_intake_does_not_wait(tmp_path: Path) -> None:
    """While the quarantine's file blocks for ever, holding a rejected request returns at once."""
    path = tmp_path / "q"
    os.mkfifo(path)  # opening it waits for a writer that never comes
    kept = recorder(path)
    kept.start()
    kept.hold(rejected())
    started = time.monotonic()
    for _ in range(10_000):
        kept.hold(rejected())
    assert time.monotonic() - started < 2
    os.close(os.open(path, os.O_WRONLY))
    await asyncio.to_thread(kept.close)
    assert quarantine.read(path).tallies[0].count == 10_001


def test_what_was_not_looked_into_is_told_so() -> None:
    """Samples of a flood that nobody diagnosed are a group of their own, after those with a cause."""
    sent = rejected()
    plain = make(sent, source("github"), (), (), keep_body=False)
    found = replace(plain, findings=(explain_unknown("/x", ["github"]),))
    groups = group(Held((plain, found, found), ()), "", 0)
    assert [(one.finding.cause, one.samples) for one in groups] == [(Cause.URL_NAME, 2), (Cause.UNKNOWN, 1)]
    assert group(Held((plain,), ()), "other", 0) == group(Held((plain,), ()), "", NOW + 1) == []
