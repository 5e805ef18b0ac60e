"""`gateway tail` beside a gateway that works, is stopped and started again."""

import asyncio

from tests.cli.child import following
from tests.cli.conftest import Beside, Cli
from tests.signed import BODIES


async def test_what_happens_is_followed(beside: Beside) -> None:
    """The last deliveries come first, as they stand; then each answer and each settlement as it happens."""
    await beside.send("stripe")
    [before] = await beside.world.settled(1)
    async with following("tail", "--json") as told:
        first = await told()
        assert (first["delivery_id"], first["outcome"]) == (before.entry.delivery.id, "forwarded")
        assert (first["status"], first["events"]) == (200, ["stripe/customer.created"])
        await beside.world.post("github", [("X-Hub-Signature-256", f"sha256={'0' * 64}")], b"{}")
        rejected = await told()
        assert (rejected["source"], rejected["outcome"], rejected["status"]) == ("github", "rejected", 401)
        assert (rejected["reason"], rejected["delivery_id"]) == ("signature_mismatch", "")
        await beside.world.send("shopify", BODIES["shopify"], ("X-Shopify-Webhook-Id", "w-1"))
        seen = [await told(), await told()]
        assert {one["outcome"] for one in seen} == {"accepted", "forwarded"}
        assert len({one["delivery_id"] for one in seen}) == 1
        assert [one["attempt"] for one in seen if one["outcome"] == "forwarded"] == [1]


async def test_only_what_is_wanted(beside: Beside) -> None:
    """Filters leave out other sources, types and outcomes."""
    wanted = ("--outcome", "forwarded", "--outcome", "dead", "--source", "stripe", "--type", "invoice.paid")
    async with following("tail", "--json", *wanted) as told:
        await followed(beside)
        for source, kind in (("slack", "message"), ("stripe", "customer.created"), ("stripe", "invoice.paid")):
            await beside.send(source, kind)
        one = await told()
    assert (one["source"], one["type"], one["outcome"]) == ("stripe", "invoice.paid", "forwarded")


async def test_it_waits_for_a_gateway(beside: Beside) -> None:
    """When the gateway ends it waits for the next one, and tells what came before it followed that."""
    async with following("tail", "--json", "-n", "0") as told:
        await followed(beside)
        await beside.world.stop()
        await beside.world.start()
        await beside.send("stripe")
        one = await told()
        assert one["source"] == "stripe"


async def test_text(beside: Beside) -> None:
    """For people each thing is one line, in which nothing can steer their terminal."""
    (beside.world.folder / "odd_map.py").write_text(
        "def transform(delivery):\n    raise ValueError('\\x1b[31m[b]no')\n"
    )
    await beside.world.stop()
    await beside.world.start(
        '[sources.odd]\nprovider = "hmac"\nverify = "none"\ntransform = "./odd_map.py:transform"\n'
    )
    async with following("tail", "-n", "0", read=bytes.decode) as told:
        await followed(beside)
        await beside.world.post("odd", [("Content-Type", "application/json")], b"{}")
        lines = sorted([await told(), await told()])
    assert [line.split()[1:3] for line in lines] == [["accepted", "odd"], ["dead", "odd"]]
    assert "[31m[b]no" in lines[1]
    assert "\x1b" not in "".join(lines)


async def test_who_follows_holds_up_no_stop(beside: Beside) -> None:
    """A gateway that stops ends the answers of those who follow."""
    async with following("tail", "--json", "-n", "0"):
        await followed(beside)
        async with asyncio.timeout(5):
            await beside.world.stop()


async def followed(beside: Beside) -> None:
    """Wait until somebody follows."""
    for _ in range(1_000):
        if beside.world.gateway.feed.is_followed:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def test_an_unknown_outcome(cli: Cli) -> None:
    """An outcome that there is not is refused with those that there are."""
    result = cli("tail", "--outcome", "odd")
    assert result.code == 2
    assert "forwarded" in result.err
