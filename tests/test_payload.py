"""Payloads where memory is short, and large integers; the rest is tested with verify() and the transforms."""

import subprocess
import sys

import pytest

from gateway import payload

PARSE = """
import resource
from gateway import payload
from gateway.errors import InvalidPayload

content = b'{"x":"' + b"y" * 8_000_000 + b'"}'
with open("/proc/self/statm") as statm:
    size = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 30_000_000, resource.RLIM_INFINITY))
try:
    payload.loads(content)
except MemoryError:
    print("no memory")
try:
    payload.loads(content[:-1])
except MemoryError:
    print("no memory")
try:
    payload.loads(b"{")
except InvalidPayload:
    print("not JSON")
"""


def test_content_is_not_blamed_for_a_lack_of_memory() -> None:
    """Where memory is too short to parse with, that is what is told: of the content nothing is known."""
    done = subprocess.run([sys.executable, "-c", PARSE], capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    assert (done.stdout.split("\n"), done.stderr) == (["no memory", "no memory", "not JSON", ""], "")


@pytest.mark.parametrize(
    "number", [2**53 + 1, -(2**53) - 1, 2**63, -(2**63) - 1, 2**64, 10**19, 12345678901234567890123]
)
def test_large_integers_are_exact_and_counted(number: int) -> None:
    """An integer beyond 2^53 is read as written and counted, from the first one with 16 digits on."""
    value = payload.loads(b'{"n": %d, "small": 9007199254740992}' % number)
    assert value == {"n": number, "small": 2**53}
    assert payload.big_integers(payload.dumps(value), value) == 1
