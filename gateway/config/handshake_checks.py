"""What a configuration must give so that handshakes can be answered and secrets learned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.config.faults import Fault
from gateway.config.models import Config
from gateway.config.source import SourceConfig
from gateway.handshakes import Handshake
from gateway.providers import Provider


def handshakes_of(source: SourceConfig, provider: Provider) -> tuple[Handshake, ...]:
    """Return the handshakes of a source: its own where it has some, else its provider's."""
    return tuple(table.handshake() for table in source.handshake) or provider.handshakes


def check_handshakes(name: str, source: SourceConfig, provider: Provider, public_url: str) -> Iterator[Fault]:
    """Find what the answers of a source's handshakes lack."""
    at = ("sources", name)
    handshakes = handshakes_of(source, provider)
    needed = {param for handshake in handshakes for param in handshake.params}
    for param in sorted(needed - {key for key, value in source.params.items() if value}):
        where = f" ({provider.params[param]})" if param in provider.params else ""
        sentence = f"is missing, and the sender's handshake needs it{where}; add it to [sources.{name}.params]"
        yield Fault((*at, "params", param), sentence, ((*at, "params"),))
    if not public_url and (kinds := [handshake.kind for handshake in handshakes if handshake.needs_url]):
        sentence = f"is missing, and the handshake {kinds[0]} of source {name} is answered with it; add it to [server]"
        yield Fault(("server", "public_url"), sentence)
    if source.verify == "none" and (kinds := [handshake.kind for handshake in handshakes if _uses_secret(handshake)]):
        sentence = f"leaves out the secret with which the handshake {kinds[0]} is answered; give secrets instead"
        yield Fault((*at, "verify"), sentence, ((*at, "secrets"),))
    schemes = tuple(table.scheme() for table in source.signature) or provider.schemes
    if schemes and schemes[0].asymmetric and (kinds := [item.kind for item in handshakes if _uses_secret(item)]):
        sentence = f"has a mac in the handshake {kinds[0]}, and this sender's secret is a public key; remove that mac"
        yield Fault((*at, "handshake"), sentence, ((*at, "signature"),))
    learned = [index for index, secret in enumerate(source.secrets) if secret.learned_at]
    if learned and not any(handshake.learn for handshake in handshakes):
        sentence = 'is never learned, as this sender gives no secret in a handshake; write "${NAME}" or "file:<path>"'
        yield Fault((*at, "secrets", learned[0]), sentence)
    if learned and len(source.secrets) > 1:
        sentence = "is one of several, and a learned secret stands alone; remove the others"
        yield Fault((*at, "secrets", learned[0]), sentence)


def check_learned(config: Config) -> Iterator[Fault]:
    """Find files that would keep the secrets of two sources."""
    first: dict[Path, str] = {}
    for name, source in config.sources.items():
        for index, secret in enumerate(source.secrets):
            if secret.learned_at and first.setdefault(secret.learned_at, name) != name:
                sentence = f"is the file of source {first[secret.learned_at]} too; give each its own"
                yield Fault(("sources", name, "secrets", index), sentence)


def _uses_secret(handshake: Handshake) -> bool:
    return bool(handshake.mac and handshake.mac.method == "hmac")
