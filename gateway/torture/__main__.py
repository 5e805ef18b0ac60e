"""The long form, `make torture`: settings from the environment, a report in build/, exit code 1 on any violation."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import SystemRandom

from gateway.telemetry import logs
from gateway.torture import campaign, machine, report
from gateway.torture.campaign import Plan
from gateway.torture.haste import Synchronous

BUILD = Path("build")

_SYNCHRONOUS: dict[str, Synchronous] = {"FULL": "FULL", "NORMAL": "NORMAL"}


def plan(environ: Mapping[str, str]) -> Plan:
    """Read the plan. Raises ValueError, with a sentence."""

    def number(name: str) -> int | None:
        text = environ.get(f"TORTURE_{name}") or None
        if text is not None and not (text.isascii() and text.isdecimal()):
            raise ValueError(f"TORTURE_{name} is {text!r}; give a whole number")
        return None if text is None else int(text)

    synchronous = _SYNCHRONOUS.get(chosen := environ.get("TORTURE_SYNCHRONOUS") or "FULL")
    if synchronous is None:
        raise ValueError(f"TORTURE_SYNCHRONOUS is {chosen!r}; give FULL, or NORMAL to see the suite fail")
    seed = number("SEED")
    return Plan(
        seed=SystemRandom().getrandbits(32) if seed is None else seed,
        seconds=float(number("SECONDS") or 1_800),
        kills=number("KILLS"),
        power_losses=number("POWER"),
        synchronous=synchronous,
    )


def main() -> int:
    """Torture, write the report, and return the exit code."""
    try:
        wanted = plan(os.environ)
    except ValueError as error:
        _say(str(error))
        return 2
    logs.configure("auto", "error")
    _say(f"seed {wanted.seed} (TORTURE_SEED={wanted.seed} plans the same again)")
    BUILD.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=BUILD))
    fsync = machine.measure_fsync(folder)
    findings = asyncio.run(campaign.run(wanted, folder, _say))
    made = report.document(wanted, findings, machine.describe(), fsync)
    target = BUILD / f"torture-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    target.with_suffix(".json").write_text(json.dumps(made, indent=2) + "\n")
    target.with_suffix(".md").write_text(report.markdown(made))
    for label, sentence in report.summary(made):
        _say(f"{label:8} {sentence}")
    _say(f"the report: {target}.json and {target}.md")
    if findings.violations:
        _say(f"the files of the bouts that failed: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main())
