from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.deploy.deployed import DEPLOY, program, run

UNITS = DEPLOY / "systemd"
SERVICE = (UNITS / "webhook-gateway.service").read_text()


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Give the units in a folder of their own, starting a program that this machine has."""
    for path in UNITS.glob("*.s*"):
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/gateway/bin/gateway", sys.executable))
    return tmp_path


def test_systemd_takes_them(units: Path) -> None:
    """Systemd's own check finds nothing to say about service and socket."""
    analyze = program("systemd-analyze")
    assert run(analyze, "verify", units / "webhook-gateway.service", units / "webhook-gateway.socket") == ""


def test_the_service_is_confined(units: Path) -> None:
    """Its exposure, as systemd counts it, is 2 or less of 10."""
    said = run(program("systemd-analyze"), "security", "--offline=true", units / "webhook-gateway.service")
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert level
    assert float(level[1]) <= 2.0


def test_what_the_gateway_relies_on() -> None:
    """The unit has what the gateway speaks: readiness, a watchdog, a reload, and no restart for a faulty file."""
    for line in ("Type=notify", "WatchdogSec=30", "ExecReload=/bin/kill -HUP $MAINPID", "RestartPreventExitStatus=2"):
        assert f"\n{line}\n" in SERVICE
    assert "FileDescriptorName=webhooks" in (UNITS / "webhook-gateway.socket").read_text()
