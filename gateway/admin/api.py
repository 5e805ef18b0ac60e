"""The JSON API of the admin listener, /v1: what is read of a request, and how a fault is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from gateway import payload
from gateway.admin.access import Access
from gateway.admin.refusals import AdminRefused, AdminRequestInvalid, AdminTokenRefused
from gateway.errors import InboxError, InvalidPayload
from gateway.telemetry.logs import Log

BODY_LIMIT = 16_384
INSTANCE = "Gateway-Instance"


def application(routes: Iterable[web.RouteDef], *, access: Access, log: Log, instance: str = "") -> web.Application:
    """Return an application whose routes are for those whom `access` lets in, and whose faults are JSON.

    Every answer has the name of this process, so that nobody takes another's for it.
    """

    async def name(_: web.Request, response: web.StreamResponse) -> None:
        response.headers[INSTANCE] = instance

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            access.require(request)
            return await handler(request)
        except AdminRefused as refusal:
            return _refusal(refusal)
        except InboxError as error:
            return _fault(HTTPStatus.SERVICE_UNAVAILABLE, error.label, str(error))
        except web.HTTPException as error:
            return _fault(error.status, error.reason.lower().replace(" ", "_"), f"{request.method} {request.path}")
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of our own is told as one, and never as the caller's
            log.crashed(where="admin", error=error)
            return _fault(HTTPStatus.INTERNAL_SERVER_ERROR, "error", "a fault of the gateway's own; the log has it")

    app = web.Application(middlewares=[guard])
    app.on_response_prepare.append(name)
    app.add_routes(routes)
    return app


def answer(document: Any, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(status=status, body=orjson.dumps(document), content_type="application/json")


async def read_object(http: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request's body. Raises AdminRequestInvalid."""
    if http.content_type != "application/json":
        raise AdminRequestInvalid("the body is not declared as JSON; send Content-Type: application/json")
    body = bytearray()
    async for chunk in http.content.iter_any():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise web.HTTPRequestEntityTooLarge(max_size=BODY_LIMIT, actual_size=len(body))
    try:
        document = payload.loads(bytes(body))
    except InvalidPayload as error:
        raise AdminRequestInvalid(str(error)) from error
    if not isinstance(document, dict):
        raise AdminRequestInvalid("the body is not a JSON object")
    return document


def _refusal(refusal: AdminRefused) -> web.Response:
    response = _fault(refusal.status, refusal.label, str(refusal))
    if isinstance(refusal, AdminTokenRefused):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _fault(status: int, label: str, sentence: str) -> web.Response:
    response = answer({"error": label, "detail": sentence}, int(status))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        response.force_close()
    return response
