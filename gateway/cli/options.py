"""What the commands share: which configuration they use, the two ways of output, and exit codes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from gateway import build, build_mapper
from gateway.cli import running
from gateway.config import Config, default_path, load
from gateway.dev import demo
from gateway.errors import ConfigError, GatewayError, InboxLocked, InboxUnsupported, TransformError
from gateway.sources import Source
from gateway.transform import Mapper

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration file. Default: $GATEWAY_CONFIG, else ./gateway.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for programs in place of tables.")]

SourceOption = Annotated[str, typer.Option(metavar="SOURCE", help="Only of this source.")]
TypeOption = Annotated[str, typer.Option("--type", metavar="TYPE", help="Only of this type.")]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Only with this text in their reason.")]
SinceOption = Annotated[str, typer.Option(metavar="TIME", help="Received at or after: ISO 8601 (UTC), or 2h, 3d ago.")]
TransformOption = Annotated[
    str,
    typer.Option(metavar="REFERENCE", help="The transform to run in place of all of the source's, as in gateway.toml."),
]
ForOption = Annotated[
    str, typer.Option("--for", metavar="PATTERN", help="Let --transform take the place of this type pattern's alone.")
]
UntilOption = Annotated[str, typer.Option(metavar="TIME", help="Received before: ISO 8601 (UTC), or 2h, 3d ago.")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def load_config(path: Path | None) -> Config:
    """Load the named file, or the default one, as `gateway serve` does."""
    return load(path or default_path())


def load_to_send(path: Path | None) -> Config:
    """Load what serves in this folder, with the demo secrets of `gateway dev` for variables that are not set."""
    return _load_here(path, demo.kept_in(running.FOLDER))


def load_to_look(path: Path | None) -> Config:
    """Load what serves in this folder for a command that needs no secret: variables that are not set are no fault."""
    return _load_here(path, demo.placeholder)


def _load_here(path: Path | None, provide: demo.Provide) -> Config:
    chosen = file_here(path)
    return running.adopt(load(chosen, demo.environment(chosen, os.environ, provide)))


def file_here(path: Path | None) -> Path:
    """Return the named file, or the default one, or the one that `gateway dev` made where that alone exists."""
    chosen = path or default_path()
    made = not names_a_file(path) and not chosen.exists() and running.MADE.exists()
    return running.MADE if made else chosen


def names_a_file(path: Path | None) -> bool:
    """Tell whether the user named a configuration file, so that none may stand in for it."""
    return path is not None or default_path() != default_path({})


def find_source(config: Config, name: str) -> Source:
    """Return a source. Raises ConfigError, naming those there are, for an unknown one."""
    if name not in config.sources:
        known = ", ".join(sorted(config.sources))
        raise ConfigError([f"{config.path}: sources.{name}: there is no such source; the sources are {known}"])
    return build.sources(config)[name]


def mapper_with(config: Config, own: Mapper, reference: str, pattern: str) -> Mapper:
    """Return a source's mapper with another transform in it. Raises ConfigError when that cannot be loaded."""
    try:
        return build_mapper.changed(own, reference, config.path.parent, pattern)
    except TransformError as error:
        raise ConfigError([f"--transform: {error}"]) from error


def plain(text: object) -> str:
    """Return a text as one line without anything that could steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def line(text: str, style: str = "") -> None:
    """Write one line for people to standard output, as long as it is."""
    out.print(plain(text), style=style, markup=False, emoji=False, soft_wrap=True)


def complain(text: str, style: str = "") -> None:
    """Write one line for people to standard error, as long as it is."""
    err.print(plain(text), style=style, markup=False, emoji=False, soft_wrap=True)


def write_json(document: Any) -> None:
    """Write JSON to standard output."""
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def tell(error: GatewayError) -> int:
    """Write an error as sentences; return the exit code: 2 for what the user must mend first, else 1."""
    for sentence in sentences(error):
        complain(sentence, "red")
    return exit_code(error)


def sentences(error: GatewayError) -> list[str]:
    """Return what an error says."""
    return error.faults if isinstance(error, ConfigError) else [str(error)]


def exit_code(error: GatewayError) -> int:
    """Return 2 for what the user must mend first, else 1."""
    return 2 if isinstance(error, ConfigError | InboxLocked | InboxUnsupported) else 1
