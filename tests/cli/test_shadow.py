import os
from pathlib import Path

import pytest

from tests.cli import child
from tests.cli.conftest import Beside, Cli
from tests.cli.stored import configure, store
from tests.world import TOML

TRANSFORMS = """
import asyncio

from gateway import Event, Skip

def transform(delivery):
    payload = delivery.json()
    if payload["kind"] == "old_fails":
        raise LookupError("old")
    return Event(name="order.created", data=payload)

def new(delivery):
    payload = delivery.json()
    match payload["kind"]:
        case "skip":
            return Skip("not <wanted>")
        case "fail":
            raise LookupError("no order")
        case "rename":
            return Event(name="order.placed", data=payload)
        case "more":
            return [Event(name="order.created", data=payload), Event(name="order.counted", data={})]
        case "mask":
            del payload["email"]
            payload["lines"] = [{**item, "sku": None} for item in payload["lines"]]
            payload["total"] = True
    return Event(name="order.created", data=dict(reversed(payload.items())))

async def awaited(delivery):
    await asyncio.sleep(0)
    return new(delivery)
"""
EMAIL = "ada@example.com"
KINDS = ["same", "skip", "fail", "rename", "more", "mask", "mask", "old_fails"]
PAYLOADS = [{"kind": kind, "email": EMAIL, "total": 1, "lines": [{"sku": "a"}, {"sku": "b"}]} for kind in KINDS]


@pytest.fixture(autouse=True)
def stored(folder: Path) -> None:
    """Keep a delivery of each kind, one of them twice."""
    configure(folder, TRANSFORMS)
    store(PAYLOADS, names=["order.created"])


@pytest.mark.parametrize("reference", ["own_map:new", "own_map:awaited"])
def test_changes(cli: Cli, reference: str) -> None:
    """Deliveries, names, fields, skips and failures are counted, each with an example; a failure is exit code 1."""
    result = cli("shadow", "own", "--transform", reference, "--json")
    found = result.json
    assert result.code == 1
    assert (found["old"], found["new"]) == ("own_map:transform", reference)
    assert (found["deliveries"], found["changed"], found["failed"]) == (8, 7, 1)
    assert {(row["old"], row["new"]): row["count"] for row in found["outcomes"]} == {
        ("events", "events"): 5,
        ("events", "skipped"): 1,
        ("events", "failed"): 1,
        ("failed", "events"): 1,
    }
    assert {row["name"]: (row["old"], row["new"]) for row in found["names"]} == {
        "shop/order.counted": (0, 1),
        "shop/order.created": (7, 5),
        "shop/order.placed": (0, 1),
    }
    assert {(row["event"], row["path"]): (row["count"], row["example"]) for row in found["fields"]} == {
        ("shop/order.placed", "name"): (1, "d3"),
        ("shop/order.placed", "id"): (1, "d3"),
        ("shop/order.created", "data.email"): (2, "d5"),
        ("shop/order.created", "data.total"): (2, "d5"),
        ("shop/order.created", "data.lines[].sku"): (4, "d5"),
    }
    assert found["skips"] == [{"reason": "not <wanted>", "count": 1, "example": "d1"}]
    [failure] = found["failures"]
    assert failure["reason"].startswith(f"{reference} raised LookupError: no order ({Path.cwd()}/own_map.py:")
    assert (failure["count"], failure["example"]) == (1, "d2")


def test_values_are_masked(cli: Cli) -> None:
    """No value of the data is told unless it is asked for; names and ids are."""
    told = cli("shadow", "own", "--transform", "own_map:new", "--html", "page.html")
    assert EMAIL not in told.out + Path("page.html").read_text()
    assert "a text of 15 characters" in told.out
    assert '"own:d3:order.placed"' in told.out
    assert f'"{EMAIL}"' in cli("shadow", "own", "--transform", "own_map:new", "--show-values").out


def test_page(cli: Cli) -> None:
    """The page holds what was found, escaped, and loads nothing; one that cannot be written is a sentence."""
    assert cli("shadow", "own", "--transform", "own_map:new", "--html", "page.html").code == 1
    page = Path("page.html").read_text()
    for text in ("own_map:new", "data.lines[].sku", "not &lt;wanted&gt;", "no order", "shop/order.counted"):
        assert text in page
    assert "default-src 'none'" in page
    assert not any(word in page for word in ("http://", "https://", "<script", "<link", "<img", "url("))
    lost = cli("shadow", "own", "--transform", "own_map:new", "--html", "nowhere/page.html")
    assert lost.code == 1
    assert "nowhere/page.html: cannot be written (No such file or directory)" in lost.err


