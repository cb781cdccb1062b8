"""Which vendor signs and speaks how. Salesforce has no signed webhooks of this kind, so it is not here."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from tieout.connectors.hooks import hubspot, quickbooks, xero
from tieout.connectors.hooks.notices import Delivery, Notice
from tieout.model.connection import Connection


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor's webhooks.

    Attributes:
        refusal: delivery, keys, now -> why it is not taken, None when it is.
        notices: body -> the records that it is about; raises Unreadable.
        identity: body -> the bytes that make two deliveries the same one.
        headers: names in lower case of those that are kept beside the body.
        account: name of the connection's extra field with the vendor's account.
        id: what an id looks like; another is of no record.
    """

    refusal: Callable[[Delivery, Collection[str], datetime], str | None]
    notices: Callable[[bytes], list[Notice]]
    headers: tuple[str, ...]
    account: str
    id: re.Pattern[str]
    identity: Callable[[bytes], bytes] = bytes


_NUMBER = re.compile(r"[0-9]{1,20}")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

HOOKS: Mapping[str, Vendor] = {
    "xero": Vendor(xero.refusal, xero.notices, (xero.SIGNATURE,), "tenant_id", _GUID),
    "hubspot": Vendor(
        hubspot.refusal, hubspot.notices, (hubspot.SIGNATURE, hubspot.STAMP), "portal_id", _NUMBER, hubspot.identity
    ),
    "quickbooks": Vendor(quickbooks.refusal, quickbooks.notices, (quickbooks.SIGNATURE,), "realm_id", _NUMBER),
}

#: Fields of a connection's extra: the key, the one before it while it rotates, and the address as the vendor has it.
KEY, KEY_BEFORE, URL = "webhook_key", "webhook_key_before", "webhook_url"


def keys(connection: Connection) -> tuple[str, ...]:
    """The keys that a delivery may be signed with; none: the connection takes no webhooks."""
    given = (connection.extra.get(KEY), connection.extra.get(KEY_BEFORE))
    if not given[0]:
        return ()
    return tuple(str(key).strip() for key in given if key)
