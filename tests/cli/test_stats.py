"""`gateway stats`: one view, for people and programs, with and without a gateway, once or renewed."""

import asyncio

from gateway.cli import stats
from tests.cli.child import watched_on_a_terminal
from tests.cli.conftest import Beside


async def test_once(beside: Beside) -> None:
    """Rates, percentiles and backlog are told as text and as JSON, the same without a gateway but for forwarding."""
    await beside.send("stripe")
    await beside.send("slack")
    await beside.world.settled(2)
    told = (await beside("stats", "--json", "--seconds", "600")).json
    assert sorted(told["by_source"]) == ["slack", "stripe"]
    assert told["forwarding"]["state"] == "healthy"
    lines = (await beside("stats", "--once")).out.splitlines()
    assert lines[0].endswith("the last 60 seconds")
    assert "forwarding   healthy" in lines
    assert "backlog      nothing waits" in lines
    assert [line.split()[0] for line in lines[-2:]] == ["slack", "stripe"]
    await beside.world.stop()
    alone = (await beside("stats", "--json", "--seconds", "600")).json
    assert alone == {**told, "at": alone["at"], "forwarding": None}
    assert "no gateway here serves the inbox" in (await beside("stats", "--once")).out


async def test_a_view_that_is_renewed(beside: Beside) -> None:
    """On a terminal the view is drawn anew each second until Ctrl-C."""
    await beside.send("stripe")
    text = await asyncio.to_thread(watched_on_a_terminal, "stats", until=b"Ctrl-C ends this", times=2)
    assert text.count("forwarding   healthy") >= 2


def test_a_view_of_trouble() -> None:
    """A backlog is told with its age, and a pause with its reason."""
    shown = [
        *stats.lines(
            {
                "at": 1_800_000_000_000,
                "window_seconds": 12.5,
                "received_per_second": 1234.5,
                "settled_per_second": {"forwarded": 10, "dead": 0.25},
                "by_source": {"stripe": 1234.5},
                "end_to_end_ms": {"p50": 12, "p90": 100, "p99": 2000.5, "max": 60_000},
                "attempt_ms": None,
                "backlog": {"a-source-with-a-long-name": {"waiting": 12_345, "oldest_at": 1_799_999_000_000}},
                "forwarding": {"state": "paused", "reason": "wrong key", "resume_at": 1_800_000_001_000},
            }
        )
    ]
    assert shown == [
        "2027-01-15 08:00:00Z, the last 12 seconds",
        "",
        "forwarding   paused: wrong key",
        "received     1,234 a second",
        "settled      10 forwarded, 0.25 dead a second",
        "backlog      12,345 waiting, the oldest for 16 minutes",
        "",
        "ms                    p50         p90         p99         max",
        "end to end             12         100       2,000      60,000",
        "attempt                 -           -           -           -",
        "",
        "source                         received     waiting      oldest",
        "a-source-with-a-long-name           0/s      12,345  16 minutes",
        "stripe                          1,234/s           0           -",
    ]
