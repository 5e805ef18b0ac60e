"""`gateway backup` and `gateway restore`: the inbox as one file, taken while a gateway serves, and put back."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from gateway import learned_secrets, quarantine
from gateway.cli import report
from gateway.cli.options import ConfigOption, JsonOption, complain, err, line, load_to_look, write_json
from gateway.cli.store import inbox_file
from gateway.config import Config
from gateway.errors import BackupFailed, ConfigError
from gateway.inbox import sqlite_backup, sqlite_restore
from gateway.inbox.sqlite_copy import Step
from gateway.rejections import RequestRejected

REJECTED = "rejected"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; one that exists is not overwritten.")],
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write a verified backup of the inbox, while a gateway serves it or not.

    It holds deliveries with their bodies, what is known of re-sends, secrets that handshakes gave, and what is kept of
    rejected requests: keep it as safe as the inbox.
    """
    loaded = load_to_look(config)
    inbox = _file(loaded)
    target, now = file.absolute(), int(time.time() * 1000)
    with _progress(shown=not json) as progress:
        facts = sqlite_backup.back_up(inbox, target, _beside(loaded, inbox), now=now, progress=progress)
    if json:
        write_json({"file": str(target), "bytes": target.stat().st_size, **_document(facts)})
        return
    line(f"{target}: {target.stat().st_size} bytes, {_told(facts)}; read again and found sound")


def restore(
    file: Annotated[Path, typer.Argument(help="A backup, or an inbox that was kept aside.")],
    *,
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Put a backup in the place of the inbox, and keep the inbox that is there; no gateway may serve it meanwhile.

    What was forwarded after the backup was taken may be forwarded again, with the same event ids. What was received
    after it is missing, unless its provider sends it again.
    """
    loaded = load_to_look(config)
    inbox = _file(loaded)
    _confirm(f"Replace {inbox} with {file}?", yes=yes, json=json)
    restored = sqlite_restore.restore(file.absolute(), inbox)
    notes = list(_put_beside(loaded, inbox, restored.beside))
    for note in notes:
        complain(note)
    if json:
        aside = str(restored.kept_aside) if restored.kept_aside else None
        write_json({"inbox": str(inbox), **_document(restored.facts), "kept_aside": aside, "notes": notes})
        return
    line(f"{inbox}: restored, {_told(restored.facts)}")
    if restored.kept_aside:
        line(f"The inbox that was there is kept as {restored.kept_aside}; `gateway restore` of that undoes this")


def _file(config: Config) -> Path:
    """Return the inbox's file. Raises ConfigError for an inbox that is none."""
    if config.inbox.shared:
        tools = f"PostgreSQL's own tools, such as pg_dump --schema {config.inbox.schema_name}"
        raise ConfigError([f"{config.inbox_name} is backed up with {tools}"])
    return inbox_file(config) or config.inbox_path


def _confirm(question: str, *, yes: bool, json: bool) -> None:
    """Ask on a terminal. Raises ConfigError where nobody can be asked, and ends with code 1 on a no."""
    if yes:
        return
    if json or not sys.stdin.isatty():
        raise ConfigError(["nothing was restored: nobody can be asked here; add --yes"])
    if not typer.confirm(question, err=True):
        complain("nothing was restored")
        raise typer.Exit(1)


def _beside(config: Config, inbox: Path) -> dict[str, bytes]:
    """Return the small files that belong to the inbox, as they are now, by the name that a backup gives them."""
    files = {REJECTED: quarantine.path_of(inbox), **dict(_learned(config))}
    return {name: content for name, path in files.items() if (content := _content(path))}


def _put_beside(config: Config, inbox: Path, files: Mapping[str, bytes]) -> Iterator[str]:
    """Write those files where there are none; say of each learned secret that could not be put back."""
    rejected = quarantine.path_of(inbox)
    if REJECTED in files and not rejected.exists():
        rejected.touch(0o600)
        rejected.write_bytes(files[REJECTED])
    for name, path in _learned(config):
        if name in files:
            try:
                learned_secrets.keep(path, files[name].decode())
            except RequestRejected as error:
                yield f"{name}: its learned secret was not put back: {error}"


def _learned(config: Config) -> Iterator[tuple[str, Path]]:
    for name, source in config.sources.items():
        for number, secret in enumerate(source.secrets):
            if secret.learned_at:
                yield f"sources.{name}.secrets.{number}", secret.learned_at


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise BackupFailed(f"{path} cannot be read ({error.strerror}); run this as the gateway's user") from error


@contextmanager
def _progress(*, shown: bool) -> Iterator[Step]:
    """Give what shows a bar on a terminal, and nothing elsewhere."""
    with Progress(console=err, transient=True, disable=not (shown and err.is_terminal)) as bar:
        task = bar.add_task("copying", total=None)
        yield lambda copied, pages: bar.update(task, completed=copied, total=pages)


def _told(facts: sqlite_backup.Facts | None) -> str:
    if facts is None:
        return "an inbox that was no backup"
    counted = "1 delivery" if facts.entries == 1 else f"{facts.entries} deliveries"
    return f"{counted} as of {report.moment(facts.made_at)}, {facts.unfinished} of them to be forwarded"


def _document(facts: sqlite_backup.Facts | None) -> dict[str, Any]:
    if facts is None:
        return {"made_at": None, "deliveries": None, "unfinished": None}
    return {"made_at": facts.made_at, "deliveries": facts.entries, "unfinished": facts.unfinished}
