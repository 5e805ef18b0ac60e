"""How a source of a provider is configured: the table to copy, and the variables that it needs. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.providers.contract import Provider
from gateway.scheme import Scheme


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable to set, and where its value is found."""

    name: str
    found_at: str


@dataclass(frozen=True, slots=True)
class Setup:
    """A source's tables for gateway.toml, and the variables that they refer to."""

    toml: str
    variables: tuple[Variable, ...]
    needs_public_url: bool


def setup(provider: Provider, source: str) -> Setup:
    """Return how a source of this name is configured."""
    stem = source.upper().replace("-", "_")
    secret = Variable(f"{stem}_{_secret_word(provider)}", provider.secret_at)
    learned = any(handshake.learn for handshake in provider.handshakes)
    reference = f"learned:{source}.secret" if learned else f"${{{secret.name}}}"
    lines = [f"[sources.{source}]", f'provider = "{provider.name}"', f'secrets = ["{reference}"]']
    if provider.name == "hmac":
        lines += ["", f"[sources.{source}.signature]", 'header = "X-Signature"']
    params = [(name, Variable(f"{stem}_{name.upper()}", where)) for name, where in provider.params.items()]
    if params:
        lines += ["", f"[sources.{source}.params]"]
        lines += [f'{name} = "${{{variable.name}}}"' for name, variable in params]
    return Setup(
        toml="\n".join(lines) + "\n",
        variables=(*(() if learned else (secret,)), *(variable for _, variable in params)),
        needs_public_url=needs_public_url(provider),
    )


def needs_public_url(provider: Provider) -> bool:
    """Tell whether `public_url` must be set, as the URL is signed or part of an answer."""
    signed = any(scheme.signs_url for scheme in provider.schemes)
    return signed or any(handshake.needs_url for handshake in provider.handshakes)


def _secret_word(provider: Provider) -> str:
    scheme = provider.schemes[0] if provider.schemes else Scheme(header="X-Signature")
    if scheme.asymmetric:
        return "PUBLIC_KEY"
    return "USER_AND_PASSWORD" if scheme.method == "basic" else "WEBHOOK_SECRET"
