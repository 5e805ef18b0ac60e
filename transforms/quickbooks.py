"""QuickBooks changes become <prefix>/<entity>.<operation>, CloudEvents <prefix>/<type>: quickbooks/Invoice.Create."""

from __future__ import annotations

from typing import Any

from gateway import Delivery, Event, Skip, get, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per changed entity, with the company it is of; a list at the top is of CloudEvents."""
    payload = delivery.json()
    companies = get(payload, "/eventNotifications")
    if not isinstance(companies, list):
        return split(delivery, item_id="/id", item_type="/type", item_time="/time")
    return split(
        delivery,
        [item for company in companies for item in _entities(company)],
        item_id="",
        item_type=("/name", "/operation"),
        item_time="/lastUpdated",
    )


def _entities(company: Any) -> list[Any]:
    entities = get(company, "/dataChangeEvent/entities")
    if not isinstance(entities, list):
        return [company]
    realm = get(company, "/realmId")
    return [{"realmId": realm, **entity} if isinstance(entity, dict) else entity for entity in entities]
