"""Sources: a provider with its secrets, limits and transform. Pure; `gateway.build` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from gateway import answers
from gateway.admission import OPEN, Admission
from gateway.answers import Answers
from gateway.dedupe import Digest, EqualBodies, compile_digest
from gateway.handshake_answers import Means
from gateway.handshakes import Handshake
from gateway.locators import Locator, Read, compile_first
from gateway.providers import Provider
from gateway.scheme import Scheme
from gateway.signatures import Check, compile_check
from gateway.stamp import Mapper


@dataclass(frozen=True)
class Source:
    """One configured inlet; its URL path is `/webhooks/<name>`.

    `keys` has one tuple of keys per scheme, in the order of `secrets`; `labels` and `not_after` (unix milliseconds,
    None for no end) belong to `secrets` one by one. `checks` has the compiled check of each scheme that there is a key
    for and `digests` its digest; a provider that checks by itself has one digest and no check. `params` are the
    operator's constants in the schemes. Without `verified` every request is taken; without `enforced` one that fails
    is kept too, and marked. Without `dedupe_window_ms` re-sends are absorbed for as long as the inbox's own window
    lasts. `learned_at` is the file that keeps the secret which the first handshake gives; until then there is none.
    `public_url` is the whole URL as registered, where it is not the path below the gateway's. With `trust_traceparent`
    the trace that a sender names is linked to.
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
    labels: tuple[str, ...] = ()
    not_after: tuple[int | None, ...] = ()
    enforced: bool = True
    admission: Admission = OPEN
    trust_traceparent: bool = False
    public_url: str = field(default="", repr=False)
    _live: dict[tuple[int, ...], Source] = field(default_factory=dict, init=False, repr=False, compare=False)
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
        """The path of the URL that is registered with the provider, without its path token."""
        return f"/webhooks/{self.name}"

    @property
    def called_path(self) -> str:
        """The whole path that requests come to, with the path token, which nothing shows."""
        token = self.admission.path_token
        return f"{self.path}/{token}" if token else self.path

    @cached_property
    def read_type(self) -> Read:
        """Reads the event type of a verified request, and so on."""
        return compile_first(self.type)

    @cached_property
    def read_time(self) -> Read:
        """Reads the time of the fact."""
        return compile_first(self.time)

    @cached_property
    def read_version(self) -> Read:
        """Reads the version of the provider's schema."""
        return compile_first(self.version)

    @cached_property
    def rotates(self) -> bool:
        """Whether there are several secrets, so that it matters which one a sender uses."""
        return len(self.labels) > 1

    def label(self, secret: int | None) -> str | None:
        """Return what people call the secret of an index."""
        return self.labels[secret] if secret is not None and secret < len(self.labels) else None

    def expired(self, now: int) -> tuple[int, ...]:
        """Return the indexes of the secrets that match no more at a time (unix milliseconds)."""
        return tuple(index for index, end in enumerate(self.not_after) if end is not None and now > end)

    @cached_property
    def _ends(self) -> bool:
        """Whether any secret has an end."""
        return bool(self.secrets) and any(self.not_after)

    def at(self, now: int) -> Source:
        """Return the source with the secrets that match at a time (unix milliseconds); itself where all do."""
        gone = self.expired(now) if self._ends else ()
        if not gone:
            return self
        if gone not in self._live:
            self._live[gone] = self._without(gone)
        return self._live[gone]

    def _without(self, gone: tuple[int, ...]) -> Source:
        kept = [index for index in range(len(self.secrets)) if index not in gone]
        return replace(
            self,
            secrets=tuple(self.secrets[index] for index in kept),
            keys=tuple(tuple(keys[index] for index in kept) for keys in self.keys),
            labels=tuple(self.labels[index] for index in kept),
            not_after=(),
        )

    @cached_property
    def secret_headers(self) -> frozenset[str]:
        """Headers that hold credentials or signatures, which are not kept with a delivery."""
        carriers = {name for scheme in self.schemes for name in scheme.headers}
        carriers |= {item.token.removeprefix("header:").lower() for item in self.handshakes if item.learn}
        return frozenset({"authorization", "proxy-authorization", "cookie", *self.provider.secret_headers, *carriers})

    @cached_property
    def secret_params(self) -> frozenset[str]:
        """Query parameters that hold the secret itself, which are not kept with a delivery."""
        places = (scheme.at.partition(":") for scheme in self.schemes if scheme.method == "token")
        return frozenset(name for kind, _, name in places if kind == "query")

    @cached_property
    def methods(self) -> frozenset[str]:
        """The HTTP methods that the source takes: POST, and those of its handshakes."""
        return frozenset({"POST", *(handshake.method for handshake in self.handshakes)})

    @cached_property
    def awaits_secret(self) -> bool:
        """Whether nothing can be verified before the first handshake gives the secret."""
        return self.verified and bool(self.learned_at) and not self.secrets

    @cached_property
    def means(self) -> Means:
        """What handshakes are answered with."""
        keys = self.keys[0] if self.keys else ()
        return Means(self.handshakes, keys, self.secrets, self.params, learns=self.awaits_secret)

    def with_secret(self, secret: str) -> Self:
        """Return the source with the secret that a handshake gave. Raises ValueError when it cannot be one."""
        keys = tuple((scheme.decode_key(secret),) for scheme in self.schemes)
        return replace(self, secrets=(secret,), keys=keys)
