import json
import os
from pathlib import Path

import pytest

from gateway import recording
from gateway.model import Delivery
from tests.cli import child
from tests.cli.conftest import Beside, Cli
from tests.signed import dumps
from tests.world import TOML

BODY = dumps({"id": "evt_9", "object": "event", "type": "customer.updated", "created": 1_700_000_000, "data": {}})
EVENT = {
    "name": "stripe/customer.updated",
    "data": json.loads(BODY),
    "id": "stripe:evt_9:customer.updated",
    "ts": 1_700_000_000_000,
}
TRANSFORM = """
from gateway import Event, Skip

def transform(delivery):
    payload = delivery.json()
    if payload.get("skip"):
        return Skip("not [wanted]")
    if payload.get("raise"):
        raise LookupError("no such thing")
    return [Event(name=f"item.{index}", data={"index": index}) for index in range(payload["many"])]
"""

OTHER = """
from gateway import Event

def transform(delivery):
    return Event(name="customer.made", data={**delivery.json(), "livemode": "no"})
"""


@pytest.fixture(autouse=True)
def config(folder: Path) -> None:
    """Write a configuration with a transform of one's own, and a body to try."""
    more = '[sources.own]\nprovider = "hmac"\nverify = "none"\ntransform = "own_map:transform"\n'
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9") + more)
    (folder / "own_map.py").write_text(TRANSFORM)
    (folder / "body.json").write_bytes(BODY)


def test_body(cli: Cli) -> None:
    """A file with a body is mapped as if it had been sent, without being signed; nothing is kept."""
    result = cli("try", "stripe", "body.json")
    assert (result.code, result.err, json.loads(result.out)) == (0, "", EVENT)
    assert cli("try", "stripe", "body.json", "--json").json == [EVENT]
    assert not Path("inbox.db").exists()


def test_headers(cli: Cli) -> None:
    """Headers make up what a body alone does not tell."""
    given = ["--header", "X-GitHub-Event: star", "--header", "x-github-delivery:  d-1 "]
    [event] = cli("try", "github", "body.json", "--json", *given).json
    assert (event["name"], event["id"]) == ("github/star", "github:d-1:star")


def test_recorded_delivery(cli: Cli) -> None:
    """A recorded delivery is mapped as the source's own, with its id, type and time."""
    body = b'{"ref":"main"}'
    delivery = Delivery("old", "github", "d-2", "push", 1_700_000_000_123, body=body, content=body)
    Path("push.delivery.json").write_bytes(recording.dumps(delivery))
    [event] = cli("try", "github", "push.delivery.json", "--json").json
    expected = {"name": "github/push", "id": "github:d-2:push", "ts": 1_700_000_000_123, "data": {"ref": "main"}}
    assert event == expected


def test_faulty_recording(cli: Cli) -> None:
    """A recording with a fault is refused with the key at fault, and not taken for a body."""
    Path("faulty.json").write_bytes(
        dumps({"source": "a", "provider": "github", "id": "1", "received_at": 1, "bdy": ""})
    )
    result = cli("try", "github", "faulty.json")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("faulty.json: the recording has the unknown key 'bdy'")


async def test_stored_delivery(beside: Beside) -> None:
    """A stored delivery is mapped to the very event that was sent."""
    await beside.send("stripe")
    [arrived] = await beside.world.arrived(1)
    [history] = await beside.world.settled(1)
    for identifier in (history.entry.delivery.id, history.events[0].id):
        assert (await beside("try", "stripe", identifier, "--json")).json == [json.loads(arrived.raw)]
    other = await beside("try", "github", history.entry.delivery.id)
    assert (other.code, other.out) == (2, "")


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ({"skip": 1}, 0, "skipped: not [wanted]\n"),
        ({"raise": 1}, 1, "own_map:transform raised LookupError: no such thing"),
        ({"many": "x"}, 1, "own_map:transform raised TypeError"),
        ({"many": 0}, 0, ""),
    ],
)
def test_no_events(cli: Cli, body: dict[str, object], code: int, told: str) -> None:
    """A transform that skips is exit code 0, one that fails is 1, with the reason beside an output without events."""
    Path("x.json").write_bytes(dumps(body))
    result = cli("try", "own", "x.json")
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(told)
    if code == 0:
        assert cli("try", "own", "x.json", "--json").json == []


