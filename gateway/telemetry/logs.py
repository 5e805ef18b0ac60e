"""Every log line of the gateway, one method per event: an allow-list of fields, never a secret, signature or body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TextIO

import structlog

from gateway.model import Delivery
from gateway.telemetry import libraries, rendering

_STEPS = {"read": "read_ms", "verify": "verify_ms", "keep": "keep_ms"}


class Log:
    """The gateway's log. `logger` is a structlog logger, or anything with its methods.

    `on_crash` is told where a fault of the gateway's own came up.
    """

    def __init__(self, logger: Any = None, on_crash: Callable[[str], None] = lambda _: None) -> None:
        self._logger = logger or structlog.get_logger("gateway")
        self._direct = None if logger else rendering.direct()
        self._on_crash = on_crash

    def request(
        self,
        *,
        source: str,
        outcome: str,
        status: int,
        bytes_in: int,
        ms: float,
        trace: str,
        delivery: Delivery | None = None,
        label: str = "",
        detail: str = "",
        steps: Mapping[str, float] | None = None,
    ) -> None:
        """Write the one line of a webhook request; `steps` are the milliseconds that each part of it took."""
        method = "info" if status < 400 and not label else "warning"  # noqa: PLR2004 - HTTP's own border
        fields: dict[str, Any] = {"source": source, "outcome": outcome, "status": status}
        if label:
            fields["reason"] = label
        if detail:
            fields["detail"] = detail
        _identify(fields, delivery, trace)
        fields["bytes_in"] = bytes_in
        fields["ms"] = int(ms * 100 + 0.5) / 100  # hundredths, in a fourth of the time that `round` takes
        if steps:
            for step, took in steps.items():
                fields[_STEPS[step]] = int(took * 100 + 0.5) / 100
        if self._direct:
            self._direct.write(method, "request", fields)
        else:
            getattr(self._logger, method)("request", **fields)

    def attempt(
        self,
        *,
        batch: str,
        sources: Sequence[str],
        entries: int,
        events: int,
        bytes_out: int,
        outcome: str,
        accepted: int,
        status: int | None,
        detail: str,
        ms: int,
        attempt: int,
        trace: str = "",
        only: Delivery | None = None,
    ) -> None:
        """Write the one line of a request to the event API, whose traceparent is `trace` if it has one.

        `only` is the delivery of a batch of one entry.
        """
        write = self._logger.info if outcome == "accepted" else self._logger.warning
        write(
            "attempt",
            batch=batch,
            sources=list(sources),
            **_identify({}, only),
            outcome=outcome,
            status=status,
            **_present(detail=detail, attempt_trace_id=trace[3:35]),
            entries=entries,
            events=events,
            accepted=accepted,
            attempt=attempt,
            bytes_out=bytes_out,
            ms=ms,
        )

    def dead_letter(self, *, delivery: Delivery, reason: str) -> None:
        """Say that an entry will not be tried again by itself."""
        self._logger.error("dead_letter", source=delivery.source, **_identify({}, delivery), reason=reason)

    def big_integers(self, *, delivery: Delivery, count: int) -> None:
        """Say that integers of a delivery will not survive the event API."""
        hint = 'integers beyond 2^53 lose precision in the event API; set big_integers = "string" for this source'
        self._logger.warning(
            "big_integers", source=delivery.source, **_identify({}, delivery), count=count, detail=hint
        )

    def delivery_id_missing(self, *, delivery: Delivery) -> None:
        """Say that a delivery came without its own id, so that the digest of its body stands for it."""
        self._logger.warning("delivery_id_missing", source=delivery.source, **_identify({}, delivery))

    def secret_learned(self, *, source: str, path: str) -> None:
        """Say that the first handshake gave a source its secret, which rests on trust in whoever came first."""
        detail = (
            f"the first handshake was trusted and its token is the secret from now on, kept in {path}; make sure that "
            "it came from the sender, and if not, delete the file, reload, and register the URL again"
        )
        self._logger.warning("secret_learned", source=source, detail=detail)

    def lease_lost(self, *, delivery: Delivery, state: str) -> None:
        """Say that another forwarder took an entry over."""
        self._logger.warning("lease_lost", source=delivery.source, **_identify({}, delivery), state=state)

    def lane_paused(self, *, reason: str) -> None:
        """Say that forwarding waits for the configuration; nothing is lost."""
        self._logger.error("forwarding_paused", reason=reason, detail="nothing is lost; it resumes by itself")

    def lane_failing(self, *, reason: str) -> None:
        """Say that forwarding backs off; nothing is lost."""
        self._logger.warning("forwarding_failing", reason=reason, detail="nothing is lost; it is tried again")

    def lane_recovered(self, *, was: str) -> None:
        """Say that forwarding works again."""
        self._logger.info("forwarding_recovered", was=was)

    def limit_learned(self, *, request_bytes: int) -> None:
        """Say that the event API takes smaller requests than configured."""
        hint = "the event API refused a larger request as too large; set event_api.max_request_bytes to what it takes"
        self._logger.warning("limit_learned", request_bytes=request_bytes, detail=hint)

    def source_set_apart(self, *, source: str) -> None:
        """Say that a source is sent apart from others because its entries are refused or its transform hangs."""
        detail = "its entries are refused or its transform hangs; other sources go on"
        self._logger.warning("source_set_apart", source=source, detail=detail)

    def forwarding_interrupted(self, *, reason: str) -> None:
        """Say that the inbox could not serve the forwarder."""
        self._logger.error("forwarding_interrupted", reason=reason)

    def replayed(self, *, mode: str, count: int, last_key: int) -> None:
        """Say that an operator made settled entries pending again, in one step."""
        self._logger.info("replayed", mode=mode, count=count, last_key=last_key)

    def started(self, *, urls: Sequence[str], admin: str, inbox: str, event_api: str, workers: int = 1) -> None:
        """Say where the gateway listens, with how many workers."""
        several = {"workers": workers} if workers > 1 else {}
        self._logger.info("started", urls=list(urls), admin=admin, inbox=inbox, event_api=event_api, **several)

    def worker_started(self, *, number: int, pid: int) -> None:
        """Say that one of several workers serves."""
        self._logger.info("worker_started", worker=number, pid=pid)

    def worker_ended(self, *, number: int, reason: str, again_in_seconds: float | None = None) -> None:
        """Say that a worker ended otherwise than it was to, and when another takes its place, if one does."""
        again = {} if again_in_seconds is None else {"again_in_seconds": again_in_seconds}
        self._logger.error("worker_ended", worker=number, reason=reason, **again)

    def inbox_alarm(self, *, detail: str) -> None:
        """Say what was found wrong with the inbox when it was opened."""
        self._logger.error("inbox_alarm", detail=detail)

    def disk_space(self, *, level: str, left: str) -> None:
        """Say that the space of the inbox's disk came to another level."""
        write = self._logger.info if level == "ok" else self._logger.error
        write("disk_space", space=level, left=left)

    def quarantine_unwritable(self, *, path: str, reason: str) -> None:
        """Say that samples of rejected requests cannot be kept; nothing else suffers."""
        detail = "rejected requests are not kept for `gateway doctor` until it can be written; intake goes on"
        self._logger.error("quarantine_unwritable", path=path, reason=reason, detail=detail)

    def note(self, *, detail: str, source: str = "") -> None:
        """Say something an operator should know about the configuration."""
        self._logger.warning("configuration_note", **_present(source=source), detail=detail)

    def reloaded(self, *, sources: Sequence[str]) -> None:
        """Say that a changed configuration is in use."""
        self._logger.info("configuration_reloaded", sources=list(sources))

    def secret_ended(self, *, source: str, secret: str) -> None:
        """Say that a secret matches no more, by the label that people gave it."""
        detail = "its not_after has passed; requests signed with it are refused from now on"
        self._logger.warning("secret_ended", source=source, secret=secret, detail=detail)

    def transforms_renewed(self, *, files: Sequence[str]) -> None:
        """Say that transforms were imported again, as these files of theirs changed."""
        self._logger.info("transforms_renewed", files=list(files))

    def reload_refused(self, *, faults: Sequence[str]) -> None:
        """Say that a changed configuration has faults and the old one stays in use."""
        self._logger.error("configuration_refused", faults=list(faults), detail="the old configuration stays in use")

    def draining(self, *, signal: str) -> None:
        """Say that the gateway is about to stop."""
        self._logger.info("draining", signal=signal)

    def cut_short(self, *, signal: str) -> None:
        """Say that a second signal ends the process at once."""
        self._logger.warning("cut_short", signal=signal, detail="nothing acknowledged is lost; the rest goes on later")

    def stopped(self) -> None:
        """Say that the gateway has stopped."""
        self._logger.info("stopped")

    def library(self, logger: str, severity: str, text: str, error: BaseException | None = None) -> None:
        """Pass on what a library or a transform logged, from warnings on."""
        write = self._logger.warning if severity == "warning" else self._logger.error
        write("library", logger=logger, detail=text, **({"exc_info": error} if error else {}))

    def crashed(self, *, where: str, error: BaseException) -> None:
        """Write a fault of the gateway's own, with the frames it came through."""
        self._on_crash(where)
        self._logger.error("crashed", where=where, error=type(error).__name__, exc_info=error)


def configure(
    form: Literal["auto", "json", "console"], level: str, stream: TextIO | None = None, worker: int = 0
) -> None:
    """Send the log to `stream` (standard error), as JSON lines or, on a terminal, for reading.

    What libraries and transforms log with Python's logging goes the same way. `worker` is the number of this process
    where it is one of several.
    """
    rendering.configure(form, level, stream, worker)
    libraries.route(Log().library)


def _identify(fields: dict[str, Any], delivery: Delivery | None, trace: str = "") -> dict[str, Any]:
    """Add which delivery, or which trace, a line is about."""
    if delivery:
        fields["delivery_id"] = delivery.id
        fields["type"] = delivery.type
        if delivery.secret:
            fields["secret"] = delivery.secret
        trace = delivery.traceparent
    if trace:
        fields["trace_id"] = trace[3:35]
    return fields


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None)}
