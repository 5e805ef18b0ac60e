"""The floor: aiohttp reads the body and answers 200. `python -m benchmarks.servers.bare PORT`."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """Read the body and answer 200."""
    await request.read()
    return web.Response()


async def main(port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app.router.add_post("/webhooks/stripe", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
