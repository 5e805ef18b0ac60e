"""Who may speak to a source at all, which is decided before anything of a request's body is read. Pure."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from gateway.client_address import Address, Network, includes


@dataclass(frozen=True, slots=True)
class Admission:
    """What a source asks of a request besides its signature.

    `path_token` is the unguessable last part of its URL, empty for a URL without one. `allow` are the networks that may
    send, all of them where it is empty.
    """

    path_token: str = field(default="", repr=False)
    allow: tuple[Network, ...] = ()

    def knows(self, token: str) -> bool:
        """Tell, in a time that depends on no part of it, whether this is the URL's last part."""
        if not self.path_token and not token:
            return True
        return hmac.compare_digest(self.path_token.encode(), token.encode("utf-8", "surrogateescape"))

    def admits(self, address: Address | None) -> bool:
        """Tell whether whoever has this address may send; where some may not, an unknown address may not either."""
        return not self.allow or includes(self.allow, address)


OPEN = Admission()
"""Takes requests of anyone who knows the source's name."""
