"""As written by hand with aiohttp: Stripe's library verifies, and the event is POSTed before the answer.

Nothing is kept: what the event API does not take is left to Stripe to send again.
`python -m benchmarks.servers.aiohttp_direct PORT EVENT_API`.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import stripe
import uvloop
from aiohttp import web

from benchmarks.traffic import SECRET


async def main(port: int, event_api: str) -> None:
    """Serve until the process is ended."""
    async with aiohttp.ClientSession() as session:

        async def answer(request: web.Request) -> web.Response:
            body = await request.read()
            try:
                event = stripe.Webhook.construct_event(body, request.headers.get("Stripe-Signature"), SECRET)
            except (ValueError, stripe.SignatureVerificationError):
                return web.Response(status=400)
            told = {"id": event.id, "name": f"stripe/{event.type}", "data": event.to_dict(), "ts": event.created * 1000}
            async with session.post(f"{event_api}/e/key", json=told) as taken:
                return web.Response(status=200 if taken.ok else 503)

        app = web.Application()
        app.router.add_post("/webhooks/stripe", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
