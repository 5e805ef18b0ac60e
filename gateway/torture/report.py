"""The report of a torture: a document for programs, and the same as text for people. docs/torture.md explains it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gateway.torture.campaign import Findings, Plan
from gateway.torture.machine import Fsync

FORMAT = 1


def document(plan: Plan, findings: Findings, machine: Mapping[str, str | int], fsync: Fsync) -> dict[str, Any]:
    """Return everything that was planned, done and found."""
    return {
        "format": FORMAT,
        "verdict": "failed" if findings.violations else "passed",
        "seed": plan.seed,
        "machine": dict(machine),
        "fsync": asdict(fsync),
        "plan": {name: getattr(plan, name) for name in ("seconds", "kills", "power_losses", "bouts", "rate")}
        | {"synchronous": plan.synchronous},
        "proof": _proof(findings),
        "processes": _processes(findings),
        "power": _power(findings),
        "violations": findings.violations,
    }


def _proof(findings: Findings) -> dict[str, int]:
    """Return the counts that must all be 0."""
    verdicts = findings.verdicts
    return {
        "acknowledged_then_lost": sum(len(verdict.lost) for verdict in verdicts),
        "one_id_several_bytes": sum(len(verdict.different_bytes) for verdict in verdicts),
        "one_delivery_several_ids": sum(len(verdict.several_ids) for verdict in verdicts),
        "unverified_forwarded": sum(len(verdict.unverified) for verdict in verdicts),
        "dead_letters": sum(len(verdict.dead) for verdict in verdicts),
        "power_losses_with_findings": len({text.partition(":")[0] for text in findings.power.violations}),
        "violations": len(findings.violations),
    }


def _processes(findings: Findings) -> dict[str, Any]:
    tally, verdicts = findings.tally, findings.verdicts
    return {
        "seconds": round(findings.process_seconds, 1),
        "bouts": len(verdicts),
        "kill_9": tally.kills,
        "rounds": dict(tally.rounds),
        "failpoints": dict(sorted(tally.failpoints.items())),
        "failpoints_not_reached": dict(tally.failpoints_missed),
        "start_ms": {
            "median": round(statistics.median(tally.starts_ms or [0.0]), 1),
            "slowest": round(max(tally.starts_ms, default=0.0), 1),
        },
        "requests": sum(verdict.requests for verdict in verdicts),
        "acknowledged": findings.acknowledged,
        "events": sum(verdict.events for verdict in verdicts),
        "event_ids": sum(verdict.ids for verdict in verdicts),
        "duplicate_events": sum(verdict.duplicates for verdict in verdicts),
        "still_scheduled": sum(verdict.waiting for verdict in verdicts),
        "answers": dict(tally.outcomes),
        "broken_off_by_sigterm": tally.broken_at_stop,
        "event_api_faults": dict(tally.faults),
    }


def _power(findings: Findings) -> dict[str, Any]:
    power = findings.power
    return {
        "seconds": round(findings.power_seconds, 1),
        "losses": power.losses,
        "modes": dict(power.modes),
        "acknowledged": power.acknowledged,
        "settled": power.settled,
        "syncs": power.syncs,
    }


def markdown(report: Mapping[str, Any]) -> str:
    """Write the document as a page."""
    parts = [f"# Torture: {report['verdict']}", f"Seed {report['seed']}."]
    for title in ("proof", "processes", "power", "fsync", "plan", "machine"):
        rows = [f"| {name.replace('_', ' ')} | {_cell(value)} |" for name, value in report[title].items()]
        parts.append("\n".join([f"## {title.capitalize()}", "", "| | |", "| --- | --- |", *rows]))
    if report["violations"]:
        parts.append("\n".join(["## Violations", "", *[f"- {violation}" for violation in report["violations"]]]))
    return "\n\n".join(parts) + "\n"


def summary(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a few labelled sentences for a person."""
    fsync, done, power = report["fsync"], report["processes"], report["power"]
    starts, at_failpoints = done["start_ms"], sum(done["failpoints"].values())
    slowest = f"the slowest of {fsync['count']} took {fsync['slowest_ms']} ms"
    events = f"{done['event_ids']} arrived; {done['duplicate_events']} came again with their ids"
    return [
        ("Disk", f"an fsync takes {fsync['median_ms']} ms; {slowest}"),
        ("Kills", f"{done['kill_9']} times kill -9, {at_failpoints} of them at failpoints"),
        ("Starts", f"ready {starts['median']} ms after the fork; the slowest took {starts['slowest']} ms"),
        ("Traffic", f"{done['requests']} requests, {done['acknowledged']} deliveries acknowledged"),
        ("Events", f"{events}, {done['still_scheduled']} wait in the inbox for their next try"),
        ("Power", f"{power['losses']} simulated power losses, {power['acknowledged']} deliveries acknowledged"),
        ("Verdict", f"{report['verdict']}: {_reason(report['violations'])}"),
    ]


def _reason(violations: Sequence[str]) -> str:
    if violations:
        return f"{len(violations)} violations; the first is: {violations[0]}"
    return "nothing acknowledged was lost, no id came with other bytes, nothing unverified was forwarded"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {number}" for name, number in value.items()) or "none"
    return str(value)
