"""`gateway replay` and `gateway deliveries` on an inbox that no gateway serves."""

import asyncio
import io
import json
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.history import Query
from gateway.inbox.contract import Inbox
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import SentEvent, Settlement, State
from tests.cli import child
from tests.cli.conftest import Cli
from tests.inbox.samples import LEASE, NOW, answered, delivery, settle_all

T = TypeVar("T")
HOUR = 3_600_000
NOON = 1_599_998_400_000  # 2020-09-13T12:00:00Z
TOML = """
[event_api]
url = "http://127.0.0.1:9"
key = "${INNGEST_EVENT_KEY}"
[sources.acme]
provider = "stripe"
secrets = ["${STRIPE_WEBHOOK_SECRET}"]
"""


class Shop:
    """A folder with a configuration and an inbox: a and b dead in acme, c dead in other, d forwarded, e pending."""

    def __init__(self, folder: Path, cli: Cli) -> None:
        self._folder = folder
        self._cli = cli
        (folder / "gateway.toml").write_text(TOML)
        self.ask(self._fill)

    async def _fill(self, inbox: Inbox) -> None:
        await inbox.put([delivery(name, received_at=NOON) for name in ("a", "d")], NOW)
        await inbox.put([delivery("b", received_at=NOON + HOUR, type="order.paid")], NOW)
        await inbox.put([delivery("c", received_at=NOON + 2 * HOUR, source="other")], NOW)
        leases = {lease.entry.delivery.id: lease for lease in await inbox.lease(9, LEASE, NOW)}
        reasons = {"a": "KeyError: 'plan'", "b": "TypeError: no", "c": "refused: 100% wrong"}
        for later, (name, why) in enumerate(reasons.items()):
            await inbox.settle([(leases[name], Settlement(State.DEAD, why))], NOW + later)
        done = answered(leases["d"], events=(SentEvent("acme:d:made", "acme/made", "01D"),))
        await inbox.settle([(leases["d"], done)], NOW + 3)
        await inbox.put([delivery("e", received_at=NOON)], NOW)

    def ask(self, question: Callable[[Inbox], Awaitable[T]]) -> T:
        """Ask the inbox while no command has it."""

        async def go() -> T:
            inbox = SqliteInbox.open(self._folder / "inbox.db", dedupe_window_ms=7 * 24 * HOUR)
            try:
                return await question(inbox)
            finally:
                await inbox.close()

        return asyncio.run(go())

    def run(self, command: str, *words: str) -> tuple[int, str, str]:
        """Run a command; return its code and what it wrote."""
        result = self._cli(command, *words)
        return result.code, result.out, result.err

    def replay(self, *words: str) -> Any:
        """Run `gateway replay --yes --json` and return its document."""
        code, out, err = self.run("replay", *words, "--yes", "--json")
        assert code == 0, err
        return json.loads(out)

    def pending(self) -> dict[str, int]:
        """Return the generation of each delivery that is pending, but for the one that always is."""
        found = self.ask(lambda inbox: inbox.search(Query(state=State.PENDING)))
        known = {history.entry.delivery.id: history.entry.generation for history in found}
        return {name: generation for name, generation in known.items() if name != "e"}


@pytest.fixture
def shop(folder: Path, cli: Cli) -> Shop:
    """Give a folder with an inbox."""
    return Shop(folder, cli)


FILTERS: list[tuple[list[str], set[str]]] = [
    ([], {"a", "b", "c"}),
    (["--state", "dead"], {"a", "b", "c"}),
    (["--state", "forwarded"], {"d"}),
    (["--state", "skipped"], set()),
    (["--source", "acme"], {"a", "b"}),
    (["--source", "nobody"], set()),
    (["--type", "order.paid"], {"b"}),
    (["--reason", "Error"], {"a", "b"}),
    (["--reason", "0% w"], {"c"}),
    (["--reason", "%"], {"c"}),
    (["--since", "2020-09-13T13:00:00Z"], {"b", "c"}),
    (["--since", "2020-09-13 13:00:00", "--reason", "Error"], {"b"}),
    (["--since", "2020-09-13T16:00:00+02:00", "--source", "other"], {"c"}),
    (["a"], {"a"}),
    (["a", "c", "a"], {"a", "c"}),
    (["d", "acme:d:made", "01D", "--state", "forwarded"], {"d"}),
]


