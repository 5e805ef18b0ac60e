import asyncio

from tests.cli import child
from tests.cli.conftest import Beside


async def test_narrow_terminal(beside: Beside) -> None:
    """On a terminal of 80 columns nothing is cut or folded: what makes no table is told line by line."""
    await beside.send("shopify")
    [history] = await beside.world.settled(1)
    [event] = history.events
    delivery = history.entry.delivery.id

    async def on_terminal(*arguments: str, columns: int = 80) -> list[str]:
        return await asyncio.to_thread(child.on_a_terminal, *arguments, columns=columns)

    narrow = await on_terminal("deliveries")
    assert f"delivery    {delivery}" in narrow
    assert "event       shopify/orders.create" in narrow
    shown = await on_terminal("show", delivery)
    assert f"delivery    shopify {delivery} (orders/create)" in shown
    assert f"event       shopify/orders.create {event.id} -> {event.event_api_id}" in shown
    wide = await on_terminal("deliveries", columns=200)
    assert [line.split()[0] for line in wide] == ["received", "20" + wide[1][2:10]]
    assert delivery in wide[1]
