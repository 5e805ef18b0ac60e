"""How log lines are rendered, as JSON or for reading: nothing a stranger sent can break a line or a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, BinaryIO, Literal, TextIO, cast

import orjson
import structlog

from gateway.telemetry.crashes import describe
from gateway.telemetry.lines import LineWriter

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

Fields = MutableMapping[str, Any]


class Direct:
    """Writes lines by structlog's processors and without its logger, which costs more than they do.

    `lowest` is the number of the lowest level that is written.
    """

    def __init__(self, processors: list[structlog.typing.Processor], writer: LineWriter, lowest: int) -> None:
        self._processors = processors
        self._writer = writer
        self._lowest = lowest

    @property
    def is_current(self) -> bool:
        """Whether structlog still has these processors."""
        return structlog.get_config()["processors"] is self._processors

    def write(self, method: str, event: str, fields: Fields) -> None:
        """Write a line of a level, with the fields in their order; they are changed."""
        if LEVELS[method] < self._lowest:
            return
        fields["event"] = event
        made: Any = fields
        try:
            for process in self._processors:
                made = process(None, method, made)
        except structlog.DropEvent:
            return
        self._writer.write(made + b"\n")


_direct: list[Direct] = []


def direct() -> Direct | None:
    """Return the way for lines of which there are many; None where structlog is configured otherwise."""
    return _direct[0] if _direct and _direct[0].is_current else None


def configure(
    form: Literal["auto", "json", "console"], level: str, stream: TextIO | None = None, worker: int = 0
) -> None:
    """Send the log to `stream` (standard error), as JSON lines or, on a terminal, for reading.

    Lines of one of several workers have its number.
    """
    out = stream or sys.stderr
    pretty = form == "console" or (form == "auto" and out.isatty())
    last: list[structlog.typing.Processor] = [_as_json]
    if pretty:
        # Without a formatter of its own: the usual one shows the values of variables.
        last = [_printable, structlog.dev.ConsoleRenderer(colors=out.isatty()), _encode]
    numbered: list[structlog.typing.Processor] = [partial(_number, worker)] if worker else []
    processors: list[structlog.typing.Processor] = [_complete, *numbered, *last]
    writer = LineWriter(out, lambda count: _missing(count, processors), among_others=worker > 0)
    _direct[:] = [Direct(processors, writer, LEVELS[level])]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", writer)),
        cache_logger_on_first_use=True,
    )


def printable(text: str) -> str:
    """Return `text` with all escaped that a terminal acts upon or does not show: controls, line breaks, directions."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _missing(count: int, processors: list[structlog.typing.Processor]) -> bytes:
    """Render the line that stands for dropped ones."""
    fields: Any = {"event": "log_lines_dropped", "count": count, "detail": "nobody read the log for a while"}
    for process in processors:
        fields = process(None, "warning", fields)
    return cast("bytes", fields)


def _number(worker: int, _logger: Any, _method: str, fields: Fields) -> Fields:
    fields["worker"] = worker
    return fields


def _complete(_logger: Any, method: str, fields: Fields) -> Fields:
    """Add level, time and traceback; in one step, as each costs every line a tenth of what the whole does."""
    fields["level"] = method
    fields["timestamp"] = _moment(time.time())
    if "exc_info" in fields and (error := fields.pop("exc_info")) is not None:
        fields["exception"] = describe(error)
    return fields


def _moment(seconds: float) -> str:
    """Return a time in RFC 3339, in UTC, with microseconds."""
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1_000_000):06d}Z"


@lru_cache(1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _as_json(_logger: Any, _method: str, fields: Fields) -> bytes:
    """Render a line in ASCII, whatever the fields hold, as terminals act upon characters beyond it too."""
    try:
        line = orjson.dumps(fields)
    except TypeError:  # half of a surrogate pair, or an integer of more than 64 bits
        line = b"\x7f"
    if line.isascii() and b"\x7f" not in line:
        return line
    return json.dumps(fields).replace("\x7f", "\\u007f").encode()


def _printable(_logger: Any, _method: str, fields: Fields) -> Fields:
    return {name: _shown(name, value) for name, value in fields.items()}


def _shown(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "\n".join(map(printable, value.split("\n"))) if name == "exception" else printable(value)


def _encode(_logger: Any, _method: str, text: Any) -> bytes:
    return cast("str", text).encode(errors="backslashreplace")
