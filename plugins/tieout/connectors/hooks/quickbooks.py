"""QuickBooks Online: `intuit-signature` over the raw body, with the app's verifier token.

Two shapes of body are understood: `eventNotifications` by company, and the list of CloudEvents that Intuit moves to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from tieout.connectors.hooks.notices import Delivery, Notice, Unreadable, objects, parsed, refusal_of, word

SIGNATURE = "intuit-signature"
#: The CloudEvents' types are in lower case; entities of more than one word are named here.
OBJECTS: Mapping[str, str] = {
    "creditmemo": "CreditMemo", "salesreceipt": "SalesReceipt", "refundreceipt": "RefundReceipt", "taxcode": "TaxCode",
    "taxrate": "TaxRate", "companycurrency": "CompanyCurrency", "exchangerate": "ExchangeRate",
}  # fmt: skip


def refusal(delivery: Delivery, keys: Collection[str], now: datetime) -> str | None:
    """Why it is not taken; None when one of the keys signed it."""
    return refusal_of(SIGNATURE, delivery, keys)


def notices(body: bytes) -> list[Notice]:
    """The records that events are about; of a merge, the one that is gone too. Raises Unreadable."""
    sent = parsed(body)
    if isinstance(sent, list):
        return [_cloud_event(event) for event in objects(sent, "the body")]
    if not isinstance(sent, dict):
        raise Unreadable("expected eventNotifications, or a list of events")
    return [one for part in objects(sent.get("eventNotifications"), "eventNotifications") for one in _of_company(part)]


def _of_company(part: Mapping[str, Any]) -> Iterator[Notice]:
    change = part.get("dataChangeEvent")
    if not isinstance(change, dict):
        raise Unreadable("expected dataChangeEvent in every notification")
    realm = word(part, "realmId")
    for entity in objects(change.get("entities"), "entities"):
        name = word(entity, "name")
        yield Notice(realm, name, word(entity, "id"))
        if entity.get("deletedId"):
            yield Notice(realm, name, str(entity["deletedId"]))


def _cloud_event(event: Mapping[str, Any]) -> Notice:
    parts = word(event, "type").split(".")  # qbo.invoice.created.v1
    if len(parts) < 3:
        raise Unreadable("expected a type such as qbo.invoice.created.v1 in every event")
    name = OBJECTS.get(parts[1].lower(), parts[1].capitalize())
    return Notice(word(event, "intuitaccountid"), name, word(event, "intuitentityid"))
