"""Find providers by parts of their names and titles. Pure."""

from __future__ import annotations

from gateway import providers
from gateway.providers.contract import Provider


def search(text: str) -> list[Provider]:
    """Return the providers whose name or title holds every word of a text, the closest first; all for no text."""
    words = text.casefold().split()
    known = [providers.get(name) for name in providers.names()]
    found = [provider for provider in known if all(word in _searched(provider) for word in words)]
    return sorted(found, key=lambda provider: (_distance(provider, words), provider.name)) if words else found


def _searched(provider: Provider) -> str:
    return f"{provider.name} {provider.title}".casefold()


def _distance(provider: Provider, words: list[str]) -> int:
    """Return 0 for the name itself, 1 for its beginning, 2 for a word of the title, 3 for anything else."""
    whole = "-".join(words)
    if provider.name == whole:
        return 0
    if provider.name.startswith(whole):
        return 1
    return 2 if set(words) <= set(provider.title.casefold().split()) else 3
