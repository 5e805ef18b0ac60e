"""What a log line looks like, as JSON and in a terminal, whatever strangers, libraries and faults put into it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog

from gateway.errors import InboxError
from gateway.model import Delivery
from gateway.telemetry import crashes, lines, logs, rendering
from gateway.telemetry.libraries import Router
from gateway.telemetry.logs import Log
from tests.test_log_lines import Stuck

HOSTILE = "a\nb\r\x1b[2Jc\x9b31md\x7fe\u2028f\u202eg\x00h\ud800i"
NAME = "canary"


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(params=["json", "console"])
def form(request: pytest.FixtureRequest) -> Iterator[Literal["json", "console"]]:
    """Give each form, and put the log back as it was."""
    yield request.param
    _restore()


@pytest.fixture
def written() -> Iterator[Callable[[Callable[[Log], None]], dict[str, Any]]]:
    """Give a function that has a line logged as JSON and returns it parsed."""

    def write(what: Callable[[Log], None]) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(_logged("json", what))
        return fields

    yield write
    _restore()


def _restore() -> None:
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Router)]:
        root.removeHandler(handler)


def _logged(form: Literal["json", "console"], what: Callable[[Log], None], stream: io.StringIO | None = None) -> str:
    out = stream or io.StringIO()
    logs.configure(form, "info", out)
    what(Log())
    lines.finish(5)
    return out.getvalue()


def _request(log: Log, text: str) -> None:
    delivery = Delivery("stripe", "stripe", text, text, 0, b"")
    log.request(source=text, outcome="accepted", status=200, bytes_in=1, ms=1, trace="", delivery=delivery, detail=text)


def test_text_of_strangers_cannot_break_a_line(form: Literal["json", "console"]) -> None:
    """Line breaks, escape sequences, bidirectional controls and broken Unicode are escaped, in either form."""
    text = _logged(form, lambda log: _request(log, HOSTILE))
    assert text.endswith("\n")
    assert text[:-1].isprintable(), ascii(text)
    assert "[2Jc" in text
    if form == "json":
        assert json.loads(text)["detail"] == HOSTILE


def test_colours_are_the_terminals_alone() -> None:
    """A terminal gets colours of ours, and still no sequence of a stranger's."""
    text = _logged("console", lambda log: _request(log, HOSTILE), Terminal())
    _restore()
    assert "\x1b[0m" in text
    assert "\x1b[2J" not in text
    assert "\x9b" not in text


def test_text_in_other_alphabets_stays_readable_in_a_terminal(form: Literal["json", "console"]) -> None:
    """What people write is shown as written; JSON, which programs read, keeps to ASCII."""
    text = _logged(form, lambda log: _request(log, "größe 価格"))
    assert ("größe 価格" in text) == (form == "console")
    if form == "json":
        assert text.isascii()
        assert json.loads(text)["detail"] == "größe 価格"


def test_crash_shows_frames_and_no_values(form: Literal["json", "console"]) -> None:
    """A fault is told with file, line and kind; neither its message nor variables, which hold what it failed on."""

    def fail(secret: str) -> None:
        body = f"{secret}-body"
        raise ValueError(body)

    def crash(log: Log) -> None:
        try:
            fail("canary" + "42")
        except ValueError as error:
            log.crashed(where="receive", error=error)

    text = _logged(form, crash)
    assert "ValueError" in text
    assert "in fail" in text
    assert "canary42" not in text


def test_crash_with_causes() -> None:
    """The cause comes first; messages of the gateway's own and the system's errors are told, cut to what they say."""
    try:
        try:
            Path("/" + NAME).read_bytes()
        except OSError as error:
            raise InboxError("the inbox cannot be written") from error
    except InboxError as error:
        text = crashes.describe(error)
    assert text.index("FileNotFoundError: No such file or directory") < text.index(
        "InboxError: the inbox cannot be written"
    )
    assert "canary" not in text


def test_crash_that_refers_to_itself() -> None:
    """A chain of causes without an end is told in part."""
    first, second = ValueError(), TypeError()
    first.__cause__, second.__cause__ = second, first
    assert crashes.describe(first).count("ValueError") < 10


def test_dropped_lines_are_told_in_the_form_of_the_log(form: Literal["json", "console"]) -> None:
    """Where nobody reads for a while, one line in the log's own form says how many are missing."""
    out = Stuck()

    def write(log: Log) -> None:
        log.stopped()
        assert out.reached.wait(5)
        for _ in range(lines.MOST_LINES + 7):
            log.stopped()
        out.gate.set()

    text = _logged(form, write, out)
    [told] = [line for line in text.splitlines() if "log_lines_dropped" in line]
    assert "7" in told
    assert text.count("stopped") == lines.MOST_LINES + 1
    if form == "json":
        assert json.loads(told)["count"] == 7
        assert json.loads(told)["timestamp"]


@pytest.mark.parametrize(
    ("logger", "message", "arguments", "told"),
    [
        ("aiohttp.server", "Error handling request from %s", ("canary",), "Error handling request from …"),
        ("asyncio", "Exception in callback f(b'canary')\nhandle: <Handle canary>", (), "Exception in callback f"),
        ("asyncio", "Task exception was never retrieved\nfuture: canary", (), "Task exception was never retrieved"),
        ("opentelemetry.exporter", "code: %s, reason: %s", (401, "canary"), "code: 401, reason: …"),
        ("my_transforms.acme", "odd item %s", ("x\x1b[2J",), "odd item x\x1b[2J"),
    ],
)
def test_what_libraries_log(
    written: Callable[[Callable[[Log], None]], dict[str, Any]], logger: str, message: str, arguments: Any, told: str
) -> None:
    """Libraries' records become lines; of those that quote what they were sent, the constant part and numbers alone."""
    line = written(lambda _: logging.getLogger(logger).error(message, *arguments))
    assert line["event"] == "library"
    assert line["logger"] == logger
    assert line["detail"] == told
    assert line["level"] == "error"


def test_message_whose_arguments_do_not_fit() -> None:
    """A transform's faulty call of logging is told as it was written, and never what it was called with."""
    told: list[str] = []
    router = Router(lambda _logger, _severity, text, _error: told.append(text))
    router.emit(logging.LogRecord("transforms.acme", logging.ERROR, "", 1, "odd item %d", ("canary",), None))
    assert told == ["odd item %d"]


def test_a_library_says_the_same_once_a_minute() -> None:
    """A collector that cannot be reached fills no disk; what transforms log is all there."""

    def write(_: Log) -> None:
        for _turn in range(100):
            logging.getLogger("opentelemetry.exporter").error("failed, code: %s", 503)
            logging.getLogger("transforms.acme").warning("odd")

    text = _logged("json", write)
    _restore()
    assert text.count("failed, code: 503") == 1
    assert text.count("odd") == 100


async def test_fault_that_nobody_awaits() -> None:
    """What asyncio says of an exception that was never retrieved holds its kind and place, and not its message."""

    async def fail() -> None:
        raise ValueError(NAME)

    out = io.StringIO()
    logs.configure("json", "info", out)
    task = asyncio.get_running_loop().create_task(fail())
    await asyncio.wait([task])
    del task
    lines.finish(5)
    _restore()
    line = json.loads(out.getvalue())
    assert line["detail"] == "Task exception was never retrieved"
    assert "in fail" in line["exception"]
    assert "canary" not in out.getvalue()


def test_printable_leaves_text_alone() -> None:
    """Text that can be shown is the same object."""
    text = "größe 価格 😀"
    assert rendering.printable(text) is text
