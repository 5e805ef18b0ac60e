"""What the commands share: the configuration option, the two ways of output, and exit codes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer
from rich.console import Console

from gateway.config import Config, default_path, load
from gateway.errors import ConfigError, GatewayError, InboxLocked, InboxUnsupported, TransformError

DEV_FOLDER = Path(".gateway")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration file. Default: $GATEWAY_CONFIG, else ./gateway.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for programs in place of tables.")]

# Where no terminal bounds the width, tables are as wide as their cells: another program reads them.
UNBOUNDED = 400

out = Console(highlight=False, width=None if sys.stdout.isatty() else UNBOUNDED)
err = Console(stderr=True, highlight=False)


def load_config(path: Path | None, *, dev: bool = True) -> Config:
    """Load the named file, or the default one; with `dev`, what `gateway dev` made serves where there is none."""
    chosen = path or default_path(os.environ)
    made = DEV_FOLDER / "gateway.toml"
    if dev and path is None and not chosen.exists() and made.exists():
        chosen = made
    return load(chosen)


def write_json(document: Any) -> None:
    """Write JSON to standard output."""
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def fail(error: GatewayError) -> NoReturn:
    """Write an error as sentences to standard error and exit: 2 for what the user must mend first, else 1."""
    for line in error.faults if isinstance(error, ConfigError) else [str(error)]:
        err.print(line, style="red", markup=False, soft_wrap=True)
    mend_first = isinstance(error, ConfigError | InboxLocked | InboxUnsupported | TransformError)
    raise typer.Exit(2 if mend_first else 1)