def test_nothing_changes(cli: Cli) -> None:
    """The same transform changes nothing and is exit code 0 where it does not fail; the order of keys is no change."""
    store([{"kind": "same"}], days_ago=0)
    found = cli("shadow", "own", "--transform", "own_map:new", "--limit", "1", "--json")
    assert (found.code, found.json["deliveries"], found.json["changed"], found.json["fields"]) == (0, 1, 0, [])


ROUTES = """
[sources.own]
provider = "hmac"
verify = "none"
prefix = "shop"
transform_timeout_seconds = 0.3
{isolation}
[sources.own.transforms]
"order" = "own_map:new"
default = "own_map:transform"
"""


@pytest.mark.parametrize("isolation", ["", 'isolation = "process"'], ids=["thread", "process"])
def test_routes(cli: Cli, folder: Path, isolation: str) -> None:
    """The old side is what each type leads to, the new one what takes the place of all or of one pattern's.

    Both run as the source's transforms do, within its time: one that never ends fails, and the report comes.
    """
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9") + ROUTES.format(isolation=isolation))
    (folder / "own_map.py").write_text(TRANSFORMS + "def endless(delivery):\n    while True: pass\n")
    same = cli("shadow", "own", "--transform", "own_map:new", "--json").json
    assert (same["old"], same["changed"]) == ("own_map:transform (own_map:new for order)", 0)
    other = cli("shadow", "own", "--transform", "own_map:endless", "--for", "x.*", "--json")
    assert (other.json["changed"], other.json["failed"]) == (0, 1)
    assert other.json["new"] == "own_map:transform (own_map:new for order, own_map:endless for x.*)"
    late = cli("shadow", "own", "--transform", "own_map:endless", "--for", "order", "--json")
    reasons = [failure["reason"] for failure in late.json["failures"]]
    assert (late.code, late.json["failed"]) == (1, len(PAYLOADS))
    assert reasons[0].startswith("own_map:endless took over 0.3 s")


@pytest.mark.parametrize(
    ("filters", "deliveries"),
    [
        (["--since", "2d"], 8),
        (["--until", "1d"], 0),
        (["--type", "order"], 8),
        (["--type", "x"], 0),
        (["--limit", "3"], 3),
    ],
)
def test_filters(cli: Cli, filters: list[str], deliveries: int) -> None:
    """Time, type and limit choose the deliveries; without any there is nothing to fail on."""
    result = cli("shadow", "own", "--transform", "own_map:new", "--json", *filters)
    assert (result.code, result.json["deliveries"]) == (1 if deliveries else 0, deliveries)
    if not deliveries:
        assert "nothing was compared" in cli("shadow", "own", "--transform", "own_map:new", *filters).out


def test_the_inbox_stays_as_it_is(cli: Cli) -> None:
    """Nothing is sent, and not a byte of the inbox changes."""
    before = Path("inbox.db").read_bytes(), os.stat("inbox.db").st_mtime_ns  # noqa: PTH116 - beside the bytes
    cli("shadow", "own", "--transform", "own_map:new")
    assert (Path("inbox.db").read_bytes(), os.stat("inbox.db").st_mtime_ns) == before  # noqa: PTH116 - as above


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["own", "--transform", "own_map:nwe"], "--transform: transform 'own_map:nwe' was not found"),
        (["nobody", "--transform", "own_map:new"], "sources.nobody: there is no such source"),
        (["own", "--transform", "own_map:new", "--since", "x"], "--since x: this is not a time"),
    ],
)
def test_faults(cli: Cli, arguments: list[str], told: str) -> None:
    """A transform, source or time that does not exist is exit code 2 and a sentence."""
    result = cli("shadow", *arguments)
    assert (result.code, result.out) == (2, "")
    assert told in result.err


async def test_beside_a_gateway_that_serves(beside: Beside) -> None:
    """The inbox is read while a gateway serves it, and that goes on taking deliveries."""
    assert (await beside.send("github")).code == 0
    result = await child.run("shadow", "github", "--transform", "transforms.generic:transform", "--json")
    assert (result.code, result.json["deliveries"], result.json["old"]) == (0, 1, "transforms.github:transform")
    assert (await beside.send("github")).code == 0
