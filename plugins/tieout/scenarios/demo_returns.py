"""A day on which the demo's customers send goods back: each kind of return, and each kind of bad one.

Sales enters them through Salesforce's API, after the first run has billed the orders; doing it again does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, VendorFault
from tieout.scenarios.crm_load import KEY_FIELD, ConnectorCrm, CrmRecord, Ref, load
from tieout.scenarios.demo_books import DemoBooks, Outcome
from tieout.scenarios.demo_credit import credit_plan
from tieout.scenarios.ledger_hand import LedgerHand

APPROVED = "Approved"
FEE = Decimal("5.00")
#: finance_day works on the first invoices, sales_day on the last clean orders; a returned order is none of these.
SKIPPED_FIRST, SKIPPED_LAST = 20, 2


@dataclass(frozen=True, slots=True)
class ReturnDeed:
    """A return that was entered: of which order (its number), what kind, and what must become of it."""

    number: str
    kind: str
    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Wish:
    """`quantity` None: everything of every line; else so much of the first one. `paid`: its invoice was paid before."""

    kind: str
    quantity: Decimal | None = Decimal(1)
    fee: Decimal | None = None
    reason: str = "Not Satisfied"
    currency: str = "GBP"
    billed: bool = True
    paid: bool = False
    outcome: Outcome = "posted"
    held_for: str | None = None


WISHES = (
    _Wish("full", quantity=None),
    _Wish("in part"),
    _Wish("with a restocking fee", fee=FEE),
    _Wish("damaged", reason="Damaged"),
    _Wish("of a paid invoice", paid=True),
    _Wish("of an order without an invoice", billed=False, outcome="held", held_for="invoice_unknown"),
    _Wish("more than sold", quantity=Decimal(1_000), outcome="held", held_for="more_than_sold"),
    _Wish("in another currency", currency="EUR", outcome="held", held_for="currency_differs"),
)


def returns_day(crm: Connection, ledger: Connection, books: DemoBooks, on: date) -> tuple[ReturnDeed, ...]:
    """Sales enters a return of each kind; finance has taken the money for one of the orders. Once.

    Args:
        on: the date of that payment; must be in the open period.

    Raises:
        ConfigurationFault: the demo's orders are not billed yet.
        VendorFault: the sandbox refused something.
    """
    connector = SalesforceConnector(crm)
    try:
        hand = ConnectorCrm(connector)
        orders = {str(row[KEY_FIELD]): row for row in hand.rows("Order", [KEY_FIELD, "OrderNumber"])}
        chosen = _chosen(books)
        if not chosen.keys() <= orders.keys():
            raise ConfigurationFault("the demo's orders are not in the CRM: load the demo's books first")
        wishes = dict(zip(chosen, WISHES, strict=True))
        made = _enter(hand, books, wishes, {key: str(row["Id"]) for key, row in orders.items()})
    finally:
        connector.close()
    if not made:
        return ()
    with LedgerHand(ledger) as finance:
        for key, wish in wishes.items():
            if wish.paid:
                _take_money(finance, str(orders[key]["Id"]), on)
    return tuple(
        ReturnDeed(str(orders[key]["OrderNumber"]), wish.kind, wish.outcome, wish.held_for)
        for key, wish in wishes.items()
    )


def _chosen(books: DemoBooks) -> dict[str, Sequence[CrmRecord]]:
    """Order -> its lines, one order for each wish: clean ones in pounds whose first line is two pieces or more.

    Customers whose credit the demo plays with are left alone: a return would give them room.
    """
    lines: dict[str, list[CrmRecord]] = {}
    for record in books.records["OrderItem"]:
        lines.setdefault(record.fields["OrderId"].key, []).append(record)
    quoted = {record.key for record in books.records["Order"] if "QuoteId" in record.fields}
    accounts = {record.key: record.fields["AccountId"].key for record in books.records["Order"]}
    credit = credit_plan(books)
    tight = {accounts[credit.held], accounts[credit.blocked]}
    clean = [
        key for key, expected in books.expectations.items()
        if expected.dirt is None and expected.currency == "GBP" and key not in quoted
        and accounts[key] not in tight and lines[key][0].fields["Quantity"] >= 2
        and lines[key][0].fields["UnitPrice"] > FEE
    ]  # fmt: skip
    billed = [key for key in clean if books.expectations[key].outcome == "posted"][SKIPPED_FIRST:-SKIPPED_LAST]
    drafts = [key for key in clean if books.expectations[key].outcome == "not_billable"]
    found = {(billed if wish.billed else drafts).pop(0): wish for wish in WISHES}
    return {key: lines[key] for key in found}


def _enter(crm: ConnectorCrm, books: DemoBooks, wishes: dict[str, _Wish], orders: dict[str, str]) -> bool:
    """Drafts first: nobody reads a return without its lines. Whether anything was new."""
    items = {str(row[KEY_FIELD]): str(row["Id"]) for row in crm.rows("OrderItem", [KEY_FIELD])}
    lines = _chosen(books)
    heads, parts = [], []
    for order, wish in wishes.items():
        key = order.replace(":order:", ":return:")
        heads.append(CrmRecord("ReturnOrder", key, {
            KEY_FIELD: key, "OrderId": orders[order], "Status": "Draft", "CurrencyIsoCode": wish.currency,
            "Restocking_Fee__c": wish.fee,
        }))  # fmt: skip
        parts += list(_lines(key, wish, lines[order], items))
    loaded = load(crm, {"ReturnOrder": heads, "ReturnOrderLineItem": parts})
    if loaded.refused:
        key, reason = loaded.refused[0]
        raise VendorFault(f"{len(loaded.refused)} demo returns were refused; the first, {key}: {reason}")
    if not loaded.wrote:
        return False
    answers = crm.update("ReturnOrder", [{"Id": loaded.ids[head.key], "Status": APPROVED} for head in heads])
    if failed := [one.error for one in answers if one.id is None]:
        raise VendorFault(f"{len(failed)} demo returns were not approved; the first: {failed[0]}")
    return True


def _lines(key: str, wish: _Wish, sold: Sequence[CrmRecord], items: dict[str, str]) -> Iterator[CrmRecord]:
    for number, line in enumerate(sold if wish.quantity is None else sold[:1], start=1):
        line_key = f"{key.replace(':return:', ':returnline:')}:{number}"
        fields: dict[str, Any] = {
            KEY_FIELD: line_key, "ReturnOrderId": Ref(key), "OrderItemId": items[line.key],
            "QuantityReturned": line.fields["Quantity"] if wish.quantity is None else wish.quantity,
            "ReasonForReturn": wish.reason, "CurrencyIsoCode": wish.currency,
        }  # fmt: skip
        yield CrmRecord("ReturnOrderLineItem", line_key, fields)


def _take_money(finance: LedgerHand, order_id: str, on: date) -> None:
    found = [one for one in finance.all("Invoices", where='Status=="AUTHORISED"') if order_id in (one.get("Url") or "")]
    if not found:
        raise ConfigurationFault(f"order {order_id} has no open invoice: run quote-to-cash first")
    finance.pay(found[0]["InvoiceID"], found[0]["AmountDue"], on)
