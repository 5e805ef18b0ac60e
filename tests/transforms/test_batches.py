"""Providers of batches are split by their shipped transforms, whatever a batch is composed of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway import Delivery, providers, recording
from gateway.model import Skip
from gateway.stamp import Stamped, stamp
from gateway.transform import load
from tests.mapped import entry, mapper

HERE = Path(__file__).parent
BATCHES = [name for name in providers.names() if providers.get(name).batch]
GENERIC = "transforms.generic:transform"
# Their items, or some of them, hold nothing that tells one from an equal one of another delivery.
WITHOUT_IDS = {"attio", "fitbit", "mandrill", "microsoft-graph", "microsoft-sharepoint", "pusher"}
OTHER = "another-delivery"
JUNK: tuple[Any, ...] = (None, 7, "text", [], {}, [None], [[1]], {"a~_events": [1]})


def cases(name: str) -> list[Delivery]:
    """Return the golden deliveries of a provider's transform."""
    folder = HERE / providers.get(name).transform.partition(":")[0].rpartition(".")[2]
    return [recording.loads(path.read_bytes()) for path in sorted(folder.glob("*.delivery.json"))]


def payload_of(delivery: Delivery) -> Any:
    """Parse what the items are in, as far as it is JSON."""
    if delivery.media_type == "application/x-www-form-urlencoded":
        return json.loads(delivery.form()["mandrill_events"])
    return json.loads(delivery.content)


def with_payload(delivery: Delivery, payload: Any) -> Delivery:
    """Put another payload into a delivery."""
    content = json.dumps(payload)
    if delivery.media_type == "application/x-www-form-urlencoded":
        content = urlencode({"mandrill_events": content})
    return replace(delivery, content=content.encode())


def ids(name: str, delivery: Delivery) -> list[str]:
    """Return the ids of the events that the provider's transform makes, all of which can be sent."""
    reference = providers.get(name).transform
    outcome = load(reference)(delivery)
    stamped = stamp(entry(source=delivery.source), mapper(reference=reference), outcome)
    assert isinstance(stamped, Stamped | Skip)
    return [event.id for event in stamped.events] if isinstance(stamped, Stamped) else []


def own_ids(name: str, delivery: Delivery) -> list[str]:
    """Return the ids that do not hold the delivery's."""
    return sorted(made for made in ids(name, delivery) if delivery.id not in made)


def rebatched(name: str, payload: Any, items: list[Any]) -> Any:
    """Return the payload with other items in the place of its own."""
    pointer = providers.get(name).batch.partition(":")[2]
    if not pointer.startswith("/") or isinstance(payload, list):
        return items
    whole = deepcopy(payload)
    *way, last = pointer.split("/")[1:]
    at = whole
    for key in way:
        at = at[key]
    at[last] = items
    return whole


def items_of(name: str, payload: Any) -> list[Any]:
    """Return the items where the catalogue says they are."""
    pointer = providers.get(name).batch.partition(":")[2]
    keys = pointer.split("/")[1:] if not isinstance(payload, list) else []
    for key in keys:
        payload = payload[key]
    assert isinstance(payload, list)
    return payload


def documents(name: str) -> list[tuple[Delivery, Any]]:
    """Return those golden deliveries whose items stand where the catalogue says."""
    found = []
    for delivery in cases(name):
        try:
            payload = payload_of(delivery)
            items_of(name, payload)
        except (ValueError, KeyError, TypeError):
            continue
        found.append((delivery, payload))
    return found


def spoilt(payload: Any) -> Iterator[Any]:
    """Yield the payload with each of its nodes in turn replaced by each kind of junk."""
    yield from JUNK
    keys = payload.items() if isinstance(payload, dict) else enumerate(payload) if isinstance(payload, list) else ()
    for key, value in list(keys):
        for worse in spoilt(value):
            copy = payload.copy()
            copy[key] = worse
            yield copy


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_is_split(name: str) -> None:
    """Every provider of batches has a transform of its own, with a case of several items that are told apart."""
    assert providers.get(name).transform != GENERIC
    assert any(len(set(ids(name, delivery))) > 1 for delivery in cases(name))


@pytest.mark.parametrize("name", BATCHES)
def test_ids_survive_another_composition(name: str) -> None:
    """The same items in the opposite order, or one a delivery, give the same ids, if they have any to give."""
    told = [case for case in documents(name) if items_of(name, case[1])]
    assert told
    for delivery, payload in told:
        items = items_of(name, payload)
        before = own_ids(name, delivery)
        assert name in WITHOUT_IDS or len(before) == len(ids(name, delivery))
        others = [replace(with_payload(delivery, rebatched(name, payload, [item])), id=OTHER) for item in items]
        assert sorted(made for other in others for made in own_ids(name, other)) == before
        turned = replace(with_payload(delivery, rebatched(name, payload, items[::-1])), id=OTHER)
        assert own_ids(name, turned) == before


@pytest.mark.parametrize("name", BATCHES)
def test_bad_items_lose_no_good_ones(name: str) -> None:
    """Junk among the items leaves the others what they are."""
    for delivery, payload in documents(name):
        spoiled = with_payload(delivery, rebatched(name, payload, [*JUNK, *items_of(name, payload), *JUNK]))
        assert set(ids(name, spoiled)) > set(ids(name, delivery))


@pytest.mark.parametrize("name", [*BATCHES, "marqeta", "x"])
def test_any_document_is_mapped(name: str) -> None:
    """A transform finds events, or a reason to skip, in any JSON: no key is relied on to be there or to be its kind."""
    for delivery in cases(name):
        try:
            payload = payload_of(delivery)
        except ValueError:
            continue
        for worse in spoilt(payload):
            ids(name, with_payload(delivery, worse))
