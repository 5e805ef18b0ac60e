"""Every exception the gateway raises, and what each leads to.

    GatewayError
      ConfigError                    exit 2; all faults of the file at once
      RequestRejected                answered with `status`, counted by `label`, never stored
        UnknownSource                404
        AddressRefused               404  nothing of the body was read
        MethodNotAllowed             405
        BodyTooLarge                 413
        BodyMalformed                400  verified, but not what the provider sends
        BodyTimeout                  408
        EncodingUnsupported          415
        EncodingInvalid              400
        HandshakeMalformed           400
        HandshakesTooMany            429
        VerificationError            401
          SignatureMissing  SignatureMalformed  SignatureMismatch  SecretExpired
          HeaderMissing  HeaderRepeated  HeaderMalformed
          FieldMissing  FieldRepeated  FieldMalformed  RequirementUnmet
          TimestampMalformed  TimestampStale  TimestampInFuture
          HandshakeRefused
        SecretMissing                503  verification is impossible; the provider should come back
      InvalidPayload                 what Delivery.json(), form() and text() raise
      TransformError                 the entry becomes a dead letter with this sentence
        TransformStarved             tried again for a while, as anyone may have taken the memory
      InboxError
        InboxUnavailable             503 with Retry-After; nothing was stored
        InboxLocked                  another process serves this file; exit 2
        InboxUnsupported             the file or the SQLite library is not one we may use; exit 2
          InboxOutdated              the file is an older gateway's, which serving it upgrades
      OutputLost                     a command's output could not be written; exit 1
      LeaseLost                      drop the work: another forwarder has it
      EventApiError                  what kept a request from being answered
        EventApiUnreachable          nothing was sent
        EventApiInterrupted          sent, and nothing is known of its fate
      AdminRefused                   of gateway.admin.refusals: answered on the admin listener with `status`

Those of handshakes are in gateway.handshake_errors. A message names what was expected and what to check; never a
secret, a signature or a body.
"""

from __future__ import annotations

from typing import ClassVar


class GatewayError(Exception):
    """Root of all errors of the gateway. `label` is its name in logs, metrics and answers."""

    label: ClassVar[str] = "error"


class ConfigError(GatewayError):
    """The configuration cannot be used; `faults` has one sentence each, naming file, key and fix."""

    label = "config_invalid"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


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


class InvalidPayload(GatewayError):
    """The content cannot be parsed as asked."""

    label = "payload_invalid"


class TransformError(GatewayError):
    """A transform failed or returned something that is not an event; the message is the dead letter's reason."""

    label = "transform_failed"


class TransformStarved(TransformError):
    """A transform found no memory, which may be its own fault or that of anything else in the process."""

    label = "transform_starved"


class OutputLost(GatewayError):
    """What a command had to say could not be written; exit 1."""

    label = "output_lost"


class InboxError(GatewayError):
    """The durable store cannot do what was asked."""

    label = "inbox_error"


class InboxUnavailable(InboxError):
    """Nothing was stored; the provider should come back."""

    label = "inbox_unavailable"


class InboxLocked(InboxError):
    """Another process serves this inbox."""

    label = "inbox_locked"


class InboxUnsupported(InboxError):
    """The inbox file, or the library that would open it, is not one the gateway may use."""

    label = "inbox_unsupported"


class InboxOutdated(InboxUnsupported):
    """The inbox file has an older schema, so that only `gateway serve`, which upgrades it, may open it."""

    label = "inbox_outdated"


class LeaseLost(GatewayError):
    """The lease expired or the entry was settled by another; what was to be recorded is void."""

    label = "lease_lost"


class EventApiError(GatewayError):
    """The event API gave no answer. The message never holds its URL, which holds the event key."""

    label = "event_api_error"


class EventApiUnreachable(EventApiError):
    """No connection could be made, so nothing was sent."""

    label = "unreachable"


class EventApiInterrupted(EventApiError):
    """The connection broke or timed out after sending, so the request may have been accepted."""

    label = "interrupted"