@pytest.mark.parametrize(("words", "ids"), FILTERS)
def test_filters(shop: Shop, words: list[str], ids: set[str]) -> None:
    """A dry run counts what the ids and filters mean and changes nothing; the run takes exactly that."""
    dry = shop.replay(*words, "--dry-run")
    assert (dry["count"], dry["replayed"], dry["last_key"]) == (len(ids), 0, None)
    assert shop.pending() == {}
    done = shop.replay(*words)
    assert (done["count"], done["replayed"], done["by_source"]) == (len(ids), len(ids), dry["by_source"])
    assert shop.pending() == dict.fromkeys(ids, 0)


def test_until(shop: Shop) -> None:
    """What was received at or after --until is left; where it is absent the replay ends with its own beginning."""
    assert shop.replay("--until", "2020-09-13T13:00:00Z", "--dry-run")["by_source"] == {"acme": 1}
    shop.ask(lambda inbox: inbox.put([delivery("later", received_at=4_102_444_800_000)], NOW))
    shop.ask(lambda inbox: settle_all(inbox, State.SKIPPED))
    assert shop.replay("--state", "skipped", "--source", "acme")["count"] == 1
    assert shop.replay("--state", "skipped", "--until", "2100-01-02")["count"] == 1
    assert set(shop.pending()) == {"later"}


def test_rerun(shop: Shop) -> None:
    """A rerun makes a new generation, and again another one."""
    assert shop.replay("d", "--state", "forwarded", "--mode", "rerun")["mode"] == "rerun"
    assert shop.pending() == {"d": 1}


def test_what_is_left_is_said(shop: Shop) -> None:
    """A named delivery that does not run is explained, with the option that would run it."""
    found = shop.replay("d", "e", "a")
    assert found["count"] == 1
    assert found["notes"] == [
        "acme d is forwarded, not dead; to run it again, add --state forwarded",
        "acme e is pending: it is going to be forwarded without a replay",
    ]


def test_what_has_no_body(shop: Shop) -> None:
    """A named delivery whose body retention has taken is explained, and one found by a filter is not counted."""
    shop.ask(lambda inbox: inbox.prune(NOW + 1, 0))
    assert "inbox.retention_days" in shop.replay("a")["notes"][0]
    assert shop.replay()["by_source"] == {"acme": 1, "other": 1}


def test_nothing_to_do(shop: Shop) -> None:
    """Where nothing matches the command says so, without a question, and ends with code 0."""
    code, out, err = shop.run("replay", "--source", "nobody")
    assert (code, err) == (0, "")
    assert out.startswith("Nothing to do")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--since", "yesterday"], "--since yesterday: this is not a time"),
        (["--until", "2h ago"], "--until 2h ago"),
        (["--since", "1969-01-01"], "before 1970"),
        (["unknown"], "unknown: nothing in the inbox has this"),
        (["a", "--source", "other"], "also matches the other options"),
        (["--state", "pending"], "--state"),
        (["--mode", "again"], "--mode"),
        (["--rate", "0"], "--rate"),
        (["--after", "-1"], "--after"),
        (["a"], "add --yes, or --dry-run"),
    ],
)
def test_bad_input(shop: Shop, words: list[str], named: str) -> None:
    """Bad input, and no --yes where nobody can be asked, is code 2 and a sentence that names it; nothing runs."""
    code, _, err = shop.run("replay", *words)
    assert code == 2
    assert named in " ".join(err.split())
    assert "Traceback" not in err
    assert shop.pending() == {}


class Terminal(io.StringIO):
    """Standard input with somebody at it."""

    def isatty(self) -> bool:
        """Tell that it is a terminal."""
        return True


@pytest.mark.parametrize(("answer", "code", "ids"), [("y\n", 0, {"a"}), ("n\n", 1, set()), ("\n", 1, set())])
def test_on_a_terminal_it_asks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, ids: set[str]
) -> None:
    """On a terminal the count is shown and a yes is needed; the next `gateway serve` is named as who forwards."""
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    ended, out, err = shop.run("replay", "a")
    assert ended == code
    assert "1 in all" in out
    assert "Run 1 again?" in err
    assert ("gateway serve" in out) == bool(ids)
    assert set(shop.pending()) == ids


