import asyncio
import json
import subprocess
import sys
from pathlib import Path

from gateway import Delivery, recording
from tests.cli.conftest import Beside, Cli
from tests.signed import dumps
from tests.world import TOML

BODY = {
    "id": "acme-1",
    "type": "order.paid",
    "created_at": "2026-01-02T03:04:05Z",
    "customer": {"email": "jane@shop.test", "name": "Jane Doe", "vat": "DE123"},
    "note": "call jane@shop.test",
}


def read(path: str) -> str:
    """Read a file."""
    return Path(path).read_text()


def delivery(path: str) -> Delivery:
    """Read a recorded delivery."""
    return recording.loads(Path(path).read_bytes())


def recorded() -> list[str]:
    """Return the names of all pairs."""
    return [path.name for path in Path().glob("*.json")]


def map_by(code: str, *, kind: str = "") -> None:
    """Give the source acme a transform of one's own, or deliveries of a type another one, `paid`."""
    Path("own_map.py").write_text(code)
    text = read("gateway.toml")
    if kind:
        text += f'[sources.acme.transforms]\n"{kind}" = "own_map:paid"\n'
    else:
        text = text.replace('prefix = "acme"', 'prefix = "acme"\ntransform = "own_map:transform"')
    Path("gateway.toml").write_text(text)


def run_pytest(line: str) -> tuple[int | None, str]:
    """Run pytest with a line in its configuration."""
    Path("pyproject.toml").write_text(f"[tool.pytest.ini_options]\n{line}\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:asyncio", "-p", "no:hypothesispytest"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30)  # noqa: S603 - ours
    return done.returncode, done.stdout.decode()


async def stored(beside: Beside, body: object = BODY) -> None:
    """Have the gateway receive and forward a delivery of the source acme."""
    await beside.world.send("acme", dumps(body))
    await beside.world.settled(1)


async def test_pair(beside: Beside) -> None:
    """A stored delivery becomes a golden pair without what is personal; it is told where that was, and never what."""
    await stored(beside)
    result = await beside("record", "acme-1", "--out", "golden")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "masked body: customer.email (e-mail address)",
        "masked body: customer.name (by its name)",
        "masked body: note (e-mail address)",
        "golden/order_paid.delivery.json",
        "golden/order_paid.events.json",
        'to test it: gateway_golden = ["golden = transforms.generic:transform prefix=acme"]',
    ]
    text = read("golden/order_paid.delivery.json")
    made = delivery("golden/order_paid.delivery.json")
    customer = made.json()["customer"]
    assert (made.id, made.type, made.source) == ("acme-1", "order.paid", "acme")
    assert made.json()["note"] == f"call {customer['email']}"
    assert not any(word in text for word in ("jane", "Jane", "shop.test"))
    [event] = json.loads(read("golden/order_paid.events.json"))
    assert (event["name"], event["data"]["customer"]) == ("acme/order.paid", customer)


async def test_the_pair_passes(beside: Beside) -> None:
    """The pair is one that the pytest plugin takes, with the line that was told."""
    await stored(beside)
    result = await beside("record", "acme-1")
    code, out = await asyncio.to_thread(run_pytest, result.out.splitlines()[-1].removeprefix("to test it: "))
    assert (code, "1 passed" in out) == (0, True)


async def test_the_transform_of_its_type(beside: Beside) -> None:
    """The pair is made by the transform that the delivery's type leads to, and that one is named for pytest."""
    await stored(beside)
    map_by("from gateway import Event\ndef paid(delivery):\n    return Event(name='paid', data={})\n", kind="order.*")
    result = await beside("record", "acme-1")
    assert json.loads(read("order_paid.events.json"))[0]["name"] == "acme/paid"
    assert "= own_map:paid prefix=acme" in result.out


async def test_rules(beside: Beside) -> None:
    """Options and [record] of the configuration say what else is masked or kept; by an event's id it is found too."""
    await stored(beside)
    [history] = await beside.world.settled(1)
    beside.world.write_config('[record]\nmask = ["customer.vat"]\nkeep = ["note"]\n')
    options = ["--keep", "customer.name", "--mask", "created_at", "--mask-ids", "--name", "mine"]
    result = await beside("record", history.events[0].id, *options)
    assert result.code == 0
    made = delivery("mine.delivery.json")
    payload = made.json()
    assert (payload["note"], payload["customer"]["name"], payload["id"]) == (BODY["note"], "Jane Doe", made.id)
    assert made.id != "acme-1"
    assert [payload["customer"]["vat"] == "DE123", payload["created_at"] == BODY["created_at"]] == [False, False]


async def test_nothing_is_overwritten(beside: Beside) -> None:
    """A pair of the same name is left as it is."""
    await stored(beside)
    assert (await beside("record", "acme-1")).code == 0
    before = read("order_paid.delivery.json")
    again = await beside("record", "acme-1", "--mask-ids")
    assert (again.code, again.out) == (2, "")
    assert again.err == "order_paid.delivery.json: there is such a pair already; give another name with --name\n"
    assert read("order_paid.delivery.json") == before
    path = await beside("record", "acme-1", "--name", "a/b")
    assert (path.code, path.err) == (2, "--name a/b: it is a path; name the folder with --out\n")


async def test_the_same_id_in_two_sources(beside: Beside) -> None:
    """Where several sources have a delivery of the id, one is to be chosen."""
    for source in ("acme", "standard"):
        await beside.world.send(source, dumps({"id": "msg_1", "type": "x.made"}))
    await beside.world.settled(2)
    ids = {history.entry.delivery.id for history in await beside.world.settled(2)}
    if len(ids) == 1:
        result = await beside("record", ids.pop())
        assert (result.code, "acme and standard have deliveries" in result.err) == (2, True)
    assert (await beside("record", "msg_1", "--source", "acme")).code == 0


async def test_masking_that_changes_the_mapping(beside: Beside) -> None:
    """It is told when the masked delivery becomes other events than the delivery."""
    await stored(beside)
    map_by('from gateway import Event, get\ndef transform(d):\n return Event(get(d.json(), "customer.name"), {})\n')
    result = await beside("record", "acme-1")
    assert result.code == 0
    assert result.err == "masking changed which events are made; keep the field that decides it with --keep\n"
    kept = await beside("record", "acme-1", "--keep", "customer.name", "--name", "kept")
    assert (kept.code, kept.err) == (0, "")
    assert json.loads(read("kept.events.json"))[0]["name"] == "acme/Jane Doe"


async def test_failing_transform(beside: Beside) -> None:
    """A transform that fails on the masked delivery is exit code 1, and nothing is written."""
    await stored(beside)
    map_by("def transform(d):\n raise LookupError('no')\n")
    result = await beside("record", "acme-1")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("own_map:transform raised LookupError: no")
    assert recorded() == []


async def test_unknown_id(beside: Beside) -> None:
    """An id that nothing has is exit code 2 and a sentence."""
    await stored(beside)
    result = await beside("record", "nothing")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"nothing: no delivery or event in {Path.cwd()}/inbox.db has this id\n"


def test_without_an_inbox(cli: Cli) -> None:
    """Before the first start there is nothing to record."""
    Path("gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9"))
    result = cli("record", "x")
    assert result.code == 2
    assert "there is no inbox yet" in result.err
