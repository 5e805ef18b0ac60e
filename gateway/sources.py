"""Sources: a provider with its secrets, limits and transform. Pure; `gateway.build` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from gateway import answers
from gateway.answers import Answers
from gateway.dedupe import Digest, EqualBodies, compile_digest
from gateway.handshake_answers import Means
from gateway.handshakes import Handshake
from gateway.locators import Locator
from gateway.providers import Provider
from gateway.scheme import Scheme
from gateway.signatures import Check, compile_check
from gateway.stamp import Mapper


@dataclass(frozen=True, slots=True)
class Source:
    """One configured inlet; its URL path is `/webhooks/<name>`.

    `keys` has one tuple of keys per scheme, in the order of `secrets`. `checks` has the compiled check of each scheme
    that there is a key for and `digests` its digest; a provider that checks by itself has one digest and no check.
    `params` are the operator's constants in the schemes. Without `verified` every request is taken, and without
    `dedupe_window_ms` re-sends are absorbed for as long as the inbox's own window lasts. `learned_at` is the file that
    keeps the secret which the first handshake gives; until then there is none.
    """

    name: str
    provider: Provider
    mapper: Mapper
    body_limit: int
    schemes: tuple[Scheme, ...] = ()
    verified: bool = True
    secrets: tuple[str, ...] = field(default=(), repr=False)
    keys: tuple[tuple[bytes, ...], ...] = field(default=(), repr=False)
    id: tuple[Locator, ...] = ()
    type: tuple[Locator, ...] = ()
    time: tuple[Locator, ...] = ()
    version: tuple[Locator, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    handshakes: tuple[Handshake, ...] = ()
    learned_at: str = ""
    answers: Answers = field(default_factory=answers.make)
    dedupe_window_ms: int | None = None
    equal_bodies: EqualBodies = "same"
    checks: tuple[Check, ...] = field(init=False, repr=False, compare=False)
    digests: tuple[Digest, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        usable = self._usable() if self.verified and not self.provider.check else []
        schemes = [scheme for scheme, _ in usable] or (self.schemes[:1] if self.provider.check else ())
        checks = [compile_check(scheme, keys, self.params, self.body_limit) for scheme, keys in usable]
        put(self, "checks", tuple(checks))
        put(self, "digests", tuple(compile_digest(scheme, self.equal_bodies) for scheme in schemes))

    def _usable(self) -> list[tuple[Scheme, tuple[bytes, ...]]]:
        """Return every scheme that there is a key for; without any the first, which then refuses all."""
        pairs = list(zip(self.schemes, self.keys, strict=True))
        return [pair for pair in pairs if any(pair[1])] or pairs[:1]

    @property
    def path(self) -> str:
        """The path of the URL that is registered with the provider."""
        return f"/webhooks/{self.name}"

    @property
    def secret_headers(self) -> frozenset[str]:
        """Headers that hold credentials or signatures, which are not kept with a delivery."""
        carriers = {name for scheme in self.schemes for name in scheme.headers}
        carriers |= {item.token.removeprefix("header:").lower() for item in self.handshakes if item.learn}
        return frozenset({"authorization", "proxy-authorization", "cookie", *self.provider.secret_headers, *carriers})

    @property
    def methods(self) -> frozenset[str]:
        """The HTTP methods that the source takes: POST, and those of its handshakes."""
        return frozenset({"POST", *(handshake.method for handshake in self.handshakes)})

    @property
    def awaits_secret(self) -> bool:
        """Whether nothing can be verified before the first handshake gives the secret."""
        return self.verified and bool(self.learned_at) and not self.secrets

    @property
    def means(self) -> Means:
        """What handshakes are answered with."""
        keys = self.keys[0] if self.keys else ()
        return Means(self.handshakes, keys, self.secrets, self.params, learns=self.awaits_secret)

    def with_secret(self, secret: str) -> Self:
        """Return the source with the secret that a handshake gave. Raises ValueError when it cannot be one."""
        keys = tuple((scheme.decode_key(secret),) for scheme in self.schemes)
        return replace(self, secrets=(secret,), keys=keys)