def test_after(shop: Shop) -> None:
    """With --after only entries with a greater key run, by filter and by id alike."""
    [first] = shop.ask(lambda inbox: inbox.search(Query(id="a")))
    after = str(first.entry.key)
    assert shop.replay("--dry-run", "--after", after)["count"] == 2
    assert shop.replay("a", "b", "--after", after)["by_source"] == {"acme": 1}
    assert set(shop.pending()) == {"b"}


def test_one_of_two_with_the_same_delivery_id(shop: Shop) -> None:
    """Of two entries with one delivery id, kept more than the dedupe window apart, a trace id runs the one it names."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    again = delivery("a", received_at=NOON, traceparent=f"00-{trace}-b7ad6b7169203331-01")
    [receipt] = shop.ask(lambda inbox: inbox.put([again], NOW + 8 * 24 * HOUR))
    shop.ask(lambda inbox: settle_all(inbox, State.DEAD, NOW + 8 * 24 * HOUR))
    assert (receipt.duplicate, shop.replay("a", "--dry-run")["count"]) == (False, 2)
    done = shop.replay(trace)
    assert (done["replayed"], done["last_key"]) == (1, receipt.key)


async def test_ctrl_c(folder: Path) -> None:
    """Ctrl-C ends a run with code 130, how far it came and the command that does the rest, each entry once."""
    (folder / "gateway.toml").write_text(TOML)
    names = {f"evt {n}" for n in range(12)}
    await _keep_dead(folder, names)
    enough = asyncio.Event()
    watching = asyncio.create_task(_watch(folder, enough))
    stopped = await child.interrupted(
        "replay", "--reason", "no", "--mode", "rerun", "--rate", "9", "--yes", when=enough
    )
    await watching
    assert (stopped.code, "Traceback" in stopped.err) == (130, False)
    told, go_on = stopped.out.splitlines()[-2:]
    done = await _reruns(folder)
    assert 0 < len(done) < len(names)
    assert told == f"Stopped after {len(done)} of 12. To go on:"
    await _keep_dead(folder, set())
    rest = await child.run(*shlex.split(go_on.replace("--rate 9", "--rate 1000"))[1:], "--yes", "--json")
    assert (rest.code, rest.json["replayed"]) == (0, len(names) - len(done))
    assert await _reruns(folder) == dict.fromkeys(names, 1)


async def _keep_dead(folder: Path, names: set[str]) -> None:
    """Keep a delivery for each name, and make everything that is pending a dead letter."""
    inbox = SqliteInbox.open(folder / "inbox.db", dedupe_window_ms=HOUR)
    await inbox.put([delivery(name, received_at=1_000) for name in sorted(names)], NOW)
    await inbox.settle([(lease, Settlement(State.DEAD, "no")) for lease in await inbox.lease(20, LEASE, NOW)], NOW)
    await inbox.close()


async def _watch(folder: Path, enough: asyncio.Event) -> None:
    """Set the event when a few entries run again, which the file alone tells while another process has it."""
    while len(await _reruns(folder)) < 2:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.02)
    enough.set()


async def _reruns(folder: Path) -> dict[str, int]:
    """Return the deliveries that run again and how often, which can be read beside the command."""
    inbox = SqliteInbox.open(folder / "inbox.db", dedupe_window_ms=HOUR, read_only=True)
    try:
        found = await inbox.search(Query(limit=100))
    finally:
        await inbox.close()
    return {history.entry.delivery.id: history.entry.generation for history in found if history.entry.generation}


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["--state", "dead"], {"a", "b", "c"}),
        (["--state", "dead", "--reason", "Error"], {"a", "b"}),
        (["--since", "2020-09-13T13:00:00Z"], {"b", "c"}),
        (["--until", "2020-09-13T13:00:00Z", "--type", "order.created"], {"a", "d", "e"}),
        (["--since", "2h"], set()),
        (["--until", "1w"], {"a", "b", "c", "d", "e"}),
    ],
)
def test_deliveries(shop: Shop, words: list[str], ids: set[str]) -> None:
    """`gateway deliveries` finds by state, reason and time."""
    code, out, _ = shop.run("deliveries", *words, "--json")
    assert (code, {found["delivery_id"] for found in json.loads(out)}) == (0, ids)
