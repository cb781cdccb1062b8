"""The company of the campaigns: what it plans to write, and what its books must then be.

Each order is one customer with three invoices: A is credited in part, B is a draft that is changed, C is voided. That
is an intent or more for every operation of the Xero connector, and a write-back into Salesforce for each customer.
What must be in the books is computed here from the order alone; how it is read from the sandbox is in oracle.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from tieout.connectors import exact_json
from tieout.delivery.bodies import placeholder
from tieout.delivery.intents import NewIntent
from tieout.model.identity import doc_uid, idempotency_key

LINK, SOURCE, LEDGER, CRM = "chaos", "salesforce_chaos", "xero_chaos", "salesforce_chaos"
RUN = UUID("00000000-0000-4000-8000-00000000c405")
DAY = "2026-06-01"
VAT = Decimal("0.20")

#: `intent.kind` of each operation: workers are told by it what to take.
OPERATIONS = {
    "customer": "contacts.create",
    "customer_change": "contacts.update",
    "invoice": "invoices.create",
    "invoice_change": "invoices.update",
    "void": "invoices.void",
    "credit_memo": "credit_notes.create",
    "allocation": "credit_notes.allocate",
    "write_back": "accounts.write_back",
}
#: What has to be in the books before there is anything of that kind to do.
BEFORE: Mapping[str, tuple[str, ...]] = {
    "customer": (),
    "customer_change": ("customer",),
    "invoice": ("customer",),
    "invoice_change": ("customer", "invoice"),
    "void": ("customer", "invoice"),
    "credit_memo": ("customer",),
    "allocation": ("customer", "invoice", "credit_memo"),
    "write_back": ("customer",),
}


@dataclass(frozen=True)
class Order:
    """One order. `account_id` is its customer's id in the CRM."""

    number: int
    account_id: str

    @property
    def customer(self) -> str:
        return f"C-{self.number}"

    def invoice_number(self, letter: str) -> str:
        return f"INV-{self.number}-{letter}"

    def lines(self, letter: str, *, changed: bool = False) -> list[dict[str, Any]]:
        """Two lines; prices are multiples of five pence, so that the tax of each is exact."""
        first = Decimal(5 * (37 * self.number + ord(letter) + (411 if changed else 0))) / 100
        second = Decimal(5 * (self.number % 90 + 1)) / 100
        common = {"AccountCode": "200", "TaxType": "OUTPUT2"}
        return [
            {"Description": f"Goods of {letter}", "Quantity": self.number % 7 + 1, "UnitAmount": first, **common},
            {"Description": "Delivery", "Quantity": 1, "UnitAmount": second, **common},
        ]

    @property
    def allocated(self) -> Decimal:
        """Far below half of the credit: a second allocation of it would be taken, and seen."""
        return Decimal(self.number % 3 + 1) / 10

    def credit_lines(self) -> list[dict[str, Any]]:
        return self.lines("A")[:1]


@dataclass(frozen=True)
class Wanted:
    """One document that must be in the books, once.

    Attributes:
        table: of the sandbox's state; `Account` is Salesforce's, the others are Xero's.
        key: what it is found by.
        fields: as the sandbox keeps them; a contact is named by its number, documents by theirs.
        doc_uids: the intents that make it what it is; the first one creates it.
    """

    table: str
    key: str
    fields: Mapping[str, Any]
    doc_uids: tuple[str, ...]


@dataclass
class Planned:
    """What a run plans, and what must come of it."""

    intents: list[NewIntent] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)


def uid_of(order: Order, kind: str, letter: str = "") -> str:
    """Identity of one document of an order."""
    return doc_uid(LINK, SOURCE, "Order", f"{order.number}{letter}", kind, 1)


def plan(orders: Sequence[Order]) -> Planned:
    """All intents for the ledger. The write-backs are planned by the worker that confirms a customer."""
    planned = Planned()
    for order in orders:
        _customer(order, planned)
        for letter in "ABC":
            _invoice(order, letter, planned)
        _changes(order, planned)
        _credit(order, planned)
    planned.intents.sort(key=lambda intent: list(OPERATIONS).index(intent.kind))
    return planned


def write_back(order_number: str, account_id: str, vendor_id: str) -> NewIntent:
    """Carries the id of a confirmed customer back to the CRM."""
    uid = doc_uid(LINK, SOURCE, "Order", order_number, "write_back", 1)
    return _new(order_number, "write_back", uid, account_id, {"Tieout_Ledger_Id__c": vendor_id}, CRM, "account")


def _customer(order: Order, planned: Planned) -> None:
    uid, change = uid_of(order, "customer"), uid_of(order, "customer_change")
    name, email = f"Customer {order.number} Ltd", f"accounts{order.number}@example.com"
    body = {"ContactNumber": order.customer, "Name": name, "CompanyNumber": order.account_id}
    planned.intents += [
        _new(str(order.number), "customer", uid, order.customer, body, LEDGER, "account"),
        _new(
            str(order.number), "customer_change", change, order.customer,
            {"ContactID": placeholder(uid), "EmailAddress": email}, LEDGER, "account",
        ),
    ]  # fmt: skip
    fields = {**body, "EmailAddress": email, "ContactStatus": "ACTIVE"}
    planned.wanted.append(Wanted("Contacts", order.customer, fields, (uid, change)))
    back = uid_of(order, "write_back")
    planned.wanted.append(Wanted("Account", order.account_id, {"Tieout_Ledger_Id__c": order.customer}, (back,)))


