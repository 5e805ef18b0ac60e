"""The `gateway` command: one file per group of commands."""

from __future__ import annotations

import sys

import typer

from gateway.cli import dev, inspect, serve, trial
from gateway.cli.options import fail
from gateway.errors import GatewayError

app = typer.Typer(
    name="gateway",
    help="Takes webhooks, verifies and keeps them, maps them to events and forwards those to the event API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for group in (serve, dev, inspect, trial):
    group.register(app)


def main() -> None:
    """Run the command line; the gateway's own errors become sentences and an exit code."""
    try:
        code = app(standalone_mode=False)
    except GatewayError as error:
        try:
            fail(error)
        except typer.Exit as exit_:
            sys.exit(exit_.exit_code)
    sys.exit(code if isinstance(code, int) else 0)
