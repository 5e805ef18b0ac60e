"""Who may ask the admin listener for more than its health: programs of this machine, or whoever has the token."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from gateway import admin_token
from gateway.admin.refusals import AdminCallerRefused, AdminTokenRefused
from gateway.client_address import is_loopback

BROWSER_HEADERS = ("Origin", "Sec-Fetch-Site")
SCHEME = "bearer"


@dataclass(slots=True)
class Access:
    """The rule of a listener bound to `host`, whose token has the digest `token_hash`, empty where there is none.

    `token_hash` may be replaced at any time. A listener that has one asks for the token on a loopback address too.

    A page in a browser of this machine can reach a loopback address too, by a name that was rebound to it; so nothing
    that a browser sends is answered, and on a loopback address no Host but that of this machine.
    https://github.com/taviso/rbndr
    """

    host: str
    token_hash: str = ""

    def require(self, http: web.Request) -> None:
        """Raise AdminCallerRefused for whoever may never ask, AdminTokenRefused for whoever must show the token."""
        if any(name in http.headers for name in BROWSER_HEADERS):
            raise AdminCallerRefused("this is not for browsers; use the gateway command or another program")
        local = is_loopback(self.host)
        if local and not is_loopback(_host_name(http)):
            raise AdminCallerRefused(
                "the Host header does not name this machine; ask for 127.0.0.1, [::1] or localhost"
            )
        if not local and not self.token_hash:
            raise AdminCallerRefused(
                f"without admin.token_hash only health is told on {self.host}; make one with `gateway admin-token`, or "
                "set admin.host to 127.0.0.1"
            )
        if self.token_hash and not admin_token.matches(self.token_hash, _shown(http)):
            raise AdminTokenRefused(
                "the admin token is missing or another; send it as Authorization: Bearer <token>. The gateway command "
                "takes it from $GATEWAY_ADMIN_TOKEN, or from the file that $GATEWAY_ADMIN_TOKEN_FILE names"
            )


def _shown(http: web.Request) -> str:
    scheme, _, shown = http.headers.get("Authorization", "").partition(" ")
    return shown.strip() if scheme.lower() == SCHEME else ""


def _host_name(http: web.Request) -> str:
    try:
        return urlsplit(f"//{http.host}").hostname or ""
    except ValueError:
        return ""
