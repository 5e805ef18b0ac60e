"""The pytest plugin, in runs of pytest in folders of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import recording
from tests.mapped import RECEIVED, delivery

ONE = 'Event("order." + delivery.json()["kind"], {"n": 1})'
EVENTS = [{"name": "hmac/order.paid", "data": {"n": 1}, "id": "acme:d-1:order.paid", "ts": RECEIVED}]

BARE = ("-p", "no:asyncio", "-p", "no:hypothesispytest")
HEAD = "import os, random, socket, time\nfrom gateway import *\n"

Run = Callable[..., pytest.RunResult]


def golden(events: Any) -> str:
    """Write a golden file."""
    return json.dumps(events, indent=2) + "\n"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a run of pytest over one golden pair of a transform that returns an expression."""
    numbers = iter(range(100))

    def run(
        *arguments: str, returns: str = ONE, events: Any = EVENTS, line: str = "golden = {module}:transform"
    ) -> Any:
        module = f"mapped_{pytester.path.name}_{next(numbers)}"
        pytester.makepyfile(**{module: f"{HEAD}def transform(delivery):\n return {returns}"})
        pytester.makeini("[pytest]\ngateway_golden = " + line.format(module=module))
        folder = pytester.path / "golden"
        folder.mkdir(exist_ok=True)
        (folder / "paid.delivery.json").write_bytes(recording.dumps(delivery(b'{"kind": "paid"}')))
        if events is not None:
            (folder / "paid.events.json").write_text(events if isinstance(events, str) else golden(events))
        return pytester.runpytest_inprocess(*BARE, *arguments)

    monkeypatch.syspath_prepend(str(pytester.path))
    return run


def written(pytester: pytest.Pytester) -> Any:
    """Read the golden file of events."""
    return json.loads((pytester.path / "golden" / "paid.events.json").read_text())


def test_pair(run: Run) -> None:
    """A pair whose events are the ones that the transform makes is a test that passes, called by its case."""
    result = run("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["golden/paid.delivery.json::paid PASSED*"])


def test_prefix(run: Run) -> None:
    """The line says which prefix the events have, where it is not the provider."""
    line = "golden = {module}:transform prefix=acme"
    run(line=line, events=[EVENTS[0] | {"name": "acme/order.paid"}]).assert_outcomes(passed=1)


def test_difference(run: Run) -> None:
    """Other events than recorded are told as a diff of lines, without a traceback, and are not written."""
    result = run(events=[EVENTS[0] | {"data": {"n": 2}}])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["mapped_*:transform makes other events than recorded; --update-golden accepts them", '-*"n": 2', '+*"n": 1']
    )
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("events", [None, [], "not json"])
def test_update(run: Run, pytester: pytest.Pytester, events: Any) -> None:
    """--update-golden writes the events anew, and then the test passes."""
    assert run(events=events).ret == pytest.ExitCode.TESTS_FAILED
    run("--update-golden", events=events).assert_outcomes(passed=1)
    assert written(pytester) == EVENTS
    run(events=written(pytester)).assert_outcomes(passed=1)


def test_skip(run: Run) -> None:
    """A delivery that is skipped has no events."""
    run(returns='Skip("no")', events=[]).assert_outcomes(passed=1)


def test_async(run: Run) -> None:
    """What a transform awaits is awaited."""
    pause = '__import__("asyncio").sleep(0, Event("a", {}))'
    result = run("--update-golden", returns=f"None\nasync def transform(delivery):\n return await {pause}")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("returns", "told"),
    [
        ('Event("a", {"at": time.time_ns() // 1_000_000})', "*made other events of the same delivery in a second run*"),
        (
            'Event("a", {"n": random.random()})',
            "*made other events of the same delivery in a second run; it must not use*",
        ),
        ('Event("inngest/x", {})', "*inngest/ is reserved by the event API"),
        ('Event("a" * 300, {})', "*Event.name has 305 characters with its prefix, and 255 are allowed"),
        ('Event("a", {"n": {1}})', "*data.n is of type set; JSON cannot hold that"),
        ('Event("a", {}, ts=1700000000)', "*Event.ts looks like seconds*"),
        ('Event("a", {"n": "x" * 600_000})', "*made hmac/a of 600*, over the event API's usual limit of 524288*"),
        ('{"name": "a"}', "*returned a value of type dict*"),
        ("1 / 0", "*:transform raised ZeroDivisionError: division by zero (*.py:4)"),
    ],
)
def test_what_no_golden_file_can_mend(run: Run, pytester: pytest.Pytester, returns: str, told: str) -> None:
    """What could not be sent, or differs from run to run, fails with a sentence, also when it is to be written."""
    result = run("--update-golden", returns=returns)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])
    assert written(pytester) == EVENTS


