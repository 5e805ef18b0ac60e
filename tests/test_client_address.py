"""Who sent a request, whatever the headers of forwarding claim."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_address import ForwardedHeader, Proxies, includes, parse_address, parse_network

TRUSTED = tuple(parse_network(text) for text in ("10.0.0.0/8", "2001:db8:aaaa::/48"))
PROXY = "10.0.0.1"


def client(peer: str, *values: str, header: ForwardedHeader = "x-forwarded-for") -> str | None:
    """Return the client's address as text, told by a peer with these values of its header."""
    address = Proxies(TRUSTED, header).client(peer, [(header, value) for value in values])
    return str(address) if address else None


@pytest.mark.parametrize(
    ("peer", "values", "expected"),
    [
        ("203.0.113.7", (), "203.0.113.7"),
        ("203.0.113.7", ("198.51.100.1",), "203.0.113.7"),
        ("::ffff:203.0.113.7", (), "203.0.113.7"),
        ("fe80::1%eth0", (), "fe80::1"),
        ("", (), None),
        (PROXY, (), PROXY),
        (PROXY, ("203.0.113.7",), "203.0.113.7"),
        (PROXY, ("198.51.100.1, 203.0.113.7",), "203.0.113.7"),
        (PROXY, ("198.51.100.1", "203.0.113.7"), "203.0.113.7"),
        (PROXY, ("198.51.100.1, 203.0.113.7, 10.9.9.9",), "203.0.113.7"),
        (PROXY, ("198.51.100.1, 203.0.113.7, 10.9.9.9", "2001:db8:aaaa::2"), "203.0.113.7"),
        (PROXY, ("10.1.1.1, 10.2.2.2",), "10.1.1.1"),
        (PROXY, ("203.0.113.7:4711",), "203.0.113.7"),
        (PROXY, ("2001:db8::7",), "2001:db8::7"),
        (PROXY, ("[2001:db8::7]",), "2001:db8::7"),
        (PROXY, ("[2001:db8::7]:4711",), "2001:db8::7"),
        (PROXY, ("::ffff:203.0.113.7",), "203.0.113.7"),
        (PROXY, ("\t203.0.113.7 ",), "203.0.113.7"),
        (PROXY, ("garbage, 203.0.113.7",), "203.0.113.7"),
        (PROXY, ("203.0.113.7, garbage",), None),
        (PROXY, ("203.0.113.7,",), None),
        (PROXY, ("",), None),
        (PROXY, ("unknown",), None),
        (PROXY, ("203.0.113.7, unknown, 10.2.2.2",), None),
        (PROXY, ("203.0.113.07",), None),
        (PROXY, ("203.0.113.7:99999999",), None),
        (PROXY, ("fe80::1%eth0",), None),
        (PROXY, ("٢٠٣.0.113.7",), None),
        (PROXY, ("203.0.113.7\x00",), None),
        (PROXY, (",".join(["10.1.1.1"] * 5_000),), "10.1.1.1"),
    ],
)
def test_the_address_is_the_right_most_that_no_trusted_proxy_has(
    peer: str, values: tuple[str, ...], expected: str | None
) -> None:
    """Whatever a client wrote to the left of what the trusted proxies appended decides nothing."""
    assert client(peer, *values) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ('For="203.0.113.7:4711";proto=https;by=10.0.0.1', "203.0.113.7"),
        ('proto=https;for="[2001:db8::7]:4711"', "2001:db8::7"),
        ("for=198.51.100.1, for=203.0.113.7;host=a", "203.0.113.7"),
        ('for=198.51.100.1, for="203.0.113.7" , for=10.9.9.9', "203.0.113.7"),
        ('for="a, for=198.51.100.1", for=203.0.113.7', "203.0.113.7"),
        ('for="203\\.0.113.7"', "203.0.113.7"),
        ("for=unknown", None),
        ("for=_hidden, for=10.9.9.9", None),
        ("proto=https", None),
        ("for=198.51.100.1;for=203.0.113.7", None),
        ('for=", for=203.0.113.7', None),
        ('for="198.51.100.1, for=203.0.113.7', None),
        ("for=2001:db8::7", None),
        ("for=203.0.113.7 garbage", None),
        ("for=203.0.113.7,", None),
        ("203.0.113.7", None),
        ("", None),
    ],
)
def test_the_standard_header_is_read_by_its_grammar(value: str, expected: str | None) -> None:
    """What RFC 7239 does not allow is no address, so that nobody can hide behind a quote."""
    assert client(PROXY, value, header="forwarded") == expected


def test_only_the_configured_header_counts() -> None:
    """A client cannot use the other header, which its proxy passes through untouched."""
    headers = [("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "203.0.113.7")]
    assert str(Proxies(TRUSTED).client(PROXY, headers)) == "203.0.113.7"
    assert str(Proxies(TRUSTED, "forwarded").client(PROXY, headers)) == "198.51.100.1"


@given(st.sampled_from(["x-forwarded-for", "forwarded"]), st.lists(st.text(max_size=40), max_size=4))
def test_no_prefix_changes_who_it_was(header: ForwardedHeader, sent: list[str]) -> None:
    """Whatever header lines a client sends, the line that the trusted proxy adds decides."""
    added = "203.0.113.7" if header == "x-forwarded-for" else "for=203.0.113.7"
    assert client(PROXY, *sent, added, header=header) == "203.0.113.7"


@given(st.text(max_size=200), st.sampled_from(["x-forwarded-for", "forwarded"]))
def test_any_value_gives_an_address_or_none(value: str, header: ForwardedHeader) -> None:
    """No value raises, and the values that tell no address tell none."""
    address = client(PROXY, value, header=header)
    assert address is None or str(ipaddress.ip_address(address)) == address


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("203.0.113.7/24", 'has bits beyond its prefix; write "203.0.113.0/24" for the network'),
        ("2001:db8::1/32", 'write "2001:db8::/32"'),
        ("example.com", "is neither an address nor a network"),
        ("203.0.113.0/33", "is neither an address nor a network"),
        ("", "is neither an address nor a network"),
    ],
)
def test_a_mistyped_network_is_a_sentence(text: str, sentence: str) -> None:
    """A network that is none is refused with what to write."""
    with pytest.raises(ValueError, match="write") as caught:
        parse_network(text)
    assert sentence in str(caught.value)


def test_a_network_holds_the_addresses_of_its_own_family() -> None:
    """Both families can be mixed; an unknown address is in no network."""
    networks = [parse_network("203.0.113.0/24"), parse_network("2001:db8::/32"), parse_network("198.51.100.4")]
    inside = ["203.0.113.255", "2001:db8:ffff::", "198.51.100.4", "::ffff:203.0.113.9"]
    outside = ["203.0.114.0", "2001:db9::", "198.51.100.5", "::1", "no address"]
    assert [includes(networks, parse_address(text)) for text in inside] == [True] * 4
    assert [includes(networks, parse_address(text)) for text in outside] == [False] * 5
