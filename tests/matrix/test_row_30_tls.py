"""Row 30: an event API whose TLS is not right is an outage, and nothing is ever sent in the clear."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from yarl import URL

from gateway.model import State
from tests.bench import KEY, Bench, running_bench
from tests.chaos import ChaosProxy

LONG_AGO = datetime.now(UTC) - timedelta(days=30)


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Give an authority that the client trusts, and trusts alone."""
    made = trustme.CA()
    trusting = ssl.create_default_context()
    made.configure_trust(trusting)
    # aiohttp makes its context when it is imported, before any test could name an authority.
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    return made


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a bench that stands still, for the test to say where it sends to."""
    async with running_bench(tmp_path) as made:
        await made.stop()
        made.timeout_seconds = 0.4
        yield made


def context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return what a server with this certificate listens with."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    return made


@pytest.mark.parametrize("fault", ["expired", "for another host", "of an unknown authority"])
async def test_wrong_certificate(bench: Bench, authority: trustme.CA, fault: str) -> None:
    """With a certificate that is not right nothing is sent and nothing dies; with the right one all arrives once."""
    wrong = {
        "expired": authority.issue_cert("127.0.0.1", not_before=LONG_AGO, not_after=LONG_AGO + timedelta(days=1)),
        "for another host": authority.issue_cert("events.example.com"),
        "of an unknown authority": trustme.CA().issue_cert("127.0.0.1"),
    }[fault]
    proxy = ChaosProxy(URL(bench.event_api.url).port or 0)
    await proxy.start(context(wrong))
    bench.url = f"https://127.0.0.1:{proxy.port}"
    await bench.start()
    await bench.put("d1", "d2")
    await bench.reach(pending=2)
    for _ in range(10):
        bench.clock.advance(300_000)
        await asyncio.sleep(0.02)
    assert {attempt.outcome for attempt in (await bench.history("d1")).attempts} == {"unreachable"}
    assert set((await bench.states()).values()) <= {State.PENDING, State.LEASED}
    assert (proxy.seen.total(), bench.event_api.requests) == (0, [])
    await proxy.stop()
    await proxy.start(context(authority.issue_cert("127.0.0.1")))
    bench.clock.advance(300_000)
    await bench.reach(forwarded=2)
    assert set(bench.arrivals().values()) == {1}
    await proxy.stop()


async def test_handshake_that_stalls(bench: Bench, authority: trustme.CA) -> None:
    """A server that never shakes hands costs a timeout, and gets neither key nor event nor anything in the clear."""
    received = bytearray()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            received.extend(piece)
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    bench.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await bench.start()
    await bench.put("d1")
    history = await bench.attempted("d1")
    assert history.attempts[0].outcome in {"unreachable", "interrupted"}  # whichever of two equal timeouts comes first
    assert received[:1] == b"\x16"
    assert KEY.encode() not in received
    server.close()
    await server.wait_closed()
