"""As written by hand with FastAPI: Stripe's library verifies, and Inngest's SDK sends the event before the answer.

Nothing is kept: what the event API does not take is left to Stripe to send again. It runs in an environment of its own,
with the versions of benchmarks/requirements.txt, and uses nothing of this project:
`python benchmarks/servers/fastapi_inngest.py PORT EVENT_API SECRET`.
"""

from __future__ import annotations

import sys

import inngest
import stripe
import uvicorn
from fastapi import FastAPI, Request, Response


def application(event_api: str, secret: str) -> FastAPI:
    """Return the application."""
    client = inngest.Inngest(app_id="webhooks", event_key="key", event_api_base_url=event_api, is_production=True)
    app = FastAPI()

    async def answer(request: Request) -> Response:
        body = await request.body()
        try:
            event = stripe.Webhook.construct_event(body, request.headers.get("stripe-signature"), secret)
        except (ValueError, stripe.SignatureVerificationError):
            return Response(status_code=400)
        name, data = f"stripe/{event.type}", event.to_dict()
        await client.send(inngest.Event(id=event.id, name=name, data=data, ts=event.created * 1000))
        return Response(status_code=200)

    app.add_api_route("/webhooks/stripe", answer, methods=["POST"])
    return app


if __name__ == "__main__":
    served = application(sys.argv[2], sys.argv[3])
    uvicorn.run(served, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False)
