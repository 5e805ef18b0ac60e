"""`gateway send`: signed samples, good ones and spoiled ones, to a gateway that runs."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from gateway.addresses import local_url, registered_url
from gateway.cli import report, running
from gateway.cli.options import ConfigOption, JsonOption, find_source, line, load_to_look, load_to_send, write_json
from gateway.config import Config
from gateway.dev import demo, key_pairs
from gateway.dev.post import Answered, post
from gateway.dev.sign import SignedRequest, Spoil, signed_sample, signs_content, signs_time
from gateway.errors import ConfigError
from gateway.sources import Source


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(send)


def _http_url(text: str) -> str:
    """Return the text if it is a URL that can be posted to."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isascii() or not text.isprintable() or " " in text:
        raise typer.BadParameter("write it as http://host:port/webhooks/source")
    return text


UrlOption = Annotated[
    str | None,
    typer.Option(metavar="URL", parser=_http_url, help="Where to send to, in place of the configured address."),
]


def send(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source to send to.")],
    kind: Annotated[str | None, typer.Argument(metavar="TYPE", help="The sample's type, e.g. invoice.paid.")] = None,
    *,
    config: ConfigOption = None,
    url: UrlOption = None,
    tampered: Annotated[bool, typer.Option("--tampered", help="Change what is signed after signing.")] = False,
    stale: Annotated[bool, typer.Option("--stale", help="Sign with a time that is too long ago.")] = False,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Leave the signature out.")] = False,
    wrong_secret: Annotated[bool, typer.Option("--wrong-secret", help="Sign with another secret.")] = False,
    repeat: Annotated[int, typer.Option(min=1, max=1_000, help="Send the same request so many times.")] = 1,
    private_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The private key (PEM), where the source's secret is a public key."),
    ] = None,
    new_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Make such a key in FILE, print the public one, and send nothing."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Send a correctly signed sample to a running gateway and show its answers.

    Exits 1 when an answer is not the expected one: 2xx, or a refusal for a sample that was spoiled.
    """
    if new_key:
        _write_key_pair(load_to_look(config), source, new_key)
        raise typer.Exit(0)
    spoil = _only(tampered=tampered, stale=stale, unsigned=unsigned, wrong_secret=wrong_secret)
    loaded = load_to_send(config)
    chosen = find_source(loaded, source)
    if fault := _cannot_be_refused(chosen, spoil):
        raise ConfigError([f"{source}: {fault}"])
    pem = private_key_of(chosen, private_key)
    request = prepare(loaded, source, kind, loaded.server.port, spoil=spoil, private_key=pem)
    target = url or local_url(loaded, source)
    answers = [post(target, request) for _ in range(repeat)]
    if json:
        write_json([{"type": request.type, "status": answer.status, "body": answer.body} for answer in answers])
    else:
        for answer in answers:
            report.print_answer(source, request.type, answer)
    expected = taken if spoil is Spoil.NOTHING else _refused
    raise typer.Exit(0 if all(expected(answer) for answer in answers) else 1)


def prepare(
    config: Config, name: str, kind: str | None, port: int, *, spoil: Spoil = Spoil.NOTHING, private_key: str = ""
) -> SignedRequest:
    """Return a sample signed with the first secret that has not ended; raises ConfigError for an unknown name."""
    source, now = find_source(config, name), int(time.time() * 1000)
    live = source.at(now)
    url = registered_url(config, name, port, reveal=True)
    try:
        return signed_sample(
            live if live.secrets else source,
            config.sources[name],
            kind,
            url=url,
            now=now,
            rng=random.SystemRandom(),
            spoil=spoil,
            private_key=private_key,
        )
    except ValueError as error:
        raise ConfigError([f"{name}: {error}"]) from error


def private_key_of(source: Source, path: Path | None) -> str:
    """Return the private key in a file, or the one that `gateway dev` made for the source; empty without either."""
    if path is None:
        return demo.kept_private_key(running.FOLDER, source.secrets)
    try:
        return path.read_text()
    except (OSError, ValueError) as error:
        raise ConfigError([f"{path}: the private key cannot be read; name the file that --new-key wrote"]) from error


def _write_key_pair(config: Config, name: str, path: Path) -> None:
    """Write a private key to a new file, and say which secret belongs to it."""
    methods = [scheme.method for scheme in find_source(config, name).schemes if scheme.asymmetric]
    if not methods:
        raise ConfigError([f"{name}: its secret is no public key, so samples are signed with it; leave --new-key out"])
    private, public = key_pairs.generate(methods[0])
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(private)
    except OSError as error:
        raise ConfigError(
            [f"{path}: cannot be written ({error.strerror}); name a file that is not there yet"]
        ) from error
    line(f"{path} holds the private key. Set the secret of {name} to its public key:")
    line(public)


def _only(**spoils: bool) -> Spoil:
    """Return the one kind of spoiled sample that was asked for."""
    chosen = [name for name, wanted in spoils.items() if wanted]
    if len(chosen) > 1:
        raise typer.BadParameter(f"--{_option(chosen[0])} and --{_option(chosen[1])} exclude each other")
    return Spoil(chosen[0]) if chosen else Spoil.NOTHING


def taken(answer: Answered) -> bool:
    """Tell whether the gateway took the sample."""
    return answer.status in range(200, 300)


def _refused(answer: Answered) -> bool:
    return answer.status in range(400, 500)


def _cannot_be_refused(source: Source, spoil: Spoil) -> str | None:
    """Say why a gateway that works would take the spoiled sample all the same."""
    if spoil is not Spoil.NOTHING and not source.verified:
        return f'verify = "none" takes whatever comes, so nothing can be refused; leave out --{_option(spoil)}'
    if spoil is Spoil.STALE and not signs_time(source):
        return "its signature covers no time, so a stale request cannot be told from a fresh one; leave out --stale"
    if spoil is Spoil.TAMPERED and not signs_content(source):
        return "what it sends proves who sends and covers no content, so a change cannot be told; leave out --tampered"
    return None


def _option(spoil: str) -> str:
    return spoil.replace("_", "-")
