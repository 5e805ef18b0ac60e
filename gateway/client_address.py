"""Who sent a request: the peer's address, or what trusted proxies say of the one before them. Pure.

Facts: any client can send `X-Forwarded-For` or `Forwarded` with whatever it likes, and a proxy appends to it. So only
what a trusted proxy wrote counts: read from the right, each address vouched for by a trusted one to its right.
https://www.rfc-editor.org/rfc/rfc7239
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ForwardedHeader = Literal["x-forwarded-for", "forwarded"]

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a grammar, not a secret
_PAIR = re.compile(rf'[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")[ \t]*')
_NODE = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)")


def parse_network(text: str) -> Network:
    """Return the network that `text` writes, or that of one address. Raises ValueError, with a sentence."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        pass
    else:
        return network
    try:
        wider = ipaddress.ip_interface(text).network
    except ValueError:
        raise ValueError(
            f'{text!r} is neither an address nor a network; write one such as "203.0.113.7" or "2001:db8::/32"'
        ) from None
    raise ValueError(f'{text!r} has bits beyond its prefix; write "{wider}" for the network, or the address alone')


def parse_address(text: str) -> Address | None:
    """Return the address that `text` writes, IPv4 where it is IPv4 mapped into IPv6; None where it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_loopback(host: str) -> bool:
    """Tell whether a host, an address or a name, is one that only programs of this machine can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def includes(networks: Iterable[Network], address: Address | None) -> bool:
    """Tell whether one of the networks holds the address; an unknown address is in none."""
    return address is not None and any(address in network for network in networks)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies whose word is taken about who connected to them, and the header they write it into."""

    trusted: tuple[Network, ...] = ()
    header: ForwardedHeader = "x-forwarded-for"

    def client(self, peer: str, headers: Sequence[tuple[str, str]]) -> Address | None:
        """Return the client's address, or None where nobody trusted tells it.

        It is the peer's unless that is a trusted proxy; then the right-most address in the header that is not one.
        `headers` are all of the request, in order, with lower-case names.
        """
        address = parse_address(peer)
        if not includes(self.trusted, address):
            return address
        told = [value for name, value in headers if name == self.header]
        for text in reversed([*self._nodes(told)]):
            address = _node(text)
            if not includes(self.trusted, address):
                break
        return address

    def _nodes(self, values: Sequence[str]) -> Iterator[str]:
        """Yield what stands for an address in the header, from left to right; what cannot be read is no address."""
        for value in values:
            yield from value.split(",") if self.header == "x-forwarded-for" else _forwarded(value)


def _node(text: str) -> Address | None:
    """Read an address as proxies write it: with or without brackets and port."""
    found = _NODE.fullmatch(text.strip(" \t"))
    return parse_address(found[1] or found[2] or found[3]) if found else None


def _forwarded(value: str) -> Iterator[str]:
    """Yield the `for` of each element of a Forwarded header, empty where it has none, or has several."""
    position, names, node = 0, list[str](), ""
    while pair := _PAIR.match(value, position):
        names.append(pair[1].lower())
        if names[-1] == "for":
            node = pair[2] or re.sub(r"\\(.)", r"\1", pair[3] or "")
        end = value[pair.end() : pair.end() + 1]
        if end != ";":
            yield node if names.count("for") == 1 else ""
            names, node = [], ""
        if not end:
            return
        if end not in ",;":
            break
        position = pair.end() + 1
    yield ""
