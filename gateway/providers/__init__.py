"""The providers the gateway knows by name: those written in Python, and the catalogue's, which are data."""

from gateway.providers import catalogue, contentful, hmac, slack, stripe
from gateway.providers.contract import Facts, Provider

_WRITTEN = {module.PROVIDER.name: module.PROVIDER for module in (stripe, slack, contentful, hmac)}


def names() -> tuple[str, ...]:
    """Return the names of all providers, those written in Python first."""
    return (*_WRITTEN, *(name for name in catalogue.names() if name not in _WRITTEN))


def get(name: str) -> Provider:
    """Return the provider of this name. Raises KeyError where there is none, ConfigError for a malformed file."""
    return _WRITTEN.get(name) or catalogue.load(name)


__all__ = ["Facts", "Provider", "get", "names"]
