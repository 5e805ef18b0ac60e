"""What is refused of handshakes; their place in the tree of errors is in gateway.errors."""

from __future__ import annotations

from gateway.errors import RequestRejected, VerificationError


class HandshakeMalformed(RequestRejected):
    """The handshake's token is not one that its provider sends."""

    label = "handshake_malformed"


class HandshakesTooMany(RequestRejected):
    """Handshakes that are answered with the secret's help come faster than any provider sends them."""

    label = "handshakes_too_many"
    status = 429


class HandshakeRefused(VerificationError):
    """The handshake does not show what it has to, such as the verify token, or the secret that was learned."""

    label = "handshake_refused"
