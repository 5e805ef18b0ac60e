"""What the admin listener refuses, and with which status."""

from __future__ import annotations

from typing import ClassVar

from gateway.errors import GatewayError


class AdminRefused(GatewayError):
    """A request to the admin listener that is answered with `status` and changes nothing."""

    label = "refused"
    status: ClassVar[int] = 400


class AdminRequestInvalid(AdminRefused):
    """The request is not one that the admin listener knows."""

    label = "request_invalid"


class AdminCallerRefused(AdminRefused):
    """Whoever asks may not."""

    label = "caller_refused"
    status = 403


class AdminTokenRefused(AdminRefused):
    """Whoever asks did not show the token."""

    label = "token_refused"
    status = 401
