"""Sources: a provider with its secrets, limits and transform. Pure; `gateway.build` makes them."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.locators import Locator
from gateway.providers import Provider
from gateway.scheme import Scheme
from gateway.stamp import Mapper


@dataclass(frozen=True, slots=True)
class Source:
    """One configured inlet; its URL path is `/webhooks/<name>`.

    `keys` has one tuple of HMAC keys per scheme, in the order of `secrets`. Without `verified` every request is taken.
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

    @property
    def path(self) -> str:
        """The path of the URL that is registered with the provider."""
        return f"/webhooks/{self.name}"

    @property
    def secret_headers(self) -> frozenset[str]:
        """Headers that hold credentials or signatures, which are not kept with a delivery."""
        carriers = {name for scheme in self.schemes for name in scheme.headers}
        return frozenset({"authorization", "proxy-authorization", "cookie", *self.provider.secret_headers, *carriers})
