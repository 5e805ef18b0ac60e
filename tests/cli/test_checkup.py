"""`gateway doctor` without a source: the machine, and what its findings mean."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.checkup import Level, event_api, files, versions
from gateway.inbox.disk_space import MIB, Space
from gateway.outcome import Answer
from tests.cli.conftest import Beside, Cli, Result
from tests.world import TOML

GIB = 1 << 30


def _levels(told: Result) -> dict[str, str]:
    return {check["name"]: check["level"] for check in told.json["checks"]}


def _sentence(told: Result, name: str) -> str:
    [sentence] = [check["sentence"] for check in told.json["checks"] if check["name"] == name]
    return str(sentence)


async def test_beside_a_gateway(beside: Beside) -> None:
    """The gateway that serves is found and asked, and the event API is asked without an event being sent."""
    told = await beside("doctor", "--json")
    assert told.json["rejections"] == []
    levels = _levels(told)
    del levels["file system"], levels["free space"]  # as the machine of the tests has them
    assert set(levels.values()) == {"ok"}
    assert "it is ready" in _sentence(told, "running")
    assert "takes the key" in _sentence(told, "event API")
    [asked] = beside.world.event_api.requests
    assert (asked.body, beside.world.event_api.total_events) == (b"[]", 0)
    table = await beside("doctor")
    assert [line.split()[1] for line in table.out.splitlines()[:4]] == ["gateway", "python", "sqlite", "aiohttp"]
    assert "nothing was rejected" in table.out


async def test_one_that_is_not_ready(beside: Beside) -> None:
    """A gateway that drains is told as one that is not ready."""
    beside.world.gateway.receiver.draining = True
    told = await beside("doctor", "--json")
    assert (told.code, _levels(told)["running"]) == (1, "warning")
    assert "draining" in _sentence(told, "running")


async def test_a_wrong_key(beside: Beside) -> None:
    """A key that the event API does not know keeps the gateway from its work; the key is not shown."""
    beside.world.event_api.keys = {"another key"}
    told = await beside("doctor", "--json")
    assert (told.code, _levels(told)["event API"]) == (2, "fault")
    assert "does not know the key" in _sentence(told, "event API")


def _configure(folder: Path, ports: tuple[int, int] = (0, 0)) -> None:
    text = TOML.format(url="http://127.0.0.1:9")
    for port in ports:
        text = text.replace("port = 0\n", f"port = {port} \n", 1)
    (folder / "gateway.toml").write_text(text)


def test_without_a_gateway_or_an_event_api(cli: Cli, folder: Path) -> None:
    """What is not there is told, and a port that somebody has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _configure(folder, (taken.getsockname()[1], 0))
        told = cli("doctor", "--json")
    assert told.code == 1
    levels = _levels(told)
    assert (levels["running"], levels["server.port"], levels["admin.port"]) == ("note", "warning", "ok")
    assert (levels["event API"], levels["clock"]) == ("warning", "note")


def test_variables_that_are_set_elsewhere(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the gateway's secrets are not in the environment the rest is examined all the same."""
    _configure(folder)
    monkeypatch.delenv("ACME_SECRET")
    told = cli("doctor", "--json")
    assert (told.code, _levels(told)["configuration"], _levels(told)["event API"]) == (1, "warning", "note")
    assert "run this with the gateway's environment" in _sentence(told, "configuration")


def test_what_keeps_it_from_starting(cli: Cli, folder: Path) -> None:
    """What `gateway check` finds of the machine is a fault here too."""
    _configure(folder)
    with (folder / "gateway.toml").open("a") as file:
        file.write('[inbox]\nurl = "sqlite:missing/inbox.db"\n')
    told = cli("doctor", "--json")
    assert (told.code, _levels(told)["configuration"]) == (2, "fault")
    assert "does not exist" in _sentence(told, "configuration")


def test_permissions(cli: Cli, folder: Path) -> None:
    """A secret that anyone may read, and a configuration that anyone may change, are named with the remedy."""
    (folder / "key").write_text("k")
    (folder / "key").chmod(0o604)
    text = TOML.format(url="http://127.0.0.1:9").replace('"${INNGEST_EVENT_KEY}"', '"file:key"')
    (folder / "gateway.toml").write_text(text)
    (folder / "gateway.toml").chmod(0o606)
    told = cli("doctor", "--json")
    assert _levels(told)["permissions"] == "warning"
    assert f"chmod o-r {folder / 'key'}" in _sentence(told, "permissions")
    assert f"chmod o-w {folder / 'gateway.toml'}" in _sentence(told, "permissions")
    (folder / "key").chmod(0o640)
    (folder / "gateway.toml").chmod(0o644)
    assert _levels(cli("doctor", "--json"))["permissions"] == "ok"


def test_the_judgements() -> None:
    """Each judgement by the facts of a machine that no test can be."""
    place = Path("/inbox.db")
    answers: list[tuple[Answer, Level]] = [
        (Answer(200), Level.OK),
        (Answer(200, readable=False), Level.FAULT),
        (Answer(303, readable=False), Level.FAULT),
        (Answer(400, error="no events"), Level.NOTE),
        (Answer(401), Level.FAULT),
        (Answer(404, readable=False), Level.FAULT),
        (Answer(503, error="Event keys are required"), Level.WARNING),
    ]
    judged: list[tuple[Any, Level]] = [
        (versions.sqlite("3.46.1"), Level.FAULT),
        (versions.parser(in_c=False), Level.FAULT),
        (files.place(place, "nfs4"), Level.FAULT),
        (files.place(place, "tmpfs"), Level.NOTE),
        (files.place(place, None), Level.NOTE),
        (files.place(place, "xfs"), Level.OK),
        (files.space(Space(50 * GIB, 100 * GIB)), Level.OK),
        (files.space(Space(5 * GIB, 100 * GIB)), Level.WARNING),
        (files.space(Space(3 * GIB, 100 * GIB)), Level.WARNING),
        (files.space(Space(100 * MIB, 100 * GIB)), Level.FAULT),
        (event_api.skew(1_000.9, 1_000), Level.OK),
        (event_api.skew(1_100.0, 1_000), Level.WARNING),
        (event_api.skew(900.0, 1_000), Level.WARNING),
        *((event_api.judge("http://api", answer), level) for answer, level in answers),
    ]
    assert [check.level for check, _ in judged] == [level for _, level in judged]
    assert json.dumps(event_api.skew(1_100.0, 1_000).sentence).startswith('"100 s ahead')
