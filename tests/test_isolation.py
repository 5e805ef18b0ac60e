"""Transforms in worker processes: whatever they do, they are survived, replaced, and gone with the gateway."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import Skip
from gateway.errors import TransformError
from gateway.mapper import Isolation, Mapper
from gateway.stamp import Stamped
from gateway.transform import Mapped, Postponed, Runner, load
from tests.hostile import FATAL, FAULTS, HANGS, LATE, MODULE
from tests.mapped import entry, wire

AMPLE = 20.0
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what loading a transform does to the path."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def reference(name: str) -> str:
    """Name a transform of the hostile module."""
    return f"./hostile.py:{name}"


def isolated(folder: Path, *names: str, workers: int = 1, environ: dict[str, str] | None = None) -> dict[str, Mapper]:
    """Return mappers that run in worker processes they share."""
    if not (folder / "hostile.py").exists():
        (folder / "hostile.py").write_text(MODULE)
    references = tuple(reference(name) for name in names)
    isolation = Isolation("acme", references, folder, workers, 96, dict(os.environ) if environ is None else environ)
    made = Mapper("acme", "", lambda _: None, "acme", AMPLE, isolation=isolation)
    return {
        name: replace(
            made,
            reference=reference(name),
            function=load(reference(name), folder),
            timeout_seconds=0.3 if name in {*HANGS, "starts"} else AMPLE,
        )
        for name in names
    }


@asynccontextmanager
async def running() -> AsyncIterator[Runner]:
    """Give a runner and close it."""
    runner = Runner()
    try:
        yield runner
    finally:
        await runner.close()


def children(pid: int) -> set[int]:
    """Return the processes whose parent is `pid`, also those that nobody has reaped."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.add(int(stat.parent.name))
    return found


def child_of(folder: Path) -> int:
    """Return the process that a transform started."""
    return int((folder / "child").read_text())


