"""Deliveries and settlements as the tests need them."""

from typing import Any

from gateway.inbox.contract import Inbox
from gateway.model import Attempt, Delivery, Frozen, Lease, SentEvent, Settlement, State

NOW = 1_800_000_000_000
LEASE = 60_000


def delivery(name: str = "evt_1", **fields: Any) -> Delivery:
    """Make a delivery with the given id; the body names it unless another is given."""
    body = fields.setdefault("body", f'{{"id":"{name}"}}'.encode())
    given = {"source": "acme", "provider": "hmac", "type": "order.created", "received_at": NOW, "content": body}
    return Delivery(**{**given, **fields, "id": name})


def answered(lease: Lease, at: int = NOW, **fields: Any) -> Settlement:
    """Settle as forwarded with one attempt and one event, the ids of which derive from the delivery's."""
    name = lease.entry.delivery.id
    given = {
        "state": State.FORWARDED,
        "attempt": Attempt(lease.attempt, at, 12, "accepted", 200),
        "events": (SentEvent(f"acme:{name}", "acme/order.created", f"01{name}"),),
    }
    return Settlement(**{**given, **fields})


def frozen(lease: Lease, batch: str, position: int, due_at: int) -> Settlement:
    """Settle as pending, as one share of a batch whose fate is unknown."""
    share = Frozen(batch, seed=f"seed of {batch}", position=position, events=f"events of {lease.entry.key}".encode())
    attempt = Attempt(lease.attempt, NOW, 30_000, "interrupted")
    return Settlement(State.PENDING, reason="interrupted", due_at=due_at, attempt=attempt, frozen=share)


async def keep(inbox: Inbox, *names: str, now: int = NOW) -> list[int]:
    """Put one delivery per name and return the keys of their entries."""
    return [receipt.key for receipt in await inbox.put([delivery(name) for name in names], now)]


async def settle_all(inbox: Inbox, state: State, now: int = NOW) -> None:
    """Settle everything that is due."""
    while leases := await inbox.lease(100, LEASE, now):
        await inbox.settle([(lease, answered(lease, state=state, reason=str(state))) for lease in leases], now)
