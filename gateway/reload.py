"""Take a changed configuration and changed transforms while the gateway serves: all of it, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway import user_code
from gateway.config import Config
from gateway.errors import ConfigError, TransformError
from gateway.telemetry.logs import Log
from gateway.telemetry.metrics import Metrics


class Reloadable(Protocol):
    """What takes a configuration: a gateway."""

    log: Log
    metrics: Metrics

    async def reload(self, config: Config) -> None:
        """Take a configuration, or raise and stay as it is."""


class Reloader:
    """Reloads a gateway, once at a time."""

    def __init__(self, gateway: Reloadable, load: Callable[[], Config]) -> None:
        self._gateway = gateway
        self._load = load
        self._turn = asyncio.Lock()

    async def reload(self) -> bool:
        """Read the configuration again and import what changed; tell whether it is in use.

        Where anything is wrong with it the old one stays, with the very functions it had, and the log says why.
        Entries under way are finished by the functions they began with.
        """
        async with self._turn:
            try:
                with user_code.renewed() as changed:
                    # In a thread, as imports may take long, and requests are to be answered meanwhile.
                    await self._gateway.reload(await asyncio.to_thread(self._load))
            except (ConfigError, TransformError) as error:
                faults = error.faults if isinstance(error, ConfigError) else [str(error)]
                self._gateway.log.reload_refused(faults=faults)
                self._gateway.metrics.reloaded(taken=False)
                return False
            if changed:
                self._gateway.log.transforms_renewed(files=changed)
            return True
