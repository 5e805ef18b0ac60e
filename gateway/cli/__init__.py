"""The `gateway` command: one file per group of commands."""

from __future__ import annotations

import os
import sys

import typer

from gateway.cli import (
    admin_token,
    backup,
    dev,
    doctor,
    events,
    init,
    inspect,
    migrate,
    move,
    new,
    provider,
    record,
    replay,
    selftest,
    send,
    serve,
    shadow,
    stats,
    tail,
    trial,
)
from gateway.cli.options import tell
from gateway.errors import GatewayError, OutputLost

app = typer.Typer(
    name="gateway",
    help="Takes webhooks, verifies and keeps them, maps them to events and forwards those to the event API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for group in (
    init,
    serve,
    backup,
    dev,
    send,
    provider,
    inspect,
    tail,
    stats,
    events,
    doctor,
    replay,
    trial,
    shadow,
    migrate,
    move,
    new,
    record,
    selftest,
    admin_token,
    backup,
):
    group.register(app)


def main() -> None:
    """Run the command line and exit; the gateway's own errors become sentences and an exit code."""
    try:
        app()
    except GatewayError as error:
        sys.exit(tell(error))
    except OSError as error:
        if not _output_is_stuck():
            raise
        reason = error.strerror or type(error).__name__
        sys.exit(tell(OutputLost(f"the output could not be written: {reason}; make room, or write it elsewhere")))


def _output_is_stuck() -> bool:
    """Tell whether standard output takes nothing more, not even an empty line, and drop what waits for it."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        # At its end the interpreter flushes once more, which would print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
