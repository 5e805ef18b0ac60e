"""Try a transform on a recorded delivery: the events as a golden file holds them, or a sentence that says why not."""

from __future__ import annotations

import asyncio
import difflib
import json
from pathlib import Path

from gateway import providers, recording
from gateway.errors import InvalidPayload, TransformError
from gateway.golden.no_network import no_network
from gateway.model import Delivery, Entry, Skip
from gateway.transform import Mapper, Runner, Stamped, load

MAX_EVENT_BYTES = 512 * 1024
OVER = f"over the event API's usual limit of {MAX_EVENT_BYTES}; let it make a smaller one, or several"
# Two runs this far apart differ where a clock is read, even one of milliseconds.
APART_SECONDS = 0.002


def events_of(path: Path, reference: str, folder: Path, *, prefix: str = "", network: bool = False) -> str:
    """Return what a transform makes of the delivery recorded in a file.

    `folder` is looked into for the transform's module. Raises TransformError, with a sentence, when there is no such
    transform, when it fails, reaches for the network without being allowed to, makes events that cannot be sent, or
    makes others in a second run.
    """
    delivery = _read(path)
    mapper = Mapper(delivery.source, reference, load(reference, folder), prefix or _prefix(delivery.provider))
    first, second = made(delivery, mapper, network=network), made(delivery, mapper, network=network)
    if first != second:
        raise TransformError(
            f"{reference} made other events of the same delivery in a second run; it must not use a clock, randomness, "
            f"or what an earlier call left behind\n{difference(first, second, 'first run', 'second run')}"
        )
    return first


def made(delivery: Delivery, mapper: Mapper, *, network: bool = False) -> str:
    """Return the events that a transform makes of a delivery. Raises TransformError as `events_of` does."""
    with no_network(allowed=network) as tried:
        mapped = asyncio.run(_run(delivery, mapper))
    if tried:
        raise TransformError(
            f"{mapper.reference} reached for the network ({tried[0]}), so its events depend on more than the delivery; "
            "give the folder network=allowed in gateway_golden where that is meant"
        )
    if isinstance(mapped, TransformError):
        raise mapped
    if not isinstance(mapped, Stamped | Skip):
        raise TransformError(f"{mapper.reference} was not run")
    for event in mapped.events if isinstance(mapped, Stamped) else ():
        if len(event.body) > MAX_EVENT_BYTES:
            raise TransformError(f"{mapper.reference} made {event.name} of {len(event.body)} bytes, {OVER}")
    return render(mapped)


def render(mapped: Stamped | Skip) -> str:
    """Write events as a golden file holds them: the fields of the wire, in the order of the wire."""
    events = [json.loads(event.body) for event in mapped.events] if isinstance(mapped, Stamped) else []
    return json.dumps(events, indent=2, ensure_ascii=False) + "\n"


def difference(old: str, new: str, of_old: str, of_new: str) -> str:
    """Return the lines that differ, with a few around them; empty where none does."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), of_old, of_new, lineterm="", n=4)
    return "\n".join(lines)


def _read(path: Path) -> Delivery:
    try:
        return recording.loads(path.read_bytes())
    except InvalidPayload as error:
        raise TransformError(f"{path.name}: {error}") from None


def _prefix(name: str) -> str:
    """Return what event names of a provider begin with unless the configuration says otherwise."""
    try:
        provider = providers.get(name)
    except KeyError:  # a provider that a user wrote, which only the configuration knows
        return name
    return provider.prefix or name


async def _run(delivery: Delivery, mapper: Mapper) -> object:
    async with Runner() as runner:
        [mapped] = await runner.run([(Entry(1, delivery), mapper)])
        await asyncio.sleep(APART_SECONDS)
        return mapped
