"""What a worker is started with, and how soon after the death of another."""

import socket

import pytest
from opentelemetry.sdk.resources import Resource

from gateway.workers.assignment import VARIABLE, Assignment, adopt, take
from gateway.workers.pauses import Pauses


@pytest.mark.parametrize(
    ("lived", "pauses"),
    [
        ([1] * 8, [0, 1, 2, 4, 8, 16, 30, 30]),  # one that dies at its start does not keep the machine busy
        ([1, 1, 1, 100, 1, 1], [0, 1, 2, 0, 1, 2]),  # one that lived for long is another matter
        ([100, 100], [0, 0]),
    ],
)
def test_pauses_grow_while_workers_die_young(lived: list[float], pauses: list[float]) -> None:
    """The first death costs no time; then twice as much each, to half a minute."""
    made = Pauses()
    assert [made.after(seconds) for seconds in lived] == pauses


def test_an_assignment_is_taken_once() -> None:
    """It reaches the worker, and no process that the worker starts; nor does what systemd told the supervisor."""
    given = Assignment(2, 7, 8080, 5)
    told = {"NOTIFY_SOCKET": "/run/x", "LISTEN_FDS": "1", "WATCHDOG_PID": "1", "WATCHDOG_USEC": "9", "HOME": "/x"}
    environ = given.environment(told)
    assert take(environ) == given
    assert take(environ) is None
    assert VARIABLE not in environ
    assert {name for name in told if name in environ} == {"WATCHDOG_USEC", "HOME"}
    assert (given.descriptors(), Assignment(1, 7, 0).descriptors()) == ((7, 5), (7,))


@pytest.mark.parametrize(("told", "prefix"), [("service.instance.id=pod-1,team=x%2Cy", "pod-1"), ("team=x%2Cy", "")])
def test_telemetry_tells_workers_apart(monkeypatch: pytest.MonkeyPatch, told: str, prefix: str) -> None:
    """Each has a service.instance.id of its own, made of the operator's where there is one; other attributes stay."""
    ids = []
    for number in (1, 2):
        for name, value in Assignment(number, 3, 0).environment({"OTEL_RESOURCE_ATTRIBUTES": told}).items():
            monkeypatch.setenv(name, value)
        attributes = Resource.create().attributes
        assert attributes["team"] == "x,y"
        ids.append(str(attributes["service.instance.id"]))
    assert len(set(ids)) == 2
    assert [one.rpartition("-")[2] for one in ids] == ["1", "2"]
    assert len({one.rpartition("-")[0] for one in ids}) == 1
    assert all(one.startswith(prefix) for one in ids)


def test_a_socket_is_not_passed_on() -> None:
    """What a worker inherited its own children do not."""
    ours, theirs = socket.socketpair()
    with ours:
        theirs.set_inheritable(True)
        with adopt(theirs.detach()) as taken:
            assert not taken.get_inheritable()
            assert not taken.getblocking()
