"""Forms are read as urllib reads them, and quickly whatever they hold."""

import contextlib
import time
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import forms

BYTES = st.sampled_from(
    [b"%", b"=", b"&", b"+", b"_", b"\r\n", b" ", b"4", b"1", b"C3", b"a9", b"%C3%A9", b"z", b"\xc3\xa9"]
)
CONTENT = st.lists(BYTES, max_size=30).map(b"".join)
HOSTILE = [b"%41", b"a%41", b"%", b"%zz", b"+", b"&", b"a=b&", b"%C3%A9", b"="]


def expected(content: bytes) -> list[tuple[str, str]] | None:
    """Return what urllib reads."""
    try:
        return parse_qsl(content.decode(), keep_blank_values=True, errors="strict", max_num_fields=forms.MAX_FIELDS)
    except ValueError:
        return None


@given(CONTENT)
def test_as_urllib(content: bytes) -> None:
    """Names and values are those that urllib reads, stray percent signs included."""
    try:
        found = forms.pairs(content)
    except ValueError:
        assert expected(content) is None
    else:
        assert found == expected(content)


@pytest.mark.parametrize("content", [b"a=%", b"a=%4", b"%zz=1", b"a=1&b=%%41"])
def test_stray_percent_signs(content: bytes) -> None:
    """Where parts of a form are signed, a percent sign that begins no escape is refused."""
    assert forms.pairs(content) == expected(content)
    with pytest.raises(ValueError, match="two hex digits"):
        forms.pairs(content, strict=True)


@pytest.mark.parametrize("count", [1_000, 1_001])
def test_many_fields(count: int) -> None:
    """A thousand fields are read, and one more is refused."""
    content = b"&".join([b"a=1"] * count)
    if count <= forms.MAX_FIELDS:
        assert len(forms.pairs(content)) == count
        return
    with pytest.raises(ValueError, match="over 1000 form fields"):
        forms.pairs(content)


@pytest.mark.parametrize("part", HOSTILE)
def test_cost(part: bytes) -> None:
    """A megabyte costs little, whatever it is made of."""
    content = part * (1_000_000 // len(part))
    spent = []
    for _ in range(3):
        started = time.thread_time()
        with contextlib.suppress(ValueError):
            forms.pairs(content)
        spent.append(time.thread_time() - started)
    assert min(spent) < 0.05
