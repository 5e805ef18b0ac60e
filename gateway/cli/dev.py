"""`gateway dev` and `gateway send`: everything on this machine, and signed samples."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from pathlib import Path
from typing import Annotated

import typer

from gateway import build
from gateway.app import Gateway, run
from gateway.cli import report
from gateway.cli.addresses import local_url
from gateway.cli.options import DEV_FOLDER, ConfigOption, JsonOption, load_config, out, write_json
from gateway.cli.serve import run_on_uvloop
from gateway.config import Config, default_path, load
from gateway.dev import demo
from gateway.dev.event_api import LocalEventApi
from gateway.dev.post import Answered, post
from gateway.dev.sign import STALE_MS, SignedRequest, signed_sample, tampered
from gateway.errors import ConfigError
from gateway.event_api import is_answering
from gateway.model import History, Query, State
from gateway.telemetry import logs

DEV_SERVER = "http://127.0.0.1:8288"
LOCAL_EVENT_API_PORT = 8289
SETTLE_SECONDS = 20.0

SendOption = Annotated[list[str] | None, typer.Option("--send", help="Send a sample to this source (repeatable).")]
OnceOption = Annotated[bool, typer.Option("--once", help="End when the samples are settled.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(dev)
    app.command()(send)


def dev(config: ConfigOption = None, *, samples: SendOption = None, once: OnceOption = False) -> None:
    """Start everything on this machine: the gateway, an event API, and samples on request.

    Uses ./gateway.toml where there is one, with demo secrets for variables that are not set; else makes
    .gateway/gateway.toml. Events go to the Inngest Dev Server when it answers, else to a local event API.
    """
    path, environ = _prepare(config)
    logs.configure("auto", "info")
    raise typer.Exit(run_on_uvloop(_serve(path, environ, samples or [], once=once)))


def _prepare(config: Path | None) -> tuple[Path, dict[str, str]]:
    """Return the configuration to use and the environment that completes it."""
    path = config or default_path(os.environ)
    if config is None and not path.exists():
        return demo.make_folder(DEV_FOLDER), dict(os.environ)
    missing = demo.missing_secrets(path, DEV_FOLDER, os.environ)
    return path, {"INNGEST_DEV": "1", **missing, **os.environ}


async def _serve(path: Path, environ: dict[str, str], samples: list[str], *, once: bool) -> int:
    event_api: LocalEventApi | None = None
    url = DEV_SERVER
    if not await is_answering(DEV_SERVER):
        event_api = LocalEventApi()
        await event_api.start(port=free_port("127.0.0.1", LOCAL_EVENT_API_PORT))
        url = event_api.url
    ports: dict[str, int] = {}

    def load_here() -> Config:
        return _on_this_machine(load(path, environ), url, ports)

    async def accompany(gateway: Gateway) -> int | None:
        report.print_start(gateway, event_api_url=url, local=event_api is not None)
        settled = await _send_samples(gateway, samples)
        if samples:
            report.print_outcomes(settled)
        if once:
            return 0 if all(history.entry.state is State.FORWARDED for history in settled) else 1
        out.print("\nServing until Ctrl-C. Send more with: gateway send stripe", markup=False)
        return None

    try:
        return await run(load_here, accompany)
    finally:
        if event_api:
            await event_api.stop()


def _on_this_machine(config: Config, event_api_url: str, ports: dict[str, int]) -> Config:
    """Return the configuration with free ports, the event API that runs here and the inbox in the dev folder."""
    for name, address in (("server", config.server), ("admin", config.admin)):
        ports.setdefault(name, free_port(address.host, address.port))
    return config.model_copy(
        update={
            "server": config.server.model_copy(update={"port": ports["server"], "public_url": ""}),
            "admin": config.admin.model_copy(update={"port": ports["admin"]}),
            "event_api": config.event_api.model_copy(update={"url": event_api_url}),
            "inbox": config.inbox.model_copy(update={"url": f"sqlite:{(DEV_FOLDER / 'inbox.db').resolve()}"}),
        }
    )


async def _send_samples(gateway: Gateway, names: list[str]) -> list[History]:
    """Send one sample to each source and wait until each delivery is settled."""
    histories = []
    for name in names:
        request = prepare(gateway.config, name, None, gateway.port)
        before = gateway.clock.wall()
        answered = await asyncio.to_thread(post, local_url(gateway.config, name, gateway.port), request)
        report.print_answer(name, request.type, answered)
        histories.append(await _settled(gateway, Query(source=name, since=before, limit=1)))
    return [history for history in histories if history]


async def _settled(gateway: Gateway, query: Query) -> History | None:
    """Wait until the entry that the query finds is settled; return it as it is then, or as it is in the end."""
    never = asyncio.Event()
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        found = await gateway.inbox.search(query)
        history = await gateway.inbox.get(found[0].entry.key) if found else None
        done = history is not None and history.entry.state not in {State.PENDING, State.LEASED}
        if done or time.monotonic() > deadline:
            return history
        await gateway.clock.wait(never, 0.05)


def prepare(config: Config, name: str, kind: str | None, port: int | None, *, age_ms: int = 0) -> SignedRequest:
    """Return a signed sample for a source; raises ConfigError for an unknown source or sample."""
    source = build.sources(config).get(name)
    if source is None:
        known = ", ".join(sorted(config.sources))
        raise ConfigError([f"{config.path}: sources.{name}: there is no such source; the sources are {known}"])
    now = int(time.time() * 1000) - age_ms
    rng = random.SystemRandom()
    url = local_url(config, name, port)
    if config.server.public_url:
        url = f"{config.server.public_url.rstrip('/')}{source.path}"
    try:
        return signed_sample(source, config.sources[name], kind, url=url, now=now, rng=rng)
    except ValueError as error:
        raise ConfigError([f"{name}: {error}"]) from error


def send(
    source: Annotated[str, typer.Argument(help="The source to send to.")],
    kind: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="The sample's type, e.g. invoice.paid.")] = None,
    *,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="Where to send to, in place of the configured address.")] = None,
    spoil: Annotated[bool, typer.Option("--tampered", help="Change the body after signing.")] = False,
    stale: Annotated[bool, typer.Option("--stale", help="Sign with the time of yesterday.")] = False,
    repeat: Annotated[int, typer.Option(min=1, max=1_000, help="Send the same request so many times.")] = 1,
    json: JsonOption = False,
) -> None:
    """Send a correctly signed sample to a running gateway and show its answers.

    Exits 1 when an answer is not the expected one: 2xx, or 401 for --tampered and --stale.
    """
    loaded = load_config(config)
    request = prepare(loaded, source, kind, None, age_ms=STALE_MS if stale else 0)
    request = tampered(request) if spoil else request
    target = url or local_url(loaded, source)
    answers = [post(target, request) for _ in range(repeat)]
    if json:
        write_json([{"type": request.type, "status": answer.status, "body": answer.body} for answer in answers])
    else:
        for answer in answers:
            report.print_answer(source, request.type, answer)
    expected = _refused if spoil or stale else _taken
    raise typer.Exit(0 if all(expected(answer) for answer in answers) else 1)


def _taken(answer: Answered) -> bool:
    return answer.status in range(200, 300)


def _refused(answer: Answered) -> bool:
    return answer.status == 401  # noqa: PLR2004 - the documented answer


def free_port(host: str, wanted: int) -> int:
    """Return `wanted`, or a free port where another program has it."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted
