"""Why a request is refused; the whole tree of errors is drawn in gateway.errors."""

from __future__ import annotations

from typing import ClassVar

from gateway.errors import GatewayError


class RequestRejected(GatewayError):
    """A request that is answered with `status` and not kept."""

    label = "rejected"
    status: ClassVar[int] = 400


class UnknownSource(RequestRejected):
    """No source has the name in the URL."""

    label = "unknown_source"
    status = 404


class AddressRefused(RequestRejected):
    """Whoever sends has an address that the source does not take requests from; `address` is empty where unknown."""

    label = "address_refused"
    status = 404

    def __init__(self, message: str, address: str) -> None:
        super().__init__(message)
        self.address = address


class MethodNotAllowed(RequestRejected):
    """Webhooks are POSTed; `allowed` are the methods that the source takes."""

    label = "method_not_allowed"
    status = 405

    def __init__(self, message: str, allowed: str = "POST") -> None:
        super().__init__(message)
        self.allowed = allowed


class BodyTooLarge(RequestRejected):
    """The body, as sent or as decoded, is over the source's limit."""

    label = "body_too_large"
    status = 413


class BodyMalformed(RequestRejected):
    """The body is verified but not in the provider's format."""

    label = "body_malformed"


class BodyTimeout(RequestRejected):
    """The body did not arrive in time."""

    label = "body_timeout"
    status = 408


class EncodingUnsupported(RequestRejected):
    """The Content-Encoding is not one the gateway decodes."""

    label = "encoding_unsupported"
    status = 415


class EncodingInvalid(RequestRejected):
    """The body does not decode as its Content-Encoding says."""

    label = "encoding_invalid"


class VerificationError(RequestRejected):
    """The request could not be shown to come from the provider."""

    label = "unverified"
    status = 401


class SignatureMissing(VerificationError):
    """The request carries no signature of the configured scheme."""

    label = "signature_missing"


class SignatureMalformed(VerificationError):
    """The signature is not written as the scheme prescribes."""

    label = "signature_malformed"


class SignatureMismatch(VerificationError):
    """The signature is well formed and no configured secret produces it."""

    label = "signature_mismatch"


class SecretExpired(VerificationError):
    """The signature is one of a secret whose `not_after` has passed."""

    label = "secret_expired"


class HeaderMissing(VerificationError):
    """A header that is part of the signed content is absent."""

    label = "header_missing"


class HeaderRepeated(VerificationError):
    """A header that decides something occurs more than once, so two readers could see two requests."""

    label = "header_repeated"


class HeaderMalformed(VerificationError):
    """A header that is part of the signed content is not printable ASCII or is absurdly long."""

    label = "header_malformed"


class FieldMissing(VerificationError):
    """A value of body, form or query that is part of the signed content is absent."""

    label = "field_missing"


class FieldRepeated(VerificationError):
    """A value of form or query that decides something occurs more than once."""

    label = "field_repeated"


class FieldMalformed(VerificationError):
    """The body, form or query cannot be read, and a part of it is signed or is the signature."""

    label = "field_malformed"


class RequirementUnmet(VerificationError):
    """Two parts of the request that must be equal differ, such as a body and its signed hash."""

    label = "requirement_unmet"


class TimestampMalformed(VerificationError):
    """The signed timestamp is not written as the scheme prescribes."""

    label = "timestamp_malformed"


class TimestampStale(VerificationError):
    """The signed timestamp is too far in the past."""

    label = "timestamp_stale"


class TimestampInFuture(VerificationError):
    """The signed timestamp is too far in the future."""

    label = "timestamp_in_future"


class SecretMissing(RequestRejected):
    """The source has no usable secret, or has not learned it yet, so nothing can be verified."""

    label = "secret_missing"
    status = 503


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
