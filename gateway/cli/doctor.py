"""`gateway doctor`: what is wrong with the machine, why requests were rejected, and what to do."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import build, quarantine, raw_request
from gateway.cli import checkup, moments, report
from gateway.cli.causes import Group, group
from gateway.cli.options import (
    ConfigOption,
    JsonOption,
    SinceOption,
    line,
    load_config,
    load_to_look,
    write_json,
)
from gateway.cli.store import inbox_file, read
from gateway.config import Config
from gateway.diagnosis import Finding, explain
from gateway.errors import ConfigError, InvalidPayload
from gateway.model import Request
from gateway.quarantine import Held
from gateway.rejections import RequestRejected
from gateway.sources import Source
from gateway.verify import verify

DEFAULT_SINCE = "7d"

RequestOption = Annotated[
    Path | None,
    typer.Option("--request", metavar="FILE", help="Examine a recorded request: HTTP as sent, or JSON."),
]

AtOption = Annotated[
    str, typer.Option(metavar="TIME", help="When the recorded request was received: ISO 8601 (UTC), or 2h, 3d ago.")
]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(doctor)


def doctor(
    source: Annotated[str, typer.Argument(metavar="[SOURCE]", help="Only of this source.")] = "",
    *,
    config: ConfigOption = None,
    since: SinceOption = "",
    request: RequestOption = None,
    at: AtOption = "",
    json: JsonOption = False,
) -> None:
    """Examine the machine, and say why requests were rejected and what to do.

    The machine is versions, configuration, disk, permissions, ports, event API and clock; with SOURCE it is left
    out, and so are other sources' rejections. Looks at the rejections of the last 7 days, as the gateway kept them,
    unless --since says otherwise. Exits 2 when something keeps the gateway from its work, 1 when something else is
    wrong or something was rejected, else 0.
    """
    if request:
        raise typer.Exit(_examine(config, source, request, moments.option("--at", at), json=json))
    loaded = load_to_look(config)
    _require_known(loaded, source)
    held = _held(loaded)
    groups = group(held, source, moments.option("--since", since or DEFAULT_SINCE) or 0)
    verified = _last_verified(loaded)
    checks = [] if source else checkup.examine(loaded)
    if json:
        rejections = [_document(found) for found in groups]
        write_json(rejections if source else {"checks": [asdict(check) for check in checks], "rejections": rejections})
    else:
        if checks:
            checkup.tell(checks)
        for found in groups:
            _tell(found, verified.get(found.source))
        names = [source] if source else list(loaded.sources)
        for name in names:
            line(f"{name}: last verified delivery {report.moment(verified.get(name))}")
        if not groups:
            line("nothing was rejected, as far as the gateway kept it")
    raise typer.Exit(max(1 if groups else 0, checkup.exit_code(checks)))


def _require_known(config: Config, source: str) -> None:
    if source and source not in config.sources:
        known = ", ".join(sorted(config.sources))
        raise ConfigError([f"{config.path}: sources.{source}: there is no such source; the sources are {known}"])


def _held(config: Config) -> Held:
    path = quarantine.path_of(inbox_file(config) or config.inbox_path)
    try:
        return quarantine.read(path)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); ask as the gateway's user"]) from error


def _last_verified(config: Config) -> dict[str, int | None]:
    counts = read(config, lambda inbox: inbox.counts()) if inbox_file(config) else None
    return dict(counts.last_received_at) if counts else {}


def _tell(found: Group, verified_at: int | None) -> None:
    """Print one cause: what, how often, when, what to do, and whether a delivery was verified after it."""
    later = verified_at is not None and verified_at >= found.last_at
    shown = f"{found.samples} of {found.counted} kept" if found.counted > found.samples else str(found.samples)
    report.record(
        [
            ("source", found.source or "(none)"),
            ("cause", found.finding.cause if found.finding.proven else f"{found.finding.cause} (likely)"),
            ("what", found.finding.sentence),
            ("do", found.finding.remedy),
            ("reason", f"{found.label}: {found.sentence}"),
            ("count", shown),
            ("first", report.moment(found.first_at)),
            ("last", report.moment(found.last_at)),
            ("since then", f"verified deliveries, the last {report.moment(verified_at)}" if later else ""),
            *(("or else", f"{other.sentence}; {other.remedy}") for other in found.others),
        ]
    )


def _document(found: Group) -> dict[str, Any]:
    return {
        "source": found.source,
        "cause": found.finding.cause,
        "proven": found.finding.proven,
        "sentence": found.finding.sentence,
        "remedy": found.finding.remedy,
        "reason": found.label,
        "detail": found.sentence,
        "samples": found.samples,
        "counted": found.counted,
        "first_at": found.first_at,
        "last_at": found.last_at,
        "others": [_finding(other) for other in found.others],
        "request": found.request,
    }


def _finding(found: Finding) -> dict[str, Any]:
    return {"cause": found.cause, "proven": found.proven, "sentence": found.sentence, "remedy": found.remedy}


def _examine(config: Path | None, name: str, file: Path, at: int | None, *, json: bool) -> int:
    """Verify a recorded request as the gateway would have; return the exit code."""
    loaded = load_config(config)
    if not name:
        raise ConfigError(["--request: name the source that the request was sent to"])
    _require_known(loaded, name)
    sources = build.sources(loaded)
    source = replace(sources[name], enforced=True)
    request = _recorded(loaded, source, file, at)
    try:
        verify(request, source, request.received_at)
    except RequestRejected as rejection:
        findings = explain(request, rejection.label, source, sources, request.received_at)
        _show(rejection, findings, json=json)
        return 1
    if json:
        write_json([])
    else:
        line(f"{file}: source {name} takes this request; nothing is wrong with it")
    return 0


def _show(rejection: RequestRejected, findings: tuple[Finding, ...], *, json: bool) -> None:
    if json:
        write_json([{"reason": rejection.label, "detail": str(rejection), **_finding(found)} for found in findings])
        return
    for found in findings:
        cause = found.cause if found.proven else f"{found.cause} (likely)"
        facts = [("reason", f"{rejection.label}: {rejection}"), ("cause", cause)]
        report.record([*facts, ("what", found.sentence), ("do", found.remedy)])


def _recorded(config: Config, source: Source, file: Path, at: int | None) -> Request:
    url = config.server.public_url.rstrip("/")
    now = int(time.time() * 1000) if at is None else at
    try:
        request = raw_request.loads(file.read_bytes(), path=source.called_path, url=url, now=now)
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read ({error.strerror}); name a readable file"]) from error
    except InvalidPayload as error:
        raise ConfigError([f"{file}: {error}"]) from error
    if not source.public_url:
        return request
    return replace(request, url=source.public_url + (f"?{request.query}" if request.query else ""))
