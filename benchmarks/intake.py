"""CPU time per webhook of the gateway, beside a bare aiohttp handler measured in the same run.

Both serve in processes of their own and get the same bodies over the same number of connections, each body distinct
and signed. CPU time is that of the serving process alone, over its whole handling of the load, and includes forwarding
to the local event API, which runs in a third process. Times of a shared machine are noise; the ratio is the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web
from rich.console import Console
from rich.table import Table

from gateway.app import Gateway
from gateway.config import load
from gateway.telemetry import logs

SECRET = "whsec_benchmark"  # noqa: S105 - the benchmark's own
CONNECTIONS = 32
TOML = """
[server]
port = 0
[admin]
port = 0
[event_api]
url = "{url}"
[sources.stripe]
provider = "stripe"
secrets = ["file:secret"]
"""


def serve_event_api(pipe: Connection) -> None:
    """Serve an event API that reads, counts and answers, and no more."""

    async def events(request: web.Request) -> web.Response:
        body = await request.read()
        count = body.count(b'"name":"stripe/')
        return web.json_response({"ids": [f"id{n}" for n in range(count)], "status": 200}, content_type="text/plain")

    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/e/{key}", events)
    _serve(app, pipe)


def serve_bare(pipe: Connection) -> None:
    """Serve a handler that reads the body and answers 200: the floor."""

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhooks/stripe", handler)
    _serve(app, pipe)


def _serve(app: web.Application, pipe: Connection) -> None:
    async def main() -> None:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await _report(pipe)
        await runner.cleanup()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main())


async def _report(pipe: Connection) -> None:
    """Send the CPU seconds used so far whenever asked; return when told to stop."""
    while await asyncio.to_thread(pipe.recv):
        usage = resource.getrusage(resource.RUSAGE_SELF)
        pipe.send(usage.ru_utime + usage.ru_stime)


def serve_gateway(pipe: Connection, folder: str, url: str) -> None:
    """Serve the gateway as `gateway serve` does, with its log going nowhere."""
    path = Path(folder) / "gateway.toml"
    path.write_text(TOML.format(url=url))
    (path.parent / "secret").write_text(SECRET)

    async def main() -> None:
        gateway = Gateway(load(path, {"INNGEST_DEV": "1"}))
        await gateway.start()
        pipe.send(gateway.port)
        await _report(pipe)
        await gateway.stop()

    with Path(os.devnull).open("w") as nowhere, asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        logs.configure("json", "info", nowhere)
        loop.run(main())


async def load_with(port: int, bodies: list[bytes]) -> float:
    """Post every body once over a fixed number of connections; return the seconds it took."""
    queue = iter(bodies)

    async def worker(session: aiohttp.ClientSession) -> None:
        for body in queue:
            t = int(time.time())
            digest = hmac.new(SECRET.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
            headers = {"Stripe-Signature": f"t={t},v1={digest}", "Content-Type": "application/json"}
            async with session.post(f"http://127.0.0.1:{port}/webhooks/stripe", data=body, headers=headers) as answer:
                await answer.read()
                if answer.status != 200:  # noqa: PLR2004 - anything else would be measured as something else
                    sys.exit(f"unexpected answer {answer.status}")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
        begun = time.perf_counter()
        await asyncio.gather(*[worker(session) for _ in range(CONNECTIONS)])
        return time.perf_counter() - begun


def make_bodies(count: int, size: int, mark: str) -> list[bytes]:
    """Make distinct Stripe events of about `size` bytes."""
    filler = "x" * (size - 150)
    form = '{{"id":"evt_{}{}","object":"event","type":"invoice.paid","created":1700000000,"data":{{"object":"{}"}}}}'
    return [form.format(mark, n, filler).encode() for n in range(count)]


class Contender:
    """A serving process that tells its CPU time."""

    def __init__(self, name: str, target: Callable[..., None], *arguments: str) -> None:
        self.name = name
        self._pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        self.port: int = self._pipe.recv()
        self.cpu: list[float] = []
        self.seconds: list[float] = []

    def used(self) -> float:
        """Return the CPU seconds used so far."""
        self._pipe.send(True)
        return float(self._pipe.recv())

    def measure(self, bodies: list[bytes]) -> None:
        """Load the contender and note what that cost, with two seconds for what goes on after the answers."""
        before = self.used()
        self.seconds.append(asyncio.run(load_with(self.port, bodies)))
        time.sleep(2)
        self.cpu.append((self.used() - before) / len(bodies) * 1e6)

    def stop(self) -> None:
        """Stop the process."""
        self._pipe.send(False)
        self._process.join(20)


def main() -> None:
    """Measure in interleaved rounds and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="requests of each contender per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bytes", type=int, default=2_800, help="size of a body")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        event_api = Contender("event API", serve_event_api)
        bare = Contender("bare aiohttp handler", serve_bare)
        gateway = Contender("gateway, to the event API", serve_gateway, folder, f"http://127.0.0.1:{event_api.port}")
        for round_ in range(options.rounds):
            for contender in (bare, gateway):
                contender.measure(make_bodies(options.requests, options.bytes, f"{contender.name[0]}{round_}_"))
        _print(bare, gateway, options.requests)
        for contender in (gateway, bare, event_api):
            contender.stop()


def _print(bare: Contender, gateway: Contender, requests: int) -> None:
    floor = sorted(bare.cpu)[len(bare.cpu) // 2]
    table = Table("contender", "CPU-µs per webhook (median)", "ratio to the floor", "requests/s, load tool included")
    for contender in (bare, gateway):
        cpu = sorted(contender.cpu)[len(contender.cpu) // 2]
        rate = requests / sorted(contender.seconds)[len(contender.seconds) // 2]
        table.add_row(contender.name, f"{cpu:.0f}", f"{cpu / floor:.1f}", f"{rate:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
