"""Who is compared: the gateway in several settings, what people write by hand, and the floor under them all."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import Process, free_port, started
from benchmarks.traffic import SECRET

FLOOR = "bare aiohttp, the floor"
GATEWAY = "gateway, to the event API"
BY_HAND = "FastAPI + stripe + Inngest SDK"
ENVIRON = {"INNGEST_DEV": "1"}
_TOML = """
server.port = {port}
admin.port = 0
event_api.url = "{event_api}"
{settings}
[sources.stripe]
provider = "stripe"
secrets = ["file:secret"]
{more}"""


@dataclass(frozen=True, slots=True)
class Contender:
    """Who is compared: `command` makes the command line from a folder of its own, a port and the event API's URL.

    `forwards` tells whether events come to the event API.
    """

    name: str
    command: Callable[[Path, int, str], Sequence[str]]
    forwards: bool = True
    env: Mapping[str, str] | None = None


def gateway(name: str, settings: str = "", more: str = "", *, forwards: bool = True) -> Contender:
    """Return the gateway as operators run it, with `settings` and `more` as `write_config` takes them."""

    def command_line(folder: Path, port: int, event_api: str) -> Sequence[str]:
        path = write_config(folder, port, event_api if forwards else f"{event_api}/held", settings, more)
        return [str(Path(sys.executable).parent / "gateway"), "serve", "--config", str(path)]

    return Contender(name, command_line, forwards=forwards, env=ENVIRON)


def write_config(folder: Path, port: int, event_api: str, settings: str = "", more: str = "") -> Path:
    """Write a gateway's configuration and return its path.

    `settings` are lines such as `log.level = "info"`, and `more` the end of it, after the first lines of the source
    stripe.
    """
    path = folder / "gateway.toml"
    path.write_text(_TOML.format(port=port, event_api=event_api, settings=settings, more=more))
    (folder / "secret").write_text(SECRET)
    return path


def _module(name: str, *more: str) -> Callable[[Path, int, str], Sequence[str]]:
    return lambda _, port, event_api: [sys.executable, "-m", f"benchmarks.servers.{name}", str(port), event_api, *more]


def by_hand(python: str) -> Contender:
    """Return FastAPI with Stripe's library and Inngest's SDK, in the environment of a Python with these."""
    script = str(Path(__file__).parent / "servers" / "fastapi_inngest.py")
    return Contender(BY_HAND, lambda _, port, event_api: [python, script, str(port), event_api, SECRET])


BARE = Contender(FLOOR, _module("bare"), forwards=False)
DIRECT = Contender("aiohttp + stripe + POST", _module("aiohttp_direct"))
# Further settings, such as the share of requests that is traced, or another inbox, are further rows here.
GATEWAYS = (gateway("gateway, kept alone", forwards=False), gateway(GATEWAY))


@contextlib.contextmanager
def running(contender: Contender, folder: Path, event_api: str) -> Iterator[Process]:
    """Run a contender, with its files in a folder of its own."""
    folder.mkdir()
    port = free_port()
    with started(contender.command(folder, port, event_api), port, contender.env) as process:
        yield process


@contextlib.contextmanager
def event_api() -> Iterator[Process]:
    """Run the event API."""
    port = free_port()
    with started([sys.executable, "-m", "benchmarks.event_api", str(port)], port) as process:
        yield process