def lives(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def gone(*pids: int) -> None:
    """Wait until these children are reaped."""
    async with asyncio.timeout(10):
        while children(os.getpid()) & set(pids):  # noqa: ASYNC110 - the system tells nobody of it
            await asyncio.sleep(0.02)


async def test_every_fault_is_a_reason_and_the_next_delivery_is_mapped(tmp_path: Path) -> None:
    """What is wrong with a transform or its events is told as in a thread, or with how its process ended."""
    faults = {"never_yields": LATE, "computes": LATE, **FAULTS, **FATAL}
    mappers = isolated(tmp_path, "good", "good_async", *faults, workers=2)
    async with running() as runner:
        for name, sentence in faults.items():
            good = "good_async" if name < "m" else "good"
            [failed] = await runner.run([(entry(id="bad"), mappers[name])])
            assert isinstance(failed, TransformError), name
            assert str(failed).startswith(f"{reference(name)} {sentence}")
            [made] = await runner.run([(entry(id="n"), mappers[good])])
            assert [event["data"] for event in wire(made)] == [{"n": "n"}]


async def test_events_are_those_of_a_thread(tmp_path: Path) -> None:
    """Many entries keep their order over several workers, and their events have the same bytes as from a thread."""
    (tmp_path / "hostile.py").write_text(
        MODULE
        + "def maps(delivery):\n"
        + "    if delivery.id == 'n7': return None\n"
        + "    payload = delivery.json()\n"
        + "    return [Event(name='é', data={**payload, 'h': dict(delivery.headers)}), Event(name='b', data={})]\n"
    )
    mapper = replace(isolated(tmp_path, "maps", workers=2)["maps"], metadata=True, big_integers="string")
    headers = {"x-half": "a\udce9"}
    items = [entry(3, id=f"n{n}", body=b'{"n": 12345678901234567890}', headers={}) for n in range(200)]
    async with running() as runner:
        there = await runner.run([(item, mapper) for item in items])
        here = await runner.run([(item, replace(mapper, isolation=None)) for item in items])
        [odd] = await runner.run([(entry(headers=headers), mapper)])
    assert there == here
    assert there[7] == Skip("the transform returned no event")
    assert isinstance(there[0], Stamped)
    assert "surrogate" in str(odd)


async def test_memory_is_freed_between_deliveries(tmp_path: Path) -> None:
    """A transform that leaks a little each time costs no delivery: a fresh worker takes over at the limit."""
    mapper = isolated(tmp_path, "leaks_slowly")["leaks_slowly"]
    async with running() as runner:
        results = await runner.run([(entry(id=f"n{n}"), mapper) for n in range(8)])
    assert all(isinstance(result, Stamped) for result in results), results


async def test_what_hangs_is_not_run_on_its_other_entries(tmp_path: Path) -> None:
    """After one entry was killed at its limit the others of that transform are postponed, and other transforms run."""
    mappers = isolated(tmp_path, "computes", "good")
    async with running() as runner:
        results: list[Mapped] = await runner.run(
            [(entry(id=f"n{n}"), mappers[name]) for n, name in enumerate(["computes", "good", "computes", "computes"])]
        )
        impatient = await runner.run([(entry(), mappers["computes"])], patience=0.1)
    assert [type(result) for result in results] == [TransformError, Stamped, Postponed, Postponed]
    assert impatient == [Postponed("acme")]


async def test_others_wait_no_longer_than_our_patience(tmp_path: Path) -> None:
    """Neither what ends its process many times over nor a worker that is at something else holds up a batch for long.

    What is at something else is not disturbed.
    """
    mappers = isolated(tmp_path, "ends", "held")
    async with running() as runner:
        results = await runner.run([(entry(id=f"n{n}"), mappers["ends"]) for n in range(200)], patience=0.5)
        assert results[-1] == Postponed("acme")
        holding = asyncio.create_task(runner.run([(entry(), mappers["held"])]))
        await asyncio.sleep(0)
        assert await runner.run([(entry(), mappers["held"])], patience=0.1) == [Postponed("acme")]
        (tmp_path / "go").touch()
        [held] = await holding
    assert "held raised LookupError: held up" in str(held)


async def test_workers_see_no_secret(tmp_path: Path) -> None:
    """A worker has the environment that it is given and nothing of the gateway's own, and its folder is found last."""
    mapper = isolated(tmp_path, "told", environ={"TOKEN": "for the transform"})["told"]
    async with running() as runner:
        [event] = wire((await runner.run([(entry(), mapper)]))[0])
    environ = event["data"]["environ"]
    assert {name: text for name, text in environ.items() if name != "LC_CTYPE"} == {"TOKEN": "for the transform"}
    assert event["data"]["pid"] != os.getpid()
    assert event["data"]["path"][-1] == str(tmp_path)


async def test_a_replaced_worker_runs_what_was_loaded(tmp_path: Path) -> None:
    """A worker that takes another's place runs the code of the last load, whatever has been saved since."""
    mappers = isolated(tmp_path, "good", "ends")
    async with running() as runner:
        await runner.prepare(mappers.values())
        (tmp_path / "hostile.py").write_text("def good(:\n")
        await runner.run([(entry(), mappers["ends"])])
        [made] = await runner.run([(entry(id="n"), mappers["good"])])
    assert wire(made)[0]["data"] == {"n": "n"}


async def test_a_worker_that_cannot_be_started_again(tmp_path: Path) -> None:
    """While no worker can be started entries are put off with the reason, and mapped as soon as one can."""
    code = "if __import__('pathlib').Path(__file__).with_name('no').exists(): raise LookupError('not now')\n"
    (tmp_path / "hostile.py").write_text(MODULE + code)
    mappers = isolated(tmp_path, "good", "ends")
    async with running() as runner:
        await runner.prepare(mappers.values())
        (tmp_path / "no").touch()
        [put_off] = await runner.run([(entry(), mappers["ends"])])
        assert isinstance(put_off, Postponed)
        assert "its worker process cannot be started: transform './hostile.py:good'" in put_off.reason
        assert "raised LookupError: not now" in put_off.reason
        assert put_off.delay_ms > 0
        (tmp_path / "no").unlink()
        while isinstance((await runner.run([(entry(id="n"), mappers["good"])]))[0], Postponed):
            pass
        [made] = await runner.run([(entry(id="n"), mappers["good"])])
    assert wire(made)[0]["data"] == {"n": "n"}


async def test_a_module_that_does_not_load_there(tmp_path: Path) -> None:
    """Where a worker cannot load its transforms, that is told as a sentence, and no process is left."""
    before = children(os.getpid()) if sys.platform == "linux" else set()
    for code, sentence in {
        "if __import__('os').getpid() != PID: raise LookupError('nothing here')": "raised LookupError: nothing here",
        "if __import__('os').getpid() != PID: __import__('os')._exit(4)": "ended with exit code 4 while it loaded",
        "if __import__('os').getpid() != PID: x = bytearray(500_000_000)": "raised MemoryError",
    }.items():
        folder = tmp_path / sentence.replace(" ", "_")[:12]
        folder.mkdir()
        (folder / "hostile.py").write_text(MODULE + code.replace("PID", str(os.getpid())) + "\n")
        mappers = isolated(folder, "good", workers=2)
        async with running() as runner:
            with pytest.raises(TransformError, match=sentence):
                await runner.run([(entry(), mappers["good"])])
    if sys.platform == "linux":
        assert children(os.getpid()) == before


@LINUX
async def test_what_a_transform_started_is_killed_with_it(tmp_path: Path) -> None:
    """At the time limit the whole of what the transform started is killed."""
    mapper = isolated(tmp_path, "starts")["starts"]
    async with running() as runner:
        [late] = await runner.run([(entry(), mapper)])
        assert "took over 0.3 s" in str(late)
        async with asyncio.timeout(5):
            while lives(child_of(tmp_path)):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)


@LINUX
async def test_closing_leaves_no_process(tmp_path: Path) -> None:
    """Closing ends workers that are idle, busy, coming, or deaf to SIGTERM, and reaps them."""
    before = children(os.getpid())
    mappers = isolated(tmp_path, "good", "computes", "ends", workers=3)
    mappers = {name: replace(mapper, timeout_seconds=30.0) for name, mapper in mappers.items()}
    async with running() as runner:
        await runner.prepare(mappers.values())
        for pid in children(os.getpid()) - before:
            os.kill(pid, signal.SIGTERM)
        busy = asyncio.create_task(runner.run([(entry(), mappers["computes"])]))
        await runner.run([(entry(), mappers["ends"])])
        assert len(children(os.getpid()) - before) == 3
    with pytest.raises(asyncio.CancelledError):
        await busy
    assert children(os.getpid()) == before


@LINUX
async def test_only_what_is_needed_is_kept(tmp_path: Path) -> None:
    """Workers of a configuration that was replaced end once what began with them has ended."""
    before = children(os.getpid())
    old = isolated(tmp_path, "good", "told", "computes")
    new = isolated(tmp_path, "good", "told")
    async with running() as runner:
        await runner.prepare([*old.values(), *new.values()])
        busy = asyncio.create_task(runner.run([(entry(), old["computes"]), (entry(id="after"), old["good"])]))
        await asyncio.sleep(0)
        runner.keep(new.values())
        late, after = await busy
        assert "took over" in str(late)
        assert isinstance(after, Stamped)
        [event] = wire((await runner.run([(entry(), new["told"])]))[0])
        await gone(*(children(os.getpid()) - before - {event["data"]["pid"]}))
        assert children(os.getpid()) - before == {event["data"]["pid"]}
