from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.stored import configure, store
from tests.world import TOML

TRANSFORMS = """
from gateway import Event

def transform(delivery):
    if delivery.type == "x":
        return Event("order.create", {})
    return [Event(name=f"order.{delivery.type}", data={}), Event(name="order.created", data={}), Event("ping", {})]
"""


@pytest.fixture(autouse=True)
def configured(folder: Path) -> None:
    """Write a configuration whose transform gives names, good ones and others."""
    configure(folder, TRANSFORMS)


def test_names(cli: Cli) -> None:
    """Every name is listed with its count, first and last time and an id that `gateway show` finds."""
    store([{}, {}, {}], names=["order.created", "invoice.sent"])
    created, sent = sorted(cli("events", "--json").json, key=lambda row: row["name"], reverse=True)
    assert (created["source"], created["name"], created["count"]) == ("own", "shop/order.created", 3)
    assert created["last_at"] - created["first_at"] == 2
    assert (sent["name"], sent["sample"]) == ("shop/invoice.sent", "own:d2:invoice.sent")
    assert cli("show", sent["sample"]).code == 0
    lines = cli("events").out.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["event", "shop/invoice.sent", "shop/order.created"]
    assert lines[-1].startswith("Seen in the last 7 days")


def test_no_names(cli: Cli) -> None:
    """A source without events is said to have none."""
    store([{}], names=["order.created"])
    result = cli("events", "--source", "stripe")
    assert (result.code, result.out, result.err) == (0, "", f"no event in {Path.cwd()}/inbox.db matches\n")


def test_advice(cli: Cli) -> None:
    """`gateway check` advises on names of one's own that are not noun.verb in the past tense, and finds no fault."""
    result = cli("check", "--json")
    file = Path("own_map.py").absolute()
    start = f"{Path('gateway.toml').absolute()}: sources.own: "
    assert (result.code, result.json["faults"]) == (0, [])
    assert result.json["advice"] == [
        f"{start}order.create does not end with what has happened; write order.created ({file}:6)",
        f"{start}ping does not tell what happened to what; write it as noun.verb, such as order.created ({file}:7)",
    ]
    assert "advice: " in cli("check").out


def test_advice_on_every_transform(cli: Cli, folder: Path) -> None:
    """The transform of each type is looked at, beside a shipped default too, whose names in the inbox are let be."""
    own = '[sources.own]\nprovider = "hmac"\nverify = "none"\n[sources.own.transforms]\n"x*" = "own_map:transform"\n'
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9") + own)
    store([{}], names=["order.update"])
    told = cli("check", "--json").json["advice"]
    assert [sentence.split(": sources.own: ")[1].split(" ")[0] for sentence in told] == ["order.create", "ping"]


def test_advice_on_names_that_were_sent(cli: Cli) -> None:
    """Names in the inbox are looked at too, but for those that are the sender's own word."""
    store([{}], names=["order.update", "order"])
    told = [sentence for sentence in cli("check", "--json").json["advice"] if "(seen" in sentence]
    [sentence] = told
    assert sentence.endswith("order.update does not end with what has happened; write order.updated (seen 1 times)")