def _invoice(order: Order, letter: str, planned: Planned) -> None:
    uid, number = uid_of(order, "invoice", letter), order.invoice_number(letter)
    lines = order.lines(letter)
    body = {
        "Type": "ACCREC",
        "InvoiceNumber": number,
        "Contact": {"ContactID": placeholder(uid_of(order, "customer"))},
        "Date": DAY,
        "DueDate": "2026-07-01",
        "LineAmountTypes": "Exclusive",
        "CurrencyCode": "GBP",
        "Reference": f"Order {order.number}",
        "Status": "DRAFT" if letter == "B" else "AUTHORISED",
        "LineItems": lines,
    }
    planned.intents.append(_new(f"{order.number}{letter}", "invoice", uid, number, body, LEDGER, "invoice"))
    uids = {"A": (uid,), "B": (uid, uid_of(order, "invoice_change")), "C": (uid, uid_of(order, "void"))}[letter]
    final = order.lines(letter, changed=letter == "B")
    fields = {
        "Status": {"A": "AUTHORISED", "B": "DRAFT", "C": "VOIDED"}[letter],
        "Contact": order.customer,
        "Date": DAY,
        "CurrencyCode": "GBP",
        "Reference": f"Order {order.number}",
        **_sums(final),
    }
    if letter == "A":
        fields |= {"AmountCredited": order.allocated, "AmountDue": fields["Total"] - order.allocated}
    planned.wanted.append(Wanted("Invoices", number, fields, uids))


def _changes(order: Order, planned: Planned) -> None:
    number = str(order.number)
    for kind, letter, more in (
        ("invoice_change", "B", {"LineItems": order.lines("B", changed=True)}),
        ("void", "C", {"Status": "VOIDED"}),
    ):
        body = {"InvoiceID": placeholder(uid_of(order, "invoice", letter)), **more}
        key = order.invoice_number(letter)
        planned.intents.append(_new(number, kind, uid_of(order, kind), key, body, LEDGER, "invoice"))


def _credit(order: Order, planned: Planned) -> None:
    note, allocation, reference = uid_of(order, "credit_memo"), uid_of(order, "allocation"), f"CR-{order.number}"
    body = {
        "Type": "ACCRECCREDIT",
        "Contact": {"ContactID": placeholder(uid_of(order, "customer"))},
        "Date": DAY,
        "LineAmountTypes": "Exclusive",
        "CurrencyCode": "GBP",
        "Reference": reference,
        "Status": "AUTHORISED",
        "LineItems": order.credit_lines(),
    }
    pair = {
        "CreditNote": {"CreditNoteID": placeholder(note)},
        "Invoice": {"InvoiceID": placeholder(uid_of(order, "invoice", "A"))},
        "Amount": order.allocated,
        "Date": DAY,
    }
    number = str(order.number)
    planned.intents += [
        _new(number, "credit_memo", note, reference, body, LEDGER, "credit_memo"),
        _new(number, "allocation", allocation, reference, pair, LEDGER, "allocation"),
    ]
    sums = _sums(order.credit_lines())
    fields = {
        "Status": "AUTHORISED",
        "Contact": order.customer,
        "Date": DAY,
        "CurrencyCode": "GBP",
        "RemainingCredit": sums["Total"] - order.allocated,
        **sums,
    }
    planned.wanted.append(Wanted("CreditNotes", reference, fields, (note,)))
    applied = {"Amount": order.allocated, "Date": DAY}
    planned.wanted.append(Wanted("Allocations", f"{reference}>{order.invoice_number('A')}", applied, (allocation,)))


def _sums(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    nets = [line["Quantity"] * line["UnitAmount"] for line in lines]
    tax = sum((net * VAT for net in nets), Decimal(0))
    net = sum(nets, Decimal(0))
    kept = [
        (line["Description"], Decimal(line["Quantity"]), line["UnitAmount"], line["AccountCode"], line["TaxType"])
        for line in lines
    ]
    return {"LineItems": kept, "SubTotal": net, "TotalTax": tax, "Total": net + tax}


def _new(source_id: str, kind: str, uid: str, key: str, body: Mapping[str, Any], target: str, entity: str) -> NewIntent:
    operation = OPERATIONS[kind]
    return NewIntent(
        link=LINK,
        target=target,
        doc_uid=uid,
        kind=kind,
        operation=operation,
        revision=1,
        source=SOURCE,
        source_object="Order",
        source_id=source_id,
        natural_key=key,
        idempotency_key=idempotency_key(uid, target, operation),
        body=exact_json.dumps(body),
        entity=entity,
        source_system="salesforce",
        source_entity="order",
        posting_date=date(2026, 3, 1),
    )
