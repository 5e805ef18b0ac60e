"""What a worker is given with its environment: its number, the address it shares, and the way to its supervisor."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass

import orjson

VARIABLE = "GATEWAY_WORKER"
_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"
_INSTANCE = "service.instance.id"
# What the service manager tells its supervisor is not for the worker.
_OF_SUPERVISOR = ("NOTIFY_SOCKET", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_RUN = uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one worker is to do: its `number`, from 1, and by descriptors its end of the `channel`.

    It opens the `port` for itself, or takes the socket that is `listening` for all.
    """

    number: int
    channel: int
    port: int
    listening: int | None = None

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the worker's process, in which telemetry tells it from the others."""
        kept = {name: value for name, value in environ.items() if name not in _OF_SUPERVISOR}
        return kept | {
            VARIABLE: orjson.dumps(asdict(self)).decode(),
            _ATTRIBUTES: _attributes(kept.get(_ATTRIBUTES, ""), self.number),
        }

    def descriptors(self) -> tuple[int, ...]:
        """Return those that the worker's process inherits."""
        return (self.channel,) if self.listening is None else (self.channel, self.listening)


def take(environ: MutableMapping[str, str]) -> Assignment | None:
    """Return what this process is to do as a worker, None where it is none; no child of it sees the same."""
    told = environ.pop(VARIABLE, "")
    return Assignment(**orjson.loads(told)) if told else None


def adopt(descriptor: int) -> socket.socket:
    """Return the socket of a descriptor that was inherited, which no child of this process is to inherit."""
    taken = socket.socket(fileno=descriptor)
    taken.set_inheritable(False)
    taken.setblocking(False)
    return taken


def _attributes(told: str, number: int) -> str:
    """Return OpenTelemetry's resource attributes with an instance of the worker's own; the last of a name counts.

    https://opentelemetry.io/docs/specs/semconv/resource/service/
    """
    pairs = dict(pair.split("=", 1) for pair in told.split(",") if "=" in pair)
    instance = f"{pairs.get(_INSTANCE, '').strip() or _RUN}-{number}"
    return ",".join(filter(None, (told, f"{_INSTANCE}={instance}")))
