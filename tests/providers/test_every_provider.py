"""One gateway with a source for every provider there is, and what each of them may and may not get past it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway import build, providers
from gateway.answers import Outcome
from gateway.app import Gateway
from gateway.config import Config, load
from gateway.dev import key_pairs
from gateway.dev.demo_secrets import demo_secret, key_pair_method
from gateway.dev.post import Answered, post
from gateway.dev.sign import SignedRequest, Spoil, signed_sample, signs_content, signs_time
from gateway.history import Query
from gateway.sources import Source
from gateway.stamp import Stamped
from gateway.transform import Runner
from tests.manual_clock import ManualClock

NAMES = [name for name in providers.names() if name != "hmac"]
PUBLIC_URL = "https://hooks.example.com"
HEAD = f'[server]\nport = 0\npublic_url = "{PUBLIC_URL}"\n[admin]\nport = 0\n[event_api]\nurl = "http://127.0.0.1:9"\n'


def signed_as_a_whole(name: str) -> bool:
    """Tell whether a provider's signature covers the body, by what its scheme says."""
    provider = providers.get(name)
    return bool(provider.check) or provider.schemes[0].covers_body


@dataclass
class Hall:
    """The gateway with all its sources; `private` are the private keys of those whose secret is a public key."""

    config: Config
    gateway: Gateway
    clock: ManualClock
    sources: dict[str, Source]
    private: dict[str, str]
    log: list[Any]
    runner: Runner

    def sample(self, name: str, spoil: Spoil = Spoil.NOTHING) -> SignedRequest:
        """Return a sample of a provider, spoiled or not; two of them differ in their ids alone."""
        return signed_sample(
            self.sources[name],
            self.config.sources[name],
            url=f"{PUBLIC_URL}/webhooks/{name}",
            now=self.clock.wall(),
            rng=random.Random(),
            spoil=spoil,
            private_key=self.private.get(name, ""),
        )

    async def inspect(self, source: Source, sample: SignedRequest) -> None:
        """Hold what was kept of a sample against what its provider says, and have it mapped."""
        [found] = await self.gateway.inbox.search(Query(source=source.name))
        history = await self.gateway.inbox.get(found.entry.key)
        assert history is not None
        delivery, provider = history.entry.delivery, source.provider
        assert delivery.type == (sample.type if source.type or provider.describe else "")
        assert delivery.id.startswith("sha256:") is not bool(source.id or source.schemes[0].id or provider.describe)
        assert (delivery.time is None) <= (not source.time and not provider.describe)
        [mapped] = await self.runner.run([(history.entry, source.mapper)])
        assert isinstance(mapped, Stamped), mapped
        assert mapped.events

    async def send(self, name: str, request: SignedRequest) -> tuple[Answered, str, str]:
        """Post a request; return the answer, and the outcome and the label that the log tells of it."""
        self.log.clear()
        url = f"http://127.0.0.1:{self.gateway.port}/webhooks/{name}"
        answered = await asyncio.to_thread(post, url, request)
        [line] = [line for line in self.log if line["event"] == "request"]
        return answered, line["outcome"], line.get("reason") or ""


def configuration(folder: Path) -> tuple[Config, dict[str, str]]:
    """Write a source for every provider, with fresh secrets; return it with the private keys."""
    environ, private, blocks = {"INNGEST_EVENT_KEY": "k"}, {}, [HEAD]
    for number, name in enumerate(NAMES):
        variable = f"SECRET_{number}"
        if method := key_pair_method(name):
            private[name], environ[variable] = key_pairs.generate(method)
        else:
            environ[variable] = demo_secret(name)
        blocks.append(f'[sources.{name}]\nprovider = "{name}"\nsecrets = ["${{{variable}}}"]')
        if params := providers.get(name).params:
            blocks.append(f"[sources.{name}.params]")
            blocks += [f"{param} = {json.dumps(f'param-{number}')}" for param in params]
    path = folder / "gateway.toml"
    path.write_text("\n".join(blocks))
    return load(path, environ), private


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hall(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hall]:
    """Give one gateway to all tests of this module."""
    config, private = configuration(tmp_path_factory.mktemp("every"))
    clock = ManualClock()
    with capture_logs() as log:
        gateway = Gateway(config, clock=clock)
        await gateway.start()
        runner = Runner()
        try:
            yield Hall(config, gateway, clock, build.sources(config), private, log, runner)
        finally:
            await runner.close()
            await gateway.stop()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
async def test_a_provider(hall: Hall, name: str) -> None:
    """What it signs is taken once, and known when it comes again; whatever is spoiled is refused for what it is."""
    source, sample = hall.sources[name], hall.sample(name)
    answered, outcome, label = await hall.send(name, sample)
    assert (outcome, label) == ("accepted", "")
    expected = source.answers[Outcome.ACCEPTED]
    assert (answered.status, expected.body in {None, answered.body.encode()}) == (expected.status, True)
    await hall.inspect(source, sample)
    hall.clock.advance(1)
    _, outcome, _ = await hall.send(name, sample)
    assert outcome == ("accepted" if cannot_be_known_again(source) else "duplicate")
    for spoil, reason in refusals(source).items():
        answered, outcome, label = await hall.send(name, hall.sample(name, spoil))
        status = source.answers[Outcome.UNVERIFIED].status
        assert (spoil, answered.status, outcome, label) == (spoil, status, "rejected", reason)


def cannot_be_known_again(source: Source) -> bool:
    """Tell whether a source's equal requests are different facts and carry neither an id nor a signed time."""
    return source.equal_bodies == "distinct" and not source.id and not any(one.timestamp for one in source.schemes)


def refusals(source: Source) -> dict[Spoil, str]:
    """Return what is to be refused of a source, by what its scheme covers, and the reason for which it is."""
    reasons = {Spoil.UNSIGNED: "signature_missing", Spoil.WRONG_SECRET: "signature_mismatch"}
    if signs_content(source):
        body_is_required = any("{body" in side for pair in source.schemes[0].require for side in pair)
        reasons[Spoil.TAMPERED] = "requirement_unmet" if body_is_required else "signature_mismatch"
    if signs_time(source):
        reasons[Spoil.STALE] = "timestamp_stale"
    return reasons


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", [name for name in NAMES if not signed_as_a_whole(name)])
async def test_a_body_that_is_not_signed(hall: Hall, name: str) -> None:
    """Where the signature leaves parts of the body out, what is added there is taken: that is what is promised."""
    sample = hall.sample(name)
    _, outcome, label = await hall.send(name, replace(sample, body=with_more(sample.body)))
    signs_every_field = any(place.kind.startswith("form_") for place in hall.sources[name].schemes[0].placeholders())
    expected = ("rejected", "signature_mismatch") if signs_every_field else ("accepted", "")
    assert (outcome, label) == expected


def with_more(body: bytes) -> bytes:
    """Return JSON with blanks at its end, or a form with a field more."""
    return body + (b"  " if body.startswith((b"{", b"[")) else b"&added=1")
