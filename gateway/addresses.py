"""The URLs of sources: the one to register with the provider, and the one reached from this machine."""

from __future__ import annotations

from gateway import build
from gateway.config import Config

HIDDEN_TOKEN = "<path_token>"  # noqa: S105 - stands for one

_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound


def registered_url(config: Config, source: str, port: int | None = None, *, reveal: bool = False) -> str:
    """Return the URL to register for a source; `port` is where the gateway really listens.

    Its path token is shown only where `reveal` asks for it: who knows it can find the source.
    """
    table = config.sources[source]
    token = table.path_token.reveal() if table.path_token and reveal else HIDDEN_TOKEN if table.path_token else ""
    if table.public_url:
        return build.public_url(table, token)
    public = config.server.public_url.rstrip("/")
    return f"{public or local_origin(config, port)}/webhooks/{source}" + (f"/{token}" if token else "")


def local_url(config: Config, source: str, port: int | None = None) -> str:
    """Return the URL of a source as seen from this machine, with its path token, to be called and not to be shown."""
    token = config.sources[source].path_token
    return f"{local_origin(config, port)}/webhooks/{source}" + (f"/{token.reveal()}" if token else "")


def local_host(host: str) -> str:
    """Return the address at which this machine reaches a listener that is bound to `host`."""
    return _ANY_HOST.get(host, host)


def local_origin(config: Config, port: int | None) -> str:
    """Return the beginning of every URL as seen from this machine."""
    host = local_host(config.server.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port or config.server.port}"
