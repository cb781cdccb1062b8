"""The operations of docs/architecture.md for QuickBooks, and where each finds its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tieout.connectors.base import Guard, Operation
from tieout.connectors.comparing import number_of

BATCH = 30  # items of one batch, Intuit's most


@dataclass(frozen=True, slots=True)
class Shape:
    """How one operation is sent.

    Attributes:
        object: the entity; the key of an item in a batch, and of its result.
        act: what is done. `void` is a call of its own, everything else goes into a batch.
        key: the field by which the document is found again: a number or name of ours, or its id.
        number: the field with the number that people see.
    """

    object: str
    act: Literal["create", "update", "delete", "void"]
    key: str
    number: str | None = None

    @property
    def existing(self) -> bool:
        """It changes a document that is there: the body names its Id, and Intuit wants its SyncToken."""
        return self.act != "create"


SHAPES: Mapping[str, Shape] = {
    "contacts.create": Shape("Customer", "create", "DisplayName"),
    "contacts.update": Shape("Customer", "update", "Id"),
    "invoices.create": Shape("Invoice", "create", "DocNumber", "DocNumber"),
    "invoices.void": Shape("Invoice", "void", "Id", "DocNumber"),
    "credit_notes.create": Shape("CreditMemo", "create", "DocNumber", "DocNumber"),
    "credit_notes.void": Shape("CreditMemo", "delete", "Id", "DocNumber"),
    "credit_notes.allocate": Shape("Payment", "create", "Line"),
    "payments.void": Shape("Payment", "void", "Id"),
}
#: Path and parameters of a void.
VOIDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "Invoice": ("invoice", {"operation": "void"}),
    "Payment": ("payment", {"operation": "update", "include": "void"}),
}
_GUARDS = {
    "invoices.create": Guard.NATURAL_KEY,
    "contacts.create": Guard.NATURAL_KEY,
    "credit_notes.create": Guard.SHORT_KEY,
    "credit_notes.allocate": Guard.SHORT_KEY,
}


def operations(time_out: float, latest_apply: float, look_up_lag: float) -> dict[str, Operation]:
    """The declarations. What changes a document reads its SyncToken first: that is a second call."""
    return {
        name: Operation(
            name,
            _GUARDS.get(name, Guard.DURABLE_KEY),
            1 if shape.act == "void" else BATCH,
            shape.act == "create",
            time_out * (2 if shape.existing else 1),
            latest_apply,
            look_up_lag,
            repeatable=shape.existing,
        )
        for name, shape in SHAPES.items()
    }


def key_of(shape: Shape, element: Mapping[str, Any]) -> str | None:
    """The element's key: the id as it is; names and numbers without regard to case, as Intuit compares them."""
    if shape.key == "Line":
        pair = application_of(element)
        return None if pair is None else "/".join(pair)
    value = element.get(shape.key)
    if not isinstance(value, str) or not value.strip():
        return None
    return value.strip() if shape.key == "Id" else value.strip().casefold()


def application_of(payment: Mapping[str, Any]) -> tuple[str, str] | None:
    """(credit memo, invoice) of a Payment that sets one against the other; None for any other."""
    found: dict[str, set[str]] = {"CreditMemo": set(), "Invoice": set()}
    for line in payment.get("Line") or []:
        for link in (line.get("LinkedTxn") or []) if isinstance(line, dict) else []:
            if isinstance(link, dict):
                found.setdefault(str(link.get("TxnType")), set()).add(str(link.get("TxnId")))
    if any(len(ids) != 1 for ids in found.values()):
        return None
    return found["CreditMemo"].pop(), found["Invoice"].pop()


def is_void(document: Mapping[str, Any]) -> bool:
    """Whether a sales document is voided: Intuit leaves it with amounts of zero, and notes it."""
    note = str(document.get("PrivateNote") or "")
    return not number_of(document.get("TotalAmt")) and note.lower().startswith("voided")
