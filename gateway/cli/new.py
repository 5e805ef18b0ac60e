"""`gateway new`: begin something of one's own."""

from __future__ import annotations

import difflib
import shlex
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from gateway import providers, scaffold
from gateway.cli.options import line
from gateway.errors import ConfigError
from gateway.find import GROUP

OWN = "hmac"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Begin something of your own.")
    group.callback()(_begin)
    group.command("transform")(transform)
    app.add_typer(group, name="new")


def _begin() -> None:
    """Begin something of your own, such as a transform."""


def transform(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as acme or acme-shop.")],
    *,
    provider: Annotated[str, typer.Option(metavar="NAME", help="Whose webhooks it maps.")] = OWN,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where the package goes. Default: ./NAME.")
    ] = None,
) -> None:
    """Make an installable package with a transform and its golden pairs.

    Its tests pass as it stands. Exits 2 when the name is none or the folder is not empty.
    """
    target = folder or Path(name)
    if faults := [fault for fault in (_name_fault(name), _provider_fault(provider), _folder_fault(target)) if fault]:
        raise ConfigError(faults)
    known = providers.get(provider)
    prefix = name if provider == OWN else known.prefix or known.name
    for path, text in scaffold.package(name, provider, prefix).items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text, encoding="utf-8")
        line(f"{target / path}")
    line("")
    line("Go on with:")
    line(f"  pip install -e {_shell(target)}")
    line(f"  pytest {_shell(target)}")


def _shell(path: Path) -> str:
    """Return a path as one word of a shell that pip takes for a folder."""
    return shlex.quote(str(path) if path.is_absolute() else f"./{path}")


def _name_fault(name: str) -> str | None:
    if not scaffold.is_name(name):
        return (
            f"{name!r} is no name for a transform; write lower-case letters and digits, joined by single hyphens, a "
            f"letter first, {scaffold.MAX_NAME} at most"
        )
    if name in entry_points(group=GROUP).names:
        return f"a transform called {name} is installed already; choose another name"
    return None


def _provider_fault(provider: str) -> str | None:
    if provider in providers.names():
        return None
    near = difflib.get_close_matches(provider, providers.names(), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"for a sender of your own leave it out, or write {OWN}"
    return f"--provider {provider}: there is no such provider; {hint}"


def _folder_fault(folder: Path) -> str | None:
    if not folder.exists():
        return None
    if not folder.is_dir():
        return f"{folder} is a file; name another folder with --dir"
    return f"{folder} is not empty, and nothing is overwritten; name another folder" if any(folder.iterdir()) else None
