"""The `gateway` command: one file per group of commands."""

from __future__ import annotations

import sys

import typer

from gateway.cli import dev, inspect, replay, selftest, send, serve, trial
from gateway.cli.options import tell
from gateway.errors import GatewayError

app = typer.Typer(
    name="gateway",
    help="Takes webhooks, verifies and keeps them, maps them to events and forwards those to the event API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for group in (serve, dev, send, inspect, replay, trial, selftest):
    group.register(app)


def main() -> None:
    """Run the command line and exit; the gateway's own errors become sentences and an exit code."""
    try:
        app()
    except GatewayError as error:
        sys.exit(tell(error))
