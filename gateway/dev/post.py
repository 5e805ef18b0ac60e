"""Post a signed sample to a gateway and read its answer."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.dev.sign import SignedRequest
from gateway.errors import GatewayError

TIMEOUT_SECONDS = 10.0


class SampleNotDelivered(GatewayError):
    """Nothing answered at the URL."""

    label = "sample_not_delivered"


@dataclass(frozen=True, slots=True)
class Answered:
    """What the gateway answered to a sample."""

    status: int
    body: str


def post(url: str, request: SignedRequest) -> Answered:
    """Post the request; raises SampleNotDelivered when there is no answer."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        query = "&".join(filter(None, (parts.query, request.query)))
        target = f"{parts.path or '/'}{'?' if query else ''}{query}"
        connection.request("POST", target, request.body, dict(request.headers))
        response = connection.getresponse()
        return Answered(response.status, response.read(65_536).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SampleNotDelivered(
            f"nothing answers at {url}: {reason}; start `gateway dev` or `gateway serve`, or name another --url"
        ) from error
    finally:
        connection.close()
