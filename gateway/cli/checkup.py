"""The part of `gateway doctor` that examines the machine, as rows of a table and as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from gateway.checkup import Check, Level, event_api, files, listeners, versions
from gateway.cli import machine
from gateway.cli.options import line, load_config
from gateway.cli.store import inbox_file
from gateway.config import Config, secret_files
from gateway.errors import ConfigError

_STYLES = {Level.OK: "", Level.NOTE: "dim", Level.WARNING: "yellow", Level.FAULT: "red"}
_EXIT_CODES = {Level.OK: 0, Level.NOTE: 0, Level.WARNING: 1, Level.FAULT: 2}


def examine(looked: Config) -> list[Check]:
    """Examine the machine for a configuration that was loaded without its secrets."""
    found = [*versions.examine()]
    complete, check = _configuration(looked)
    found.append(check)
    inbox = inbox_file(looked) or looked.inbox_path
    found += [] if looked.inbox.shared else files.disk(inbox)
    found.append(files.permissions(looked.path, inbox, secret_files(looked.path)))
    server, admin = looked.server, looked.admin
    ports = {"server": (server.host, server.port), "admin": (admin.host, admin.port)}
    found += listeners.examine(inbox, ports)
    if complete:
        api = complete.event_api
        found += asyncio.run(event_api.examine(api.url, api.key.reveal(), api.env or ""))
    else:
        found.append(Check("event API", Level.NOTE, "not asked: the configuration cannot be read whole here"))
    return found


def exit_code(checks: Iterable[Check]) -> int:
    """Return 2 where something keeps the gateway from its work, 1 where something will hurt, else 0."""
    return max((_EXIT_CODES[check.level] for check in checks), default=0)


def tell(checks: Sequence[Check]) -> None:
    """Print one line for each check, and an empty one."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        line(f"{check.level:7}  {check.name:{width}}  {check.sentence}", _STYLES[check.level])
    line("")


def _configuration(looked: Config) -> tuple[Config | None, Check]:
    """Load the configuration with its secrets, as `gateway serve` would, and say what is wrong with it."""
    try:
        loaded = load_config(looked.path)
    except ConfigError as error:
        here = (
            "; run this with the gateway's environment" if any("is not set" in fault for fault in error.faults) else ""
        )
        return None, Check("configuration", Level.WARNING, "; ".join(error.faults) + here)
    faults = list(machine.faults(loaded))
    if faults:
        return loaded, Check("configuration", Level.FAULT, "; ".join(faults))
    return loaded, Check(
        "configuration", Level.OK, f"{loaded.path}: no faults; sources: {', '.join(sorted(loaded.sources))}"
    )
