"""Log lines on their way to a stream that may stop taking them."""

import io
import json
import os
import select
import subprocess
import sys
import threading
from typing import Any

from gateway.telemetry.lines import LineWriter, dropped, in_pieces


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


def test_pieces_end_where_lines_end() -> None:
    """A piece is as much as a pipe takes whole; a line that is longer stands alone."""
    lines = [b"a" * 1_000 + b"\n"] * 9 + [b"b" * 10_000 + b"\n"] + [b"c\n"]
    pieces = list(in_pieces(lines))
    assert b"".join(pieces) == b"".join(lines)
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert [len(piece) for piece in pieces if len(piece) > select.PIPE_BUF] == [10_001]
    assert len(pieces) == 5


WRITE = """
import json, sys
from gateway.telemetry import lines
written = [json.dumps({"by": sys.argv[1], "n": n, "padding": "x" * (n % 1_500)}).encode() + b"\\n" for n in range(600)]
print(flush=True)
sys.stdin.readline()
writer = lines.LineWriter(sys.stderr, lambda count: b"{}", 100_000, among_others=True)
for line in written:
    writer.write(line)
lines.finish(20)
"""


def test_lines_of_several_processes_are_not_torn() -> None:
    """Whatever others write at the same time to the same pipe, which is full nearly always, each line arrives whole."""
    reading, writing = os.pipe()
    children = [
        subprocess.Popen(  # noqa: S603 - ours
            [sys.executable, "-c", WRITE, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=writing,
        )
        for number in range(3)
    ]
    os.close(writing)
    for child in children:
        assert child.stdout
        child.stdout.readline()
        child.stdout.close()
    for child in children:
        assert child.stdin
        child.stdin.close()  # which is the sign to begin
    content = b""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while piece := pipe.read(700):
            content += piece
    told = [json.loads(line) for line in content.splitlines()]
    assert [child.wait() for child in children] == [0, 0, 0]
    for number in range(3):
        assert [line["n"] for line in told if line["by"] == str(number)] == list(range(600))
