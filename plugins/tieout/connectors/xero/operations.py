"""The operations of docs/architecture.md, "What Tieout writes into Xero", and where each finds its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tieout.connectors.base import Guard, Operation
from tieout.connectors.xero.read import is_guid

BATCH = 50  # elements of one request; Xero advises no more, and takes at most 3.5 MB


@dataclass(frozen=True, slots=True)
class Shape:
    """How one operation is sent.

    Attributes:
        method, path: of the request; a `{}` of the path is the id that the body names at `of`: one document a call.
        answer: the list in body and answer.
        id: the vendor's id in an element of the answer.
        key: the field that an element of the answer shares with the item that was sent.
        number: the field with the number that people see.
        bare: the body goes as it is, not as the one element of a list.
    """

    method: str
    path: str
    answer: str
    id: str
    key: str
    number: str | None = None
    of: tuple[str, ...] = ()
    bare: bool = False

    @property
    def object(self) -> str:
        """What is read to find it again."""
        return self.path.partition("/")[0]


SHAPES: Mapping[str, Shape] = {
    "contacts.create": Shape("PUT", "Contacts", "Contacts", "ContactID", "ContactNumber", "AccountNumber"),
    "contacts.update": Shape("POST", "Contacts", "Contacts", "ContactID", "ContactID", "AccountNumber"),
    "invoices.create": Shape("PUT", "Invoices", "Invoices", "InvoiceID", "InvoiceNumber", "InvoiceNumber"),
    "invoices.update": Shape("POST", "Invoices", "Invoices", "InvoiceID", "InvoiceID", "InvoiceNumber"),
    "invoices.void": Shape("POST", "Invoices", "Invoices", "InvoiceID", "InvoiceID", "InvoiceNumber"),
    "credit_notes.create": Shape("PUT", "CreditNotes", "CreditNotes", "CreditNoteID", "Reference", "CreditNoteNumber"),
    "credit_notes.void": Shape(
        "POST", "CreditNotes", "CreditNotes", "CreditNoteID", "CreditNoteID", "CreditNoteNumber"
    ),
    "credit_notes.allocate": Shape(
        "PUT", "CreditNotes/{}/Allocations", "Allocations", "AllocationID", "Invoice", of=("CreditNote", "CreditNoteID")
    ),
    "refunds.create": Shape("PUT", "Payments", "Payments", "PaymentID", "Reference"),
    "payments.void": Shape("POST", "Payments/{}", "Payments", "PaymentID", "PaymentID", of=("PaymentID",), bare=True),
}
_GUARDS = {
    "invoices.create": Guard.NATURAL_KEY,
    "contacts.create": Guard.SHORT_KEY,
    "credit_notes.create": Guard.SHORT_KEY,
    "credit_notes.allocate": Guard.SHORT_KEY,
    # Xero keeps a key for minutes here too; where money leaves, a look before the send costs a call for fifty.
    "refunds.create": Guard.LOOK_UP,
}
_CREATING = {
    "contacts.create", "invoices.create", "credit_notes.create", "credit_notes.allocate", "refunds.create",
}  # fmt: skip
_REPEATABLE = {"contacts.update", "invoices.update", "invoices.void", "credit_notes.void", "payments.void"}


def operations(time_out: float, latest_apply: float, look_up_lag: float) -> dict[str, Operation]:
    """The declarations. Updates and voids name a record by its id: doing them twice is doing them once."""
    return {
        name: Operation(
            name,
            _GUARDS.get(name, Guard.DURABLE_KEY),
            1 if SHAPES[name].of else BATCH,
            name in _CREATING,
            time_out,
            latest_apply,
            look_up_lag,
            repeatable=name in _REPEATABLE,
        )
        for name in SHAPES
    }


def document_of(shape: Shape, body: Mapping[str, Any]) -> str | None:
    """The id that the path names, in lower case; None where the body has none."""
    value: Any = body
    for name in shape.of:
        value = value.get(name) if isinstance(value, dict) else None
    return value.lower() if isinstance(value, str) and is_guid(value) else None


def key_of(shape: Shape, element: Mapping[str, Any]) -> str | None:
    """The element's key: ids in lower case, texts without blanks at their ends; None when it has none."""
    value = element.get(shape.key)
    if isinstance(value, dict):  # the invoice of an allocation
        value = value.get("InvoiceID")
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip()
    return text.lower() if shape.key.endswith("ID") or shape.key == "Invoice" else text