NETWORK = [
    'Event("a", {}) if socket.create_connection(("127.0.0.1", 9)) else None',
    'Event("a", {"hosts": socket.getaddrinfo("localhost", 9) and 1})',
]


@pytest.mark.parametrize("returns", NETWORK)
def test_network(run: Run, returns: str) -> None:
    """A transform that reaches for the network fails, unless its folder may."""
    told = ["*reached for the network (socket.getaddrinfo), so its events depend on more than the delivery*"]
    refused = run("--update-golden", returns=returns)
    refused.assert_outcomes(failed=1)
    refused.stdout.fnmatch_lines(told)
    allowed = run("--update-golden", returns=returns, line="golden = {module}:transform network=allowed")
    allowed.stdout.no_fnmatch_line(told[0])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("golden", "ERROR: gateway_golden: 'golden' cannot be understood; write *"),
        ("golden =", "ERROR: gateway_golden: 'golden =' cannot be understood; write *"),
        ("golden = a:b colour=red", "ERROR: gateway_golden: 'golden = a:b colour=red' cannot be understood; write *"),
        ("golden = a:b network=no", "ERROR: gateway_golden: * says 'no' of the network; write network=allowed"),
    ],
)
def test_lines_that_cannot_be_understood(run: Run, line: str, told: str) -> None:
    """A faulty line ends the run with a sentence."""
    result = run(line=line)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])


def test_no_such_transform(run: Run) -> None:
    """A transform that is not found is told as when the gateway starts."""
    result = run(line="golden = nowhere_at_all:transform")
    result.stdout.fnmatch_lines(["transform 'nowhere_at_all:transform' was not found: there is no module*"])


def test_faulty_recording(run: Run, pytester: pytest.Pytester) -> None:
    """A recording that cannot be read is named with its key at fault; events without a delivery are too."""
    run()
    folder = pytester.path / "golden"
    (folder / "paid.delivery.json").unlink()
    (folder / "void.delivery.json").write_text("{}")
    result = pytester.runpytest_inprocess(*BARE)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "paid.events.json has no paid.delivery.json beside it; delete it",
            "void.delivery.json: the recording lacks source*",
        ]
    )


def test_other_folders_are_left_alone(run: Run) -> None:
    """Recordings in folders that no line names are no tests."""
    assert run(line="old = {module}:transform").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert run(line="elsewhere/golden = {module}:transform").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert run(line="").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_the_folder_itself(run: Run, pytester: pytest.Pytester) -> None:
    """The folder of the configuration is named by a dot, one below it with or without one before it."""
    run(line="./golden = {module}:transform").assert_outcomes(passed=1)
    text = (pytester.path / "tox.ini").read_text().replace("./golden", ".")
    (pytester.path / "tox.ini").write_text(text)
    for path in (pytester.path / "golden").iterdir():
        path.rename(pytester.path / path.name)
    pytester.runpytest_inprocess(*BARE).assert_outcomes(passed=1)


def test_folders_by_pattern(run: Run, pytester: pytest.Pytester) -> None:
    """One line may name many folders, and the transform of each by the folder's name."""
    run()
    (pytester.path / "maps_a.py").write_text('from gateway import Event\ndef one(_):\n return Event("a", {})\n')
    Path("cases/one").mkdir(parents=True)
    (pytester.path / "golden" / "paid.delivery.json").rename("cases/one/x.delivery.json")
    pytester.makeini("[pytest]\ngateway_golden = cases/* = maps_a:{folder}")
    pytester.runpytest_inprocess(*BARE, "--update-golden").assert_outcomes(passed=1)
    assert json.loads(Path("cases/one/x.events.json").read_text())[0]["name"] == "hmac/a"
