"""`gateway migrate`: make or upgrade the tables of an inbox in PostgreSQL."""

from __future__ import annotations

import asyncio

import typer

from gateway import build_inbox
from gateway.cli.options import ConfigOption, line, load_to_look
from gateway.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(migrate)


def migrate(config: ConfigOption = None) -> None:
    """Make or upgrade the tables of an inbox in PostgreSQL, as a role that may; gateways may serve meanwhile.

    `gateway serve` does it by itself unless inbox.migrate is false, and always for a SQLite inbox.
    """
    loaded = load_to_look(config)
    if not loaded.inbox.shared:
        raise ConfigError([f"{loaded.path}: inbox.url: a SQLite inbox is upgraded by `gateway serve` when it starts"])
    taken = asyncio.run(build_inbox.migrate(loaded))
    done = "nothing was to be done" if not taken else f"{taken} {'step' if taken == 1 else 'steps'} taken"
    line(f"{loaded.inbox_name}: schema {loaded.inbox.schema_name} is up to date; {done}")
