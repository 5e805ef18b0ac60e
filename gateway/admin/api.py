"""The JSON API of the admin listener, /v1: who may ask, what is read of a request, and how a fault is answered."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from gateway import payload
from gateway.admin.refusals import AdminCallerRefused, AdminRefused, AdminRequestInvalid
from gateway.errors import InboxError, InvalidPayload
from gateway.telemetry.logs import Log

BODY_LIMIT = 16_384
BROWSER_HEADERS = ("Origin", "Sec-Fetch-Site")


def application(routes: Iterable[web.RouteDef], *, host: str, log: Log) -> web.Application:
    """Return the application of /v1; `host` is the address that the listener is bound to."""

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            _refuse_strangers(request, host)
            return await handler(request)
        except AdminRefused as refusal:
            return _fault(refusal.status, refusal.label, str(refusal))
        except InboxError as error:
            return _fault(HTTPStatus.SERVICE_UNAVAILABLE, error.label, str(error))
        except web.HTTPException as error:
            return _fault(error.status, error.reason.lower().replace(" ", "_"), f"{request.method} {request.path}")
        except Exception as error:  # noqa: BLE001 - a fault of our own is told as one, and never as the caller's
            log.crashed(where="admin", error=error)
            return _fault(HTTPStatus.INTERNAL_SERVER_ERROR, "error", "a fault of the gateway's own; the log has it")

    app = web.Application(middlewares=[guard])
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


def _refuse_strangers(http: web.Request, bound: str) -> None:
    """Let only programs of this machine in: no other machine, no page in a browser, no name that was rebound to it."""
    if not _is_loopback(bound):
        raise AdminCallerRefused(f"/v1 is served on a loopback address alone; set admin.host to 127.0.0.1, not {bound}")
    if any(name in http.headers for name in BROWSER_HEADERS):
        raise AdminCallerRefused("/v1 is not for browsers; use the gateway command or another program")
    if not _is_loopback(_host_name(http)):
        raise AdminCallerRefused("the Host header does not name this machine; ask for 127.0.0.1, [::1] or localhost")


def _host_name(http: web.Request) -> str:
    try:
        return urlsplit(f"//{http.host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _fault(status: int, label: str, sentence: str) -> web.Response:
    response = answer({"error": label, "detail": sentence}, int(status))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        response.force_close()
    return response
