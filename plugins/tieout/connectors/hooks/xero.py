"""Xero: `x-xero-signature` over the raw body; events name a category, an id and a tenant.

A wrong signature has to be answered with 401 and an empty body, a right one with 200 and an empty body within 5 s; the
"intent to receive" that Xero sends when the address is entered is the same rule over an empty list of events.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from tieout.connectors.hooks.notices import Delivery, Notice, Unreadable, objects, parsed, refusal_of, word

SIGNATURE = "x-xero-signature"
#: Event category -> the endpoint that has the record. A category that is not here keeps its own name.
OBJECTS: Mapping[str, str] = {
    "CONTACT": "Contacts", "INVOICE": "Invoices", "CREDITNOTE": "CreditNotes", "PAYMENT": "Payments",
    "OVERPAYMENT": "Overpayments", "PREPAYMENT": "Prepayments", "ITEM": "Items",
}  # fmt: skip


def refusal(delivery: Delivery, keys: Collection[str], now: datetime) -> str | None:
    """Why it is not taken; None when one of the keys signed it."""
    return refusal_of(SIGNATURE, delivery, keys)


def notices(body: bytes) -> list[Notice]:
    """The records that events are about; none in an intent to receive. Raises Unreadable."""
    sent = parsed(body)
    if not isinstance(sent, dict):
        raise Unreadable("expected an object with events")
    return [
        Notice(word(event, "tenantId"), _object(word(event, "eventCategory")), word(event, "resourceId").lower())
        for event in objects(sent.get("events"), "events")
    ]


def _object(category: str) -> str:
    return OBJECTS.get(category, category)
