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
        reads: calls that its sending begins with.
    """

    object: str
    act: Literal["create", "update", "delete", "void"]
    key: str
    number: str | None = None
    reads: int = 0

    @property
    def existing(self) -> bool:
        """It changes a document that is there: the body names its Id, and Intuit wants its SyncToken."""
        return self.act != "create"


SHAPES: Mapping[str, Shape] = {
    "contacts.create": Shape("Customer", "create", "DisplayName"),
    "contacts.update": Shape("Customer", "update", "Id", reads=1),
    "invoices.create": Shape("Invoice", "create", "DocNumber", "DocNumber"),
    "invoices.void": Shape("Invoice", "void", "Id", "DocNumber", 1),
    "credit_notes.create": Shape("CreditMemo", "create", "DocNumber", "DocNumber"),
    "credit_notes.void": Shape("CreditMemo", "delete", "Id", "DocNumber", 1),
    "credit_notes.allocate": Shape("Payment", "create", "Line"),
    "refunds.create": Shape("Purchase", "create", "DocNumber", "DocNumber", 2),
    "refunds.apply": Shape("Payment", "create", "Line"),
    "payments.void": Shape("Payment", "void", "Id", reads=1),
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
    # Intuit takes the number of a Purchase a second time unless the company's preference says otherwise; where money
    # leaves, a look before the send costs a call for thirty.
    "refunds.create": Guard.LOOK_UP,
    "refunds.apply": Guard.SHORT_KEY,
}


def operations(time_out: float, latest_apply: float, look_up_lag: float) -> dict[str, Operation]:
    """The declarations. What changes a document reads its SyncToken first, a refund what it names: further calls."""
    return {
        name: Operation(
            name,
            _GUARDS.get(name, Guard.DURABLE_KEY),
            1 if shape.act == "void" else BATCH,
            shape.act == "create",
            time_out * (1 + shape.reads),
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
    """(credit memo, what it is set against) of a Payment that links these two alone; None for any other.

    Of an invoice it is the id, of a purchase that paid the credit back its kind and id.
    """
    credits: set[str] = set()
    others: set[str] = set()
    for line in payment.get("Line") or []:
        for link in (line.get("LinkedTxn") or []) if isinstance(line, dict) else []:
            if isinstance(link, dict):
                kind, id_ = str(link.get("TxnType")), str(link.get("TxnId"))
                (credits if kind == "CreditMemo" else others).add(id_ if kind == "Invoice" else f"{kind}:{id_}")
    if len(credits) != 1 or len(others) != 1:
        return None
    return credits.pop().removeprefix("CreditMemo:"), others.pop()


def is_void(document: Mapping[str, Any]) -> bool:
    """Whether a sales document is voided: Intuit leaves it with amounts of zero, and notes it."""
    note = str(document.get("PrivateNote") or "")
    return not number_of(document.get("TotalAmt")) and note.lower().startswith("voided")
