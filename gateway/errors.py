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
          InboxMoved                 what is in the file is, or is about to be, in another inbox
        MoveFailed                   the move stopped, and running it again goes on; exit 1
        BackupFailed                 nothing was backed up or restored; exit 1
      OutputLost                     a command's output could not be written; exit 1
      LeaseLost                      drop the work: another forwarder has it
      EventApiError                  what kept a request from being answered
        EventApiUnreachable          nothing was sent
        EventApiInterrupted          sent, and nothing is known of its fate
      AdminRefused                   of gateway.admin.refusals: answered on the admin listener with `status`

RequestRejected and what is below it are in gateway.rejections. A message names what was expected and what to check;
never a secret, a signature or a body.
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


class InboxMoved(InboxUnsupported):
    """The inbox file was moved to another inbox, or is being moved, so nobody may serve it."""

    label = "inbox_moved"


class MoveFailed(InboxError):
    """An inbox could not be moved, or what was moved is not what was there; the file that it came from is whole."""

    label = "move_failed"


class BackupFailed(InboxError):
    """No backup was written, or none restored; what was there is as it was."""

    label = "backup_failed"


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
