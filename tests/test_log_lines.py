"""Log lines on their way to a stream that may stop taking them."""

import io
import json
import threading
from typing import Any

from gateway.telemetry.lines import LineWriter, dropped


class Stuck(io.StringIO):
    """A stream that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        """Wait, then take the text."""
        self.reached.set()
        self.gate.wait(20)
        return super().write(text)


class Broken(io.StringIO):
    """A pipe whose reader is gone."""

    def write(self, text: str) -> int:
        """Fail as the kernel does."""
        raise BrokenPipeError(text)


def note(count: int) -> bytes:
    """Make the line that stands for dropped ones."""
    return json.dumps({"missing": count}).encode()


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the lines that arrived."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_arrive_in_order() -> None:
    """Every line is written, in order, before the process ends."""
    out = io.StringIO()
    writer = LineWriter(out, note)
    for number in range(500):
        writer.write(b'{"n": %d}\n' % number)
    writer.close(5)
    assert [line["n"] for line in lines_of(out)] == list(range(500))


def test_lines_that_nobody_reads_are_dropped_and_counted() -> None:
    """While the stream takes nothing, writing returns at once; when it does again, the log says how much it lacks."""
    out, before = Stuck(), dropped()
    writer = LineWriter(out, note, most=10)
    writer.write(b'{"n": 0}\n')
    assert out.reached.wait(5)
    for number in range(1, 31):
        writer.write(b'{"n": %d}\n' % number)
    writer.close(0.01)
    out.gate.set()
    writer.close(5)
    told = lines_of(out)
    assert [line["n"] for line in told if "n" in line] == list(range(11))
    assert [line["missing"] for line in told if "missing" in line] == [20]
    assert dropped() - before == 20


def test_stream_that_is_gone() -> None:
    """When the reader is gone for good, writing goes on costing nothing and raises nothing."""
    writer = LineWriter(Broken(), note, most=5)
    for _ in range(100):
        writer.write(b"{}\n")
    writer.close(0.1)
