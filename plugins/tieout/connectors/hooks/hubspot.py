"""HubSpot, signature v3: over method, address, body and time stamp, by the app's secret; 5 minutes old at most.

Deliveries come out of order and are repeated for days; `attemptNumber` counts them in the body, so it does not tell two
deliveries apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from tieout.connectors.hooks.notices import (
    Delivery,
    Notice,
    Unreadable,
    matches,
    milliseconds,
    objects,
    parsed,
    word,
)

SIGNATURE, STAMP = "x-hubspot-signature-v3", "x-hubspot-request-timestamp"
OLDEST = timedelta(minutes=5)
#: Subscription's first word, or object type id -> the object's name in the API.
OBJECTS: Mapping[str, str] = {
    "company": "companies", "contact": "contacts", "deal": "deals", "line_item": "line_items", "product": "products",
    "ticket": "tickets", "quote": "quotes", "order": "orders",
    "0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-5": "tickets", "0-7": "products", "0-8": "line_items",
    "0-14": "quotes", "0-123": "orders",
}  # fmt: skip
#: The escapes that are undone in the address before it is signed; others stay as they are.
_ESCAPES = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
_ATTEMPT = re.compile(rb'"attemptNumber"\s*:\s*\d+')


def refusal(delivery: Delivery, keys: Collection[str], now: datetime) -> str | None:
    """Why it is not taken; None when one of the keys signed it in the last 5 minutes.

    `now` may be as far behind the stamp as it may be after it: clocks differ, and a stamp is signed.
    """
    given, stamp = delivery.headers.get(SIGNATURE), delivery.headers.get(STAMP, "")
    if not given:
        return "no_signature"
    at = milliseconds(stamp)
    if at is None:
        return "no_time_stamp"
    if abs(now - at) > OLDEST:
        return "too_old"
    address = _ESCAPES.sub(lambda found: chr(int(found[1], 16)), delivery.url)
    head = f"{delivery.method}{address}".encode()
    return None if matches(given, keys, head + delivery.body + stamp.encode()) else "wrong_signature"


def identity(body: bytes) -> bytes:
    """What makes two deliveries the same one: everything but the count of attempts."""
    return _ATTEMPT.sub(b"", body)


def notices(body: bytes) -> list[Notice]:
    """The records that events are about; a merge is about both, a changed association about its first. Raises
    Unreadable."""
    found = []
    for event in objects(parsed(body), "the body"):
        kind, _, what = word(event, "subscriptionType").partition(".")
        account = str(event["portalId"]) if event.get("portalId") else None
        type_id = str(event.get("objectTypeId") or "")
        name = OBJECTS.get(type_id) or OBJECTS.get(kind) or type_id or kind
        if what == "associationChange":
            found.append(Notice(account, name, word(event, "fromObjectId")))
            continue
        found.append(Notice(account, name, word(event, "objectId")))
        merged = event.get("mergedObjectIds") or []
        if not isinstance(merged, list):
            raise Unreadable("expected a list as mergedObjectIds")
        for one in (event.get("primaryObjectId"), event.get("newObjectId"), *merged):
            if one:
                found.append(Notice(account, name, str(one)))
    return found
