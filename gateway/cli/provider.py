"""`gateway providers`: who is known by name, and how each of them is set up."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from gateway import providers as known
from gateway.cli import report
from gateway.cli.options import JsonOption, line, out, write_json
from gateway.errors import ConfigError
from gateway.providers import Provider, words
from gateway.providers.search import search
from gateway.providers.setup import setup

WIDE = 120


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(providers)


def providers(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Explain this provider.")] = "",
    *,
    text: Annotated[str, typer.Option("--search", metavar="TEXT", help="Only those with TEXT in name or title.")] = "",
    json: JsonOption = False,
) -> None:
    """List the providers known by name, or explain one: where to paste the URL, what to configure, known traps."""
    if name:
        provider = find_provider(name)
        _explain(provider) if not json else write_json(_document(provider))
        return
    found = search(text)
    if json:
        write_json([_document(provider) for provider in found])
    elif found:
        _list(found)
    else:
        line(f'No provider has {text!r} in its name or title; provider = "hmac" takes anyone who signs.')
    raise typer.Exit(0 if found else 1)


def find_provider(name: str) -> Provider:
    """Return a provider. Raises ConfigError, naming those that may be meant, for an unknown one."""
    if name in known.names():
        return known.get(name)
    similar = [provider.name for provider in search(name)][:5]
    told = f"did you mean {', '.join(similar)}?" if similar else "`gateway providers` lists those there are"
    raise ConfigError([f"{name}: there is no such provider; {told}"])


def _list(found: list[Provider]) -> None:
    rows = [
        (
            provider.name,
            provider.title,
            words.proof(provider.schemes[0]) if provider.schemes else "as configured",
            _again(provider),
            ", ".join(handshake.kind for handshake in provider.handshakes) or ("yes" if provider.handshake else "-"),
            provider.confidence,
        )
        for provider in found
    ]
    columns = ("provider", "title", "proof", "sends again for", "handshakes", "confidence")
    shown = len(columns) if not out.is_terminal or out.width >= WIDE else 3
    report.table(*columns[:shown], rows=[row[:shown] for row in rows])


def _again(provider: Provider) -> str:
    hours = provider.retries.horizon_hours
    return "-" if hours is None else words.duration(hours) if hours else "never"


def _explain(provider: Provider) -> None:
    guide = setup(provider, provider.name)
    line(provider.title, "bold")
    report.record(
        [
            ("documentation", provider.docs),
            ("register at", provider.register_at),
            ("secret", provider.secret_at),
            *((name, where) for name, where in provider.params.items()),
            ("confidence", words.CONFIDENCE[provider.confidence]),
        ]
    )
    line("Configuration", "bold")
    for text in guide.toml.splitlines():
        line(text)
    if guide.needs_public_url:
        line("and public_url under [server], the beginning of the URL that you register")
    _section("How requests are verified", _verification(provider))
    _section("Events", [f"{word}: {where}" for word, where in words.events(provider)])
    _section("Re-sends and answers", _resends(provider))
    _section("Handshakes", [f"{each.kind} ({each.method})" for each in provider.handshakes])
    _section("Known traps", provider.notes)
    _section("Read from", provider.read_from)


def _section(title: str, lines: Any) -> None:
    if lines:
        line("")
        line(title, "bold")
    for text in lines:
        line(f"- {text.replace('`', '')}")


def _verification(provider: Provider) -> list[str]:
    told = [sentence for scheme in provider.schemes for sentence in words.verification(scheme)]
    return told or ["as [sources.<name>.signature] says; docs/signatures.md has its keys"]


def _resends(provider: Provider) -> list[str]:
    answer = words.answers(provider)
    return [
        words.sends_again(provider),
        words.absorbed(provider),
        *([f"An accepted delivery is answered {answer}."] if answer else []),
    ]


def _document(provider: Provider) -> dict[str, Any]:
    """Return what a program may want to know of a provider."""
    guide = setup(provider, provider.name)
    return {
        "name": provider.name,
        "title": provider.title,
        "docs": provider.docs,
        "register_at": provider.register_at,
        "secret_at": provider.secret_at,
        "params": dict(provider.params),
        "proof": [words.proof(scheme) for scheme in provider.schemes],
        "verification": _verification(provider),
        "events": dict(words.events(provider)),
        "retries": asdict(provider.retries),
        "handshakes": [handshake.kind for handshake in provider.handshakes],
        "answer_seconds": provider.answer_seconds,
        "body_limit_bytes": provider.body_limit,
        "configuration": guide.toml,
        "variables": {variable.name: variable.found_at for variable in guide.variables},
        "needs_public_url": guide.needs_public_url,
        "notes": list(provider.notes),
        "confidence": provider.confidence,
        "read_from": list(provider.read_from),
    }