def test_several_events(cli: Cli) -> None:
    """Every event of a delivery is shown, in order."""
    Path("x.json").write_bytes(dumps({"many": 3}))
    names = [event["name"] for event in cli("try", "own", "x.json", "--json").json]
    assert names == ["hmac/item.0", "hmac/item.1", "hmac/item.2"]


@pytest.mark.parametrize(
    ("source", "content", "told"),
    [
        ("stripe", b"not json", "the body is not valid JSON"),
        ("stripe", b"\xff\xfe", "the body is not UTF-8"),
        ("stripe", b"", "the body is not valid JSON"),
        ("slack", dumps({"type": "url_verification", "challenge": "x"}), "this is a handshake"),
    ],
)
def test_body_that_would_not_be_taken(cli: Cli, source: str, content: bytes, told: str) -> None:
    """A body that the gateway would not keep is exit code 1 with the reason."""
    Path("x").write_bytes(content)
    result = cli("try", source, "x")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"x: {told}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["stripe", "missing.json"], "missing.json: there is no such file, and there is no inbox yet at"),
        (["stripe", "."], ".: cannot be read (Is a directory)"),
        (["nobody", "body.json"], "sources.nobody: there is no such source; the sources are acme,"),
    ],
)
def test_nothing_to_try(cli: Cli, arguments: list[str], told: str) -> None:
    """A file, id or source that does not exist is exit code 2 and a sentence."""
    result = cli("try", *arguments)
    assert (result.code, result.out) == (2, "")
    assert told in result.err


@pytest.fixture
def other_map(folder: Path) -> None:
    """Write a transform beside the configured ones."""
    (folder / "other_map.py").write_text(OTHER)


async def test_diff_against_what_was_sent(beside: Beside, other_map: None) -> None:
    """Events are compared with the names and ids that were sent, and their data with what another transform makes."""
    await beside.send("stripe")
    [history] = await beside.world.settled(1)
    identifier = history.entry.delivery.id
    same = await beside("try", "stripe", identifier, "--diff")
    assert (same.code, same.out.splitlines()[0]) == (0, "Against what was sent (forwarded): no difference")
    assert "the data is not compared" in same.out
    found = (await beside("try", "stripe", identifier, "--diff", "--transform", "other_map:transform", "--json")).json
    new_id = f"stripe:{identifier}:customer.made"
    assert [event["id"] for event in found["events"]] == [new_id]
    names = [
        {"event": new_id, "field": "name", "before": '"stripe/customer.created"', "after": '"stripe/customer.made"'},
        {"event": new_id, "field": "id", "before": f'"{history.events[0].id}"', "after": f'"{new_id}"'},
    ]
    assert found["sent"] == names
    data = {"event": new_id, "field": "data.livemode", "before": "false", "after": '"no"'}
    assert [row for row in found["configured"] if row not in names] == [data]
    told = await beside("try", "stripe", identifier, "--diff", "--transform", "other_map:transform")
    assert "data.livemode" in told.out
    assert "the data is compared with what transforms.stripe:transform makes of it now" in told.out


def test_diff_of_a_file(cli: Cli, other_map: None) -> None:
    """A file is compared with the configured transform; without another transform there is nothing to compare."""
    [event] = cli("try", "stripe", "body.json", "--transform", "other_map:transform", "--json").json
    assert (event["name"], event["data"]["livemode"]) == ("stripe/customer.made", "no")
    found = cli("try", "stripe", "body.json", "--diff", "--transform", "other_map:transform", "--json").json
    assert found["sent"] is None
    assert {row["field"] for row in found["configured"]} == {"name", "id", "data.livemode"}
    refused = cli("try", "stripe", "body.json", "--diff")
    assert (refused.code, refused.err.startswith("--diff: a file was never sent")) == (2, True)


def test_the_line_that_failed(cli: Cli) -> None:
    """A failure names the file, the line and its code, and nothing of the gateway's own."""
    Path("x.json").write_bytes(dumps({"raise": 1}))
    told = cli("try", "own", "x.json").err
    place = f"({Path.cwd()}/own_map.py:9) in the line: raise LookupError"
    assert place in told
    assert "gateway/" not in told


