"""What a configuration must give so that a source knows its URL, its secrets by name, and who may send."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.faults import Fault, Location
from gateway.config.source import SourceConfig
from gateway.providers import Provider


def check_public_url(name: str, source: SourceConfig, provider: Provider, public_url: str) -> Iterator[Fault]:
    """Find a source whose signature is over a URL that nobody configured; it is never guessed from a request."""
    at = ("sources", name, "public_url")
    schemes = tuple(table.scheme() for table in source.signature) or provider.schemes
    signed = source.verify == "signature" and any(scheme.signs_url for scheme in schemes)
    if signed and not (source.public_url or public_url):
        yield Fault(
            ("server", "public_url"),
            f"is missing, and the signature of source {name} is over the URL that the sender calls; set it to the "
            "beginning of that URL, such as https://hooks.example.com",
            (("server", "public_url"), ("sources", name)),
        )
    token = source.path_token.reveal() if source.path_token else ""
    if token and token in source.public_url:
        yield Fault(at, "holds the path token, which is put at its end; leave it out", (at, (*at[:2], "path_token")))


def check_secret_entries(name: str, source: SourceConfig) -> Iterator[Fault]:
    """Find labels that would tell two secrets by one name, and ends of secrets that have none."""
    first: dict[str, int] = {}
    for index, secret in enumerate(source.secrets):
        at: Location = ("sources", name, "secrets", index)
        if first.setdefault(secret.label, index) != index:
            yield Fault(
                at,
                f"has the label {secret.label}, as has secrets[{first[secret.label]}]; give each its own: "
                '{ value = "...", label = "..." }',
            )
        if secret.learned_at and secret.not_after is not None:
            yield Fault(at, "is learned and has a not_after, after which nobody could give another; remove not_after")


def check_enforcement(name: str, source: SourceConfig) -> Iterator[Fault]:
    """Find a source that would keep what fails a verification it does not make."""
    if not source.enforce and source.verify == "none":
        at, verify = ("sources", name, "enforce"), ("sources", name, "verify")
        yield Fault(at, 'is false, and verify = "none" checks nothing anyway; remove one of the two', (at, verify))
