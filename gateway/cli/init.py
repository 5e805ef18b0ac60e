"""`gateway init`: write a gateway.toml for the providers that are chosen, and say what is left to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import report
from gateway.cli.options import ConfigOption, line
from gateway.cli.provider import find_provider
from gateway.config import default_path
from gateway.errors import ConfigError
from gateway.providers import Provider
from gateway.providers.search import search
from gateway.providers.setup import Setup, Variable, setup

PLACEHOLDER_HOST = "https://<your host>"
MAX_SHOWN = 12

_HEAD = """\
# Written by `gateway init`. `gateway check` finds what is missing, `gateway serve` serves it, and
# `gateway send <source>` sends a signed sample. Every key is described in docs/gateway.schema.json.

[server]
host = "127.0.0.1"
port = 8080
"""
_REST = """
[event_api]
key = "${INNGEST_EVENT_KEY}"

[inbox]
url = "sqlite:inbox.db"
"""
_EVENT_KEY = Variable("INNGEST_EVENT_KEY", "Inngest Cloud > Manage > Event Keys")
_PUBLIC_URL = Variable("GATEWAY_PUBLIC_URL", "the beginning of the URLs to register, such as https://hooks.example.com")


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(init)


def init(
    config: ConfigOption = None,
    *,
    provider: Annotated[
        list[str] | None,
        typer.Option("--provider", metavar="NAME", help="Add this provider and ask nothing (repeatable)."),
    ] = None,
    public_url: Annotated[str, typer.Option(metavar="URL", help="The beginning of the URLs that providers call.")] = "",
) -> None:
    """Write a gateway.toml: asks which providers there are, and prints the URL to register for each.

    A file that is there already is not touched.
    """
    path = config or default_path()
    if path.exists():
        raise ConfigError([f"{path}: is there already; move it away, or name another file with --config"])
    chosen = [find_provider(name) for name in dict.fromkeys(provider or ())] or _ask()
    guides = {each.name: setup(each, each.name) for each in chosen}
    needs_url = any(guide.needs_public_url for guide in guides.values()) and not public_url
    _write(path, _text(chosen, guides, public_url or (f"${{{_PUBLIC_URL.name}}}" if needs_url else "")))
    _tell(path, chosen, guides, public_url.rstrip("/"))
    variables = [_EVENT_KEY, *([_PUBLIC_URL] if needs_url else [])]
    variables += [variable for guide in guides.values() for variable in guide.variables]
    line("Set these variables, then run `gateway check`:", "bold")
    report.record((variable.name, variable.found_at) for variable in variables)


def _ask() -> list[Provider]:
    """Ask for providers, by parts of their names, until the answer is empty."""
    chosen: list[Provider] = []
    while True:
        wanted = "Another one (Enter to end)" if chosen else "Who sends you webhooks? A name or a part of it"
        text = typer.prompt(wanted, default="" if chosen else None, show_default=False)
        if not text.strip():
            return chosen
        found = search(text)
        if exact := [provider for provider in found if provider.name == text.strip().casefold()]:
            found = exact
        if len(found) == 1:
            chosen += [found[0]] if found[0] not in chosen else []
            line(f"  {found[0].name}: {found[0].title}")
        elif found:
            _offer(found)
        else:
            line(f'  nobody known has {text!r} in the name; take "hmac" for anyone who signs')


def _offer(found: list[Provider]) -> None:
    for provider in found[:MAX_SHOWN]:
        line(f"  {provider.name}: {provider.title}")
    more = len(found) - MAX_SHOWN
    line(f"  and {more} more; write more of the name" if more > 0 else "  which of them? Write its name")


def _text(chosen: list[Provider], guides: dict[str, Setup], public_url: str) -> str:
    server = _HEAD + (f'public_url = "{public_url}"\n' if public_url else "")
    sources = [
        f"\n# {provider.title}. URL to register at: {provider.register_at}\n# Secret: {provider.secret_at}\n"
        f"{guides[provider.name].toml}"
        for provider in chosen
    ]
    return server + _REST + "".join(sources)


def _write(path: Path, text: str) -> None:
    """Write a new file. Raises ConfigError when it cannot be written, or has come to be there meanwhile."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(
            [f"{path}: cannot be written ({error.strerror}); name a file that can, with --config"]
        ) from error


def _tell(path: Path, chosen: list[Provider], guides: dict[str, Setup], public_url: str) -> None:
    line(f"{path} is written.")
    line("")
    for provider in chosen:
        line(provider.title, "bold")
        secrets = [variable.name for variable in guides[provider.name].variables]
        report.record(
            [
                ("URL", f"{public_url or PLACEHOLDER_HOST}/webhooks/{provider.name}"),
                ("register at", provider.register_at),
                ("secret", f"{provider.secret_at}{f' -> {secrets[0]}' if secrets else ''}"),
            ]
        )
