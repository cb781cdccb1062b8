"""What the client that is calling may see and do: rights by object, and fields that are hidden from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce.errors import refused
from sandbox.salesforce.fields import Field, SObject
from sandbox.salesforce.org import USER_ID

RIGHTS = frozenset(("read", "create", "update", "delete"))


@dataclass(frozen=True, slots=True)
class Access:
    """Objects that are not in `objects` are open to everything; those in `hidden` are not even seen."""

    consumer_key: str
    user_id: str
    objects: Mapping[str, frozenset[str]]
    hidden: frozenset[str]  # "Order.Freight__c"

    def may(self, right: str, sobject: SObject) -> bool:
        allowed = self.objects.get(sobject.name)
        return allowed is None or right in allowed

    def sees(self, sobject: SObject, field: Field) -> bool:
        return not self.hidden or f"{sobject.name}.{field.name}" not in self.hidden

    def require(self, right: str, sobject: SObject) -> None:
        """Raises Refused (403) when the client's user lacks the right."""
        if not self.may(right, sobject):
            code = "INSUFFICIENT_ACCESS_OR_READONLY"
            raise refused(code, "insufficient access rights on object id", status=403)


def of_client(consumer_key: str, client: Mapping[str, Any]) -> Access:
    """The access of a registered client."""
    objects = {name: frozenset(rights) for name, rights in client.get("objects", {}).items()}
    return Access(consumer_key, client.get("user_id", USER_ID), objects, frozenset(client.get("hidden_fields", ())))