ROUTES = """
[sources.routed]
provider = "hmac"
verify = "none"
transform_timeout_seconds = 0.3
{isolation}
[sources.routed.delivery]
type = "json:/type"
[sources.routed.transforms]
"item.*" = "routed_map:item"
"item.paid" = "routed_map:paid"
default = "routed_map:rest"
"""
ROUTED = """
import os
from gateway import Event

def named(name):
    return lambda delivery: Event(name=name, data={"pid": os.getpid()})

item, paid, rest, other = map(named, ("item", "paid", "rest", "other"))

def endless(delivery):
    while True:
        pass

def ends(delivery):
    os._exit(3)
"""
PROCESS = 'isolation = "process"'


@pytest.fixture(params=["", PROCESS], ids=["thread", "process"])
def routed(request: pytest.FixtureRequest, folder: Path) -> str:
    """Configure a source with a transform for each type, run in either way; return the way."""
    isolation: str = request.param
    with (folder / "gateway.toml").open("a") as file:
        file.write(ROUTES.format(isolation=isolation))
    (folder / "routed_map.py").write_text(ROUTED)
    for kind in ("item.paid", "item.sent", "user.made"):
        (folder / f"{kind}.json").write_bytes(dumps({"type": kind}))
    return isolation


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["paid", "item", "rest"]),
        (["--transform", "routed_map:other"], ["other", "other", "other"]),
        (["--transform", "routed_map:other", "--for", "item.*"], ["paid", "other", "rest"]),
        (["--transform", "routed_map:other", "--for", "default"], ["paid", "item", "other"]),
        (["--transform", "routed_map:other", "--for", "user.*"], ["paid", "item", "other"]),
    ],
)
def test_routes(cli: Cli, routed: str, arguments: list[str], names: list[str]) -> None:
    """The type leads to its transform; another takes the place of all or of one pattern's, and runs alike."""
    made = []
    for kind in ("item.paid", "item.sent", "user.made"):
        [event] = cli("try", "routed", f"{kind}.json", "--json", *arguments).json
        made.append(event["name"].removeprefix("hmac/"))
        assert (event["data"]["pid"] != os.getpid()) is (routed == PROCESS)
    assert made == names


def test_what_never_ends(cli: Cli, routed: str) -> None:
    """The source's time limit holds, and what ends its process ends a worker alone."""
    late = cli("try", "routed", "item.sent.json", "--transform", "routed_map:endless")
    assert (late.code, late.err.startswith("routed_map:endless took over 0.3 s")) == (1, True)
    if routed == PROCESS:
        ended = cli("try", "routed", "item.sent.json", "--transform", "routed_map:ends")
        assert "had its worker process end, twice: it ended with exit code 3" in ended.err


def test_a_pattern_alone(cli: Cli) -> None:
    """A pattern without another transform for it is a sentence."""
    result = cli("try", "own", "body.json", "--for", "item.*")
    assert (result.code, result.err.startswith("--for: ")) == (2, True)


def write(file: str, content: bytes | str) -> None:
    """Write a file of the folder."""
    Path(file).write_bytes(content if isinstance(content, bytes) else content.encode())


async def test_watch(folder: Path) -> None:
    """Each change of the transform or the file runs it again, a broken one is told, and Ctrl-C is exit code 0."""
    write("x.json", dumps({"many": 1}))
    async with child.watching("try", "own", "x.json", "--watch", "--json") as names:
        assert await names() == ["hmac/item.0"]
        write("x.json", dumps({"many": 2}))
        assert await names() == ["hmac/item.0", "hmac/item.1"]
        write("own_map.py", "def transform(delivery)")
        write("own_map.py", TRANSFORM.replace("item.{", "piece.{"))
        assert await names() == ["hmac/piece.0", "hmac/piece.1"]
    reference = "./parts/made.py:transform"
    async with child.watching("try", "own", "x.json", "--watch", "--json", "--transform", reference) as names:
        (folder / "parts").mkdir()
        write("parts/made.py", TRANSFORM)
        assert await names() == ["hmac/item.0", "hmac/item.1"]
