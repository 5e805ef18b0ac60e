"""The providers the gateway knows by name: those written in Python, and the catalogue's, which are data."""

from gateway.answers import Change
from gateway.locators import Content
from gateway.model import Reply, Request
from gateway.providers import catalogue, contentful, hmac, slack, stripe
from gateway.providers.contract import Facts, Provider, Retries
from gateway.scheme import Scheme
from gateway.signatures import Proof

_WRITTEN = {module.PROVIDER.name: module.PROVIDER for module in (stripe, slack, contentful, hmac)}


def names() -> tuple[str, ...]:
    """Return the names of all providers, those written in Python first."""
    return (*_WRITTEN, *(name for name in catalogue.names() if name not in _WRITTEN))


def get(name: str) -> Provider:
    """Return the provider of this name. Raises KeyError where there is none, ConfigError for a malformed file."""
    return _WRITTEN.get(name) or catalogue.load(name)


__all__ = [
    "Change",
    "Content",
    "Facts",
    "Proof",
    "Provider",
    "Reply",
    "Request",
    "Retries",
    "Scheme",
    "get",
    "names",
]
