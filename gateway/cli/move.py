"""`gateway move`: an inbox in a SQLite file into PostgreSQL, all of it, compared before anything of it is forwarded."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.build_inbox import needing_its_driver
from gateway.cli import move_report
from gateway.cli.interruption import INTERRUPTED, ctrl_c
from gateway.cli.options import ConfigOption, JsonOption, complain, err, line, load_to_look, write_json
from gateway.cli.store import DAY_MS
from gateway.config import Config
from gateway.config.inbox_option import with_inbox
from gateway.errors import ConfigError, InboxUnavailable, MoveFailed
from gateway.inbox.moving.source import Source

if TYPE_CHECKING:
    from gateway.inbox.moving.move import Moved
    from gateway.inbox.moving.target import Target

FromOption = Annotated[
    str, typer.Option("--from", metavar="URL", show_default="inbox.url", help="sqlite:<path> of the inbox to move.")
]
ToOption = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="URL",
        show_default="inbox.url",
        help="postgresql://user@host/database; a password as ${NAME}, in single quotes, or in a password file.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only count what would be moved, and reach the target.")]
UndoOption = Annotated[
    bool,
    typer.Option("--undo", help="Let the file be served again; delete what a move that is not done has copied."),
]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(move)


def move(
    *,
    from_url: FromOption = "",
    to_url: ToOption = "",
    dry_run: DryRunOption = False,
    undo: UndoOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Move an inbox in a SQLite file into PostgreSQL; the gateway of the file must have stopped.

    Gateways may serve the target meanwhile. Nothing that was moved is forwarded before all of it was compared. Where
    this stops, however it does, running it again goes on.
    """
    if dry_run and undo:
        raise ConfigError(["--dry-run counts what would be moved and --undo gives a move up; choose one of them"])
    loaded = load_to_look(config)
    path = _path(loaded, from_url)
    if undo:
        _undo(path, loaded, to_url, json=json)
        return
    target = _target(loaded, to_url)
    if dry_run:
        _look(path, target, json=json)
        return
    with closing(_source(path, loaded)) as source:
        if source.alarm:
            complain(source.alarm)
        moved = asyncio.run(_move(source, target, quiet=json))
    if moved is None:
        complain("stopped; run the same again, and it goes on where it was")
        raise typer.Exit(INTERRUPTED)
    if json:
        write_json(move_report.document(source.path, target.inbox_name, moved))
        return
    for sentence in move_report.sentences(source.path, target.inbox_name, moved):
        line(sentence)


def _path(config: Config, url: str) -> Path:
    """Return the file to move. Raises ConfigError where that is not in SQLite."""
    chosen = with_inbox(config, url, "--from") if url else config
    if chosen.inbox.shared:
        where = "--from" if url else f"{config.path}: inbox.url"
        sentence = (
            f"{where}: only a SQLite inbox can be moved; name it with --from sqlite:<path>. What is in PostgreSQL is "
            "moved with its own tools, such as pg_dump"
        )
        raise ConfigError([sentence])
    return Path(chosen.inbox.url.removeprefix("sqlite:")).absolute() if url else config.inbox_path


def _target(config: Config, url: str) -> Config:
    """Return a configuration whose inbox is the target. Raises ConfigError where that is not in PostgreSQL."""
    chosen = with_inbox(config, url, "--to") if url else config
    if not chosen.inbox.shared:
        where = "--to" if url else f"{config.path}: inbox.url"
        raise ConfigError(
            [f"{where}: an inbox can only be moved into PostgreSQL; name it with --to postgresql://user@host/database"]
        )
    return chosen


async def _open(config: Config) -> Target:
    with needing_its_driver():
        from gateway.inbox.moving.target import Target  # noqa: PLC0415 - only where it is wanted
    return await Target.open(config.inbox.url, config.inbox.schema_name, migrate=config.inbox.migrate)


async def _move(source: Source, config: Config, *, quiet: bool) -> Moved | None:
    """Move behind a progress bar on a terminal."""
    target = await _open(config)
    from gateway.inbox.moving.move import Plan, move  # noqa: PLC0415 - as above

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = move_report.total(source.counts())
    try:
        async with ctrl_c() as stop:
            with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as shown:
                bar = shown.add_task("copying", total=total)
                return await move(
                    source,
                    target,
                    Plan(_name(config), config.inbox.retention_days * DAY_MS, int(time.time() * 1000)),
                    progress=lambda what, done: shown.update(bar, description=what, completed=done),
                    stop=stop,
                )
    except InboxUnavailable as error:
        raise MoveFailed(f"{error}; run the same again, and it goes on where it was") from error
    finally:
        await target.close()


def _undo(path: Path, config: Config, to_url: str, *, json: bool) -> None:
    """Give a move up; a target is needed only where it is not done."""
    with needing_its_driver():
        from gateway.inbox.moving.move import undo  # noqa: PLC0415 - only where it is wanted

    async def open_target() -> tuple[Target, str]:
        chosen = _target(config, to_url)
        return await _open(chosen), _name(chosen)

    with closing(_source(path, config)) as source:
        mark, gone = asyncio.run(undo(source, open_target))
    if json:
        write_json({"from": str(source.path), "to": mark.target, "was": mark.stage, "deleted": gone})
        return
    for sentence in move_report.undone(source.path, mark, gone):
        line(sentence)


def _source(path: Path, config: Config) -> Source:
    return Source.open(path, config.inbox.dedupe_window_days * DAY_MS)


def _look(path: Path, config: Config, *, json: bool) -> None:
    """Count what would be moved, and see whether the target can be used."""
    with closing(Source.look(path)) as source:
        counts, size, mark = source.counts(), source.body_bytes(), source.mark
    asyncio.run(_reach(config))
    if json:
        write_json(move_report.plan(path, config.inbox_name, counts, size, mark))
        return
    for sentence in move_report.planned(path, config.inbox_name, counts, size, mark):
        line(sentence)


async def _reach(config: Config) -> None:
    """Connect to the target and change nothing. Raises InboxUnavailable, InboxUnsupported."""
    with needing_its_driver():
        from gateway.inbox.moving.target import reach  # noqa: PLC0415 - only where it is wanted
    await reach(config.inbox.url, config.inbox.schema_name)


def _name(config: Config) -> str:
    return f"{config.inbox_name} (schema {config.inbox.schema_name})"
