"""The OpenAPI document of the admin listener: a table of its operations, and schemas made of its typed documents.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter

from gateway.admin import documents as told
from gateway.admin import query
from gateway.feed import OUTCOMES
from gateway.model import ReplayMode, State
from gateway.replay import MOST_PER_STEP

MOST_SECONDS = 3_600

_JSON = "application/json"
_SCHEMA = "#/components/schemas/{model}"
_SEARCH = ("id", "source", "type", "reason", "state", "since", "until", "after")


@dataclass(frozen=True, slots=True)
class _Operation:
    """What can be asked: `answers` has the document, or the media type, of each status but those that everyone gets."""

    path: str
    name: str
    summary: str
    answers: dict[int, Any]
    parameters: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    method: str = "get"
    body: dict[str, Any] | None = None
    public: bool = False


_HEALTH = {200: told.HealthDocument, 503: told.HealthDocument}
_STATES = {"type": "string", "enum": [state.value for state in State]}
_TEXT = {"type": "string", "minLength": 1}
_WHOLE = {"type": "integer", "minimum": 0, "maximum": query.MOST}
_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "id": ("A delivery id, an event id, an id of the event API, or a trace id.", _TEXT),
    "source": ("Of this source.", _TEXT),
    "type": ("Of this type.", _TEXT),
    "reason": ("With this text in their reason.", _TEXT),
    "state": ("In this state; a replay takes settled ones alone.", _STATES),
    "since": ("Received at or after this time.", _WHOLE),
    "until": ("Received before this time.", _WHOLE),
    "after": ("With a greater key.", _WHOLE),
    "limit": ("At most so many.", {"type": "integer", "minimum": 1, "maximum": query.MOST_PER_PAGE, "default": 50}),
    "before": ("What the page before told as its `next`.", {"type": "string", "pattern": r"^[0-9]+\.[0-9]+$"}),
    "outcome": (
        "With this outcome; may be repeated.",
        {"type": "array", "items": {"type": "string", "enum": [*OUTCOMES]}},
    ),
    "seconds": ("Of the last so many seconds.", {"type": "integer", "minimum": 1, "maximum": MOST_SECONDS}),
}
_STEP = {
    "type": "object",
    "additionalProperties": False,
    "required": ["query", "mode", "limit"],
    "properties": {
        "query": {
            "type": "object",
            "additionalProperties": False,
            "required": ["state"],
            "properties": {
                **{name: _PARAMETERS[name][1] for name in _SEARCH},
                "state": {"type": "string", "enum": [state.value for state in query.SETTLED]},
            },
        },
        "mode": {"type": "string", "enum": [mode.value for mode in ReplayMode]},
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST_PER_STEP},
    },
}
_OPERATIONS = (
    _Operation("/livez", "livez", "Tell whether the process lives.", {200: told.HealthDocument}, public=True),
    _Operation("/startupz", "startupz", "Tell whether the process has started.", _HEALTH, public=True),
    _Operation("/readyz", "readyz", "Tell whether webhooks can be kept.", _HEALTH, public=True),
    _Operation("/metrics", "metrics", "Tell the metrics, as text or as OpenMetrics.", {200: "text/plain"}),
    _Operation(
        "/v1/deliveries",
        "searchDeliveries",
        "Search deliveries, newest first.",
        {200: told.DeliveriesDocument},
        parameters=(*_SEARCH, "limit", "before"),
    ),
    _Operation(
        "/v1/deliveries/{id}",
        "showDelivery",
        "Tell the lives of the deliveries that an id of any kind belongs to; 404 and none where there is none.",
        {200: told.LivesDocument, 404: told.LivesDocument},
    ),
    _Operation("/v1/sources", "listSources", "Tell of every source.", {200: told.SourcesDocument}),
    _Operation("/v1/counts", "countEntries", "Count entries by source and state.", {200: told.CountsDocument}),
    _Operation(
        "/v1/stats", "stats", "Tell rates, percentiles and backlog.", {200: told.StatsDocument}, parameters=("seconds",)
    ),
    _Operation(
        "/v1/forwarding", "forwarding", "Tell how forwarding to the event API stands.", {200: told.ForwardingDocument}
    ),
    _Operation(
        "/v1/replay",
        "countReplay",
        "Count what a replay would take; nothing changes.",
        {200: told.ReplayCountDocument},
        parameters=_SEARCH,
        required=("state",),
    ),
    _Operation(
        "/v1/replay",
        "replay",
        "Take one step of a replay.",
        {200: told.ReplayStepDocument, 413: told.FaultDocument},
        method="post",
        body=_STEP,
    ),
    _Operation(
        "/v1/tail",
        "tail",
        "Tell what happens from now on, each a line of JSON as HappeningDocument has it, between empty lines.",
        {200: "application/x-ndjson"},
        parameters=("source", "type", "outcome"),
    ),
    _Operation("/v1/openapi.json", "openapi", "Tell this document.", {200: _JSON}),
)


@cache
def document() -> dict[str, Any]:
    """Return the document, which is not to be changed."""
    kinds = {kind for operation in _OPERATIONS for kind in operation.answers.values() if not isinstance(kind, str)}
    named: list[Any] = [
        (kind.__name__, "serialization", TypeAdapter(kind))
        for kind in sorted(kinds | {told.FaultDocument, told.HappeningDocument}, key=str)
    ]
    _, schemas = TypeAdapter.json_schemas(named, ref_template=_SCHEMA)
    paths: dict[str, Any] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _written(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The admin listener of the webhook-to-event gateway",
            "version": version("webhook-event-gateway"),
            "description": "Health, metrics, inspection and replay of one gateway. Times are unix milliseconds.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8081"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas["$defs"].items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "The admin token."}},
        },
    }


def _written(operation: _Operation) -> dict[str, Any]:
    faults = {} if operation.public else dict.fromkeys((400, 401, 403, 503), told.FaultDocument)
    parameters = [_parameter(name, required=name in operation.required) for name in operation.parameters]
    if "{id}" in operation.path:
        parameters = [{**_parameter("id", required=True), "in": "path"}]
    body = {"requestBody": {"required": True, "content": {_JSON: {"schema": operation.body}}}} if operation.body else {}
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        **({"security": []} if operation.public else {}),
        "parameters": parameters,
        **body,
        "responses": {str(status): _answer(kind) for status, kind in {**operation.answers, **faults}.items()},
    }


def _parameter(name: str, *, required: bool) -> dict[str, Any]:
    meaning, schema = _PARAMETERS[name]
    return {"name": name, "in": "query", "required": required, "description": meaning, "schema": schema}


def _answer(kind: Any) -> dict[str, Any]:
    if isinstance(kind, str):
        schema = {"type": "object" if kind == _JSON else "string"}
        return {"description": "What was asked for.", "content": {kind: {"schema": schema}}}
    reference = {"$ref": _SCHEMA.format(model=kind.__name__)}
    return {"description": str(kind.__doc__), "content": {_JSON: {"schema": reference}}}
