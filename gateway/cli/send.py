"""`gateway send`: signed samples, good ones and spoiled ones, to a gateway that runs."""

from __future__ import annotations

import random
import time
from typing import Annotated
from urllib.parse import urlsplit

import typer

from gateway.cli import report
from gateway.cli.addresses import local_url, registered_url
from gateway.cli.options import ConfigOption, JsonOption, find_source, load_to_send, write_json
from gateway.config import Config
from gateway.dev.post import Answered, post
from gateway.dev.sign import STALE_MS, SignedRequest, signed_sample, signs_time, tampered
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
    spoil: Annotated[bool, typer.Option("--tampered", help="Change the body after signing.")] = False,
    stale: Annotated[bool, typer.Option("--stale", help="Sign with the time of yesterday.")] = False,
    repeat: Annotated[int, typer.Option(min=1, max=1_000, help="Send the same request so many times.")] = 1,
    json: JsonOption = False,
) -> None:
    """Send a correctly signed sample to a running gateway and show its answers.

    Exits 1 when an answer is not the expected one: 2xx, or 401 for --tampered and --stale.
    """
    loaded = load_to_send(config)
    chosen = find_source(loaded, source)
    if fault := _cannot_be_refused(chosen, spoil=spoil, stale=stale):
        raise ConfigError([f"{source}: {fault}"])
    request = prepare(loaded, source, kind, loaded.server.port, age_ms=STALE_MS if stale else 0)
    request = tampered(request) if spoil else request
    target = url or local_url(loaded, source)
    answers = [post(target, request) for _ in range(repeat)]
    if json:
        write_json([{"type": request.type, "status": answer.status, "body": answer.body} for answer in answers])
    else:
        for answer in answers:
            report.print_answer(source, request.type, answer)
    expected = _refused if spoil or stale else taken
    raise typer.Exit(0 if all(expected(answer) for answer in answers) else 1)


def prepare(config: Config, name: str, kind: str | None, port: int, *, age_ms: int = 0) -> SignedRequest:
    """Return a signed sample for a source; raises ConfigError for an unknown source or sample."""
    source = find_source(config, name)
    now = int(time.time() * 1000) - age_ms
    url = registered_url(config, name, port, reveal=True)
    try:
        return signed_sample(source, config.sources[name], kind, url=url, now=now, rng=random.SystemRandom())
    except ValueError as error:
        raise ConfigError([f"{name}: {error}"]) from error


def taken(answer: Answered) -> bool:
    """Tell whether the gateway took the sample."""
    return answer.status in range(200, 300)


def _refused(answer: Answered) -> bool:
    return answer.status == 401  # noqa: PLR2004 - the documented answer


def _cannot_be_refused(source: Source, *, spoil: bool, stale: bool) -> str | None:
    """Say why a gateway that works would take the spoiled sample all the same."""
    if (spoil or stale) and not source.verified:
        return 'verify = "none" takes whatever comes, so nothing can be refused; leave out --tampered and --stale'
    if stale and not spoil and not signs_time(source):
        return "its signature covers no time, so a stale request cannot be told from a fresh one; leave out --stale"
    return None
