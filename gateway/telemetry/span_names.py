"""The names of spans and of what they carry, as data; docs/traces.md explains each.

Those of HTTP are stable, those of messaging still in development, so they stand here alone:
https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

ROUTE = "/webhooks/{source}"
REQUEST_SPAN = f"POST {ROUTE}"
"""SERVER: one webhook request, the root of the delivery's trace; another method is named in place of POST."""
STRAY_SPAN = "HTTP"
"""SERVER: a request that is none to a source's URL, or not HTTP."""
ATTEMPT_SPAN = "send inngest"
"""CLIENT: one request to the event API, the root of a trace of its own, linked to the deliveries that it carries."""
LINKS_SPAN = "send inngest (more links)"
"""INTERNAL: a child of the CLIENT span that holds the links which that has no room for."""
DEAD_LETTER_SPAN = "dead letter"
"""INTERNAL: from the receipt of a delivery to its becoming a dead letter, in the delivery's trace."""
SPANS = (REQUEST_SPAN, STRAY_SPAN, ATTEMPT_SPAN, LINKS_SPAN, DEAD_LETTER_SPAN)

STEPS = ("read", "verify", "keep")
"""Events of a request's span, each at the end of that step."""

HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"
HTTP_ROUTE = "http.route"
HTTP_BODY_SIZE = "http.request.body.size"
URL_SCHEME = "url.scheme"
URL_PATH = "url.path"
URL_FULL = "url.full"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_BATCH_COUNT = "messaging.batch.message_count"
MESSAGING_MESSAGE_ID = "messaging.message.id"

SOURCE = "gateway.source"
OUTCOME = "gateway.outcome"
REASON = "gateway.reason"
DELIVERY_ID = "gateway.delivery.id"
DELIVERY_TYPE = "gateway.delivery.type"
SECRET = "gateway.secret"  # noqa: S105 - the attribute of its label
BATCH = "gateway.batch"
ENTRIES = "gateway.batch.entries"
ACCEPTED = "gateway.events.accepted"
ATTEMPT = "gateway.attempt"
LINK = "gateway.link"

ATTRIBUTES = tuple(value for key, value in list(globals().items()) if key.isupper() and "." in value)
