"""The URLs of sources: the one to register with the provider, and the one reached from this machine."""

from __future__ import annotations

from gateway.config import Config

_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound


def registered_url(config: Config, source: str, port: int | None = None) -> str:
    """Return the URL to register for a source; `port` is where the gateway really listens."""
    public = config.server.public_url.rstrip("/")
    return f"{public}/webhooks/{source}" if public else local_url(config, source, port)


def local_url(config: Config, source: str, port: int | None = None) -> str:
    """Return the URL of a source as seen from this machine."""
    host = _ANY_HOST.get(config.server.host, config.server.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port or config.server.port}/webhooks/{source}"
