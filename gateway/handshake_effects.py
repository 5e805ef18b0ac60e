"""What a handshake changes besides its answer: the ration it takes, and the secret that the first one teaches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway import learned_secrets
from gateway.clock import Clock
from gateway.model import Learned, Reply
from gateway.ration import Ration
from gateway.rejections import HandshakeMalformed, HandshakesTooMany
from gateway.sources import Source
from gateway.telemetry.logs import Log

HANDSHAKES_PER_MINUTE = 60


class Effects:
    """Brings about what handshakes change, before they are answered. `on_learned` is told where a secret was kept."""

    def __init__(self, *, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._ration = Ration(HANDSHAKES_PER_MINUTE)
        self.on_learned: Callable[[str], None] = lambda _: None

    async def bring_about(self, source: Source, result: Reply | Learned) -> Reply:
        """Return the reply that may now be given; a secret that was learned is on disk by then.

        Raises HandshakesTooMany, HandshakeMalformed, HandshakeRefused or SecretMissing.
        """
        reply = result.reply if isinstance(result, Learned) else result
        if reply.rationed and not self._ration.take(source.name, self._clock.now()):
            raise HandshakesTooMany(f"more than {HANDSHAKES_PER_MINUTE} handshakes of this kind came within a minute")
        if isinstance(result, Learned):
            await self._keep(source, result)
        return reply

    async def _keep(self, source: Source, learned: Learned) -> None:
        try:
            source.with_secret(learned.secret)
        except ValueError as error:
            raise HandshakeMalformed(f"the handshake {learned.reply.kind} offers no usable secret: {error}") from error
        await asyncio.to_thread(learned_secrets.keep, Path(source.learned_at), learned.secret)
        self._log.secret_learned(source=source.name, path=source.learned_at)
        self.on_learned(source.learned_at)


def taught(sources: Mapping[str, Source], at: str, secret: str) -> dict[str, Source]:
    """Return the sources, with a secret for those that await it in the file `at`."""
    waiting = {name for name, source in sources.items() if source.awaits_secret and source.learned_at == at}
    return {name: source.with_secret(secret) if name in waiting else source for name, source in sources.items()}
