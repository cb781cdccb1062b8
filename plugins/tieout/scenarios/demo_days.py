"""What happens in the demo on later days: finance takes money, credits, voids; sales changes, cancels and mends.

Each function does it through the vendors' own APIs and returns what it did, so that a test can compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, VendorFault
from tieout.scenarios.crm_load import KEY_FIELD, ConnectorCrm
from tieout.scenarios.demo_books import DemoBooks
from tieout.scenarios.ledger_hand import LedgerHand

MADE_BY_HAND = "MAN-0001"
HALF = Decimal("0.5")
#: Invoices that finance_day touches; the first ones in pounds, by number.
NEEDED = 6


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that somebody did.

    `kind`: paid, part_paid, paid_twice, credited, refunded, voided, raised (finance; `number` is the invoice's,
    `amount` gross in pounds), changed, cancelled, mended (sales; `number` is the order's, `detail` the dirt's kind).
    """

    kind: Literal[
        "paid", "part_paid", "paid_twice", "credited", "refunded", "voided", "raised", "changed", "cancelled", "mended"
    ]
    number: str
    amount: Decimal | None = None
    detail: str = ""


def finance_day(ledger: Connection, on: date) -> tuple[Deed, ...]:
    """Finance works on six invoices that Tieout posted, and raises one by hand. Doing it again does nothing.

    Args:
        on: the date of all payments and documents; must be in the open period.

    Raises:
        ConfigurationFault: fewer than six open invoices in pounds are there.
    """
    with LedgerHand(ledger) as hand:
        if hand.all("Invoices", InvoiceNumbers=MADE_BY_HAND):
            return ()
        posted = [
            invoice
            for invoice in hand.all("Invoices", where='Status=="AUTHORISED"')
            if invoice.get("Url") and invoice["CurrencyCode"] == "GBP" and invoice["Type"] == "ACCREC"
        ]
        posted.sort(key=lambda invoice: str(invoice["InvoiceNumber"]))
        if len(posted) < NEEDED:
            raise ConfigurationFault(f"finance_day needs {NEEDED} posted invoices in GBP; found {len(posted)}")
        return tuple(_finance(hand, posted, on))


def _finance(hand: LedgerHand, posted: Sequence[dict[str, Any]], on: date) -> list[Deed]:
    full, part, twice, refunded, credited, voided = posted[:NEEDED]
    deeds = []
    hand.pay(full["InvoiceID"], full["AmountDue"], on)
    deeds.append(Deed("paid", full["InvoiceNumber"], full["AmountDue"]))
    half = (part["AmountDue"] * HALF).quantize(Decimal("0.01"))
    hand.pay(part["InvoiceID"], half, on)
    deeds.append(Deed("part_paid", part["InvoiceNumber"], half))
    first = (twice["AmountDue"] * HALF).quantize(Decimal("0.01"))
    hand.pay(twice["InvoiceID"], first, on)
    hand.pay(twice["InvoiceID"], twice["AmountDue"] - first, on)
    deeds.append(Deed("paid_twice", twice["InvoiceNumber"], twice["AmountDue"]))
    hand.pay(refunded["InvoiceID"], refunded["AmountDue"], on)
    note = hand.credit(
        refunded["Contact"]["ContactID"], Decimal("10.00"), on, "GBP", reference=refunded["InvoiceNumber"]
    )
    hand.pay_back(note["CreditNoteID"], note["RemainingCredit"], on)
    deeds.append(Deed("refunded", refunded["InvoiceNumber"], note["Total"], str(note["CreditNoteNumber"])))
    note = hand.credit(credited["Contact"]["ContactID"], Decimal("1.00"), on, "GBP")
    hand.allocate(note["CreditNoteID"], credited["InvoiceID"], note["RemainingCredit"], on)
    deeds.append(Deed("credited", credited["InvoiceNumber"], note["Total"], str(note["CreditNoteNumber"])))
    hand.void(voided["InvoiceID"])
    deeds.append(Deed("voided", voided["InvoiceNumber"], voided["Total"]))
    raised = hand.invoice(MADE_BY_HAND, {"ContactID": full["Contact"]["ContactID"]}, Decimal("42.00"), on)
    deeds.append(Deed("raised", MADE_BY_HAND, raised["Total"]))
    return deeds


def sales_day(crm: Connection, books: DemoBooks) -> tuple[Deed, ...]:
    """Sales changes the quantity of one posted order, cancels another, and mends four kinds of dirt.

    The orders are the last clean ones of the books, so that finance_day, which takes the first, meets others. Doing it
    again does nothing.
    """
    connector = SalesforceConnector(crm)
    try:
        return tuple(_sales(ConnectorCrm(connector), books))
    finally:
        connector.close()


def _sales(crm: ConnectorCrm, books: DemoBooks) -> list[Deed]:
    orders = {str(row[KEY_FIELD]): row for row in crm.rows("Order", [KEY_FIELD, "OrderNumber", "Status"])}
    lines = {str(row[KEY_FIELD]): str(row["Id"]) for row in crm.rows("OrderItem", [KEY_FIELD])}
    quoted = {record.key for record in books.records["Order"] if "QuoteId" in record.fields}
    clean = [
        key
        for key, expected in books.expectations.items()
        if expected.outcome == "posted" and expected.dirt is None and key not in quoted and expected.currency == "GBP"
    ]
    changed, cancelled = clean[-1], clean[-2]
    if orders[cancelled]["Status"] == "Cancelled":
        return []
    deeds = [_change_quantity(crm, books, orders[changed], changed, lines)]
    _save(crm, "Order", {"Id": orders[cancelled]["Id"], "Status": "Cancelled"})
    deeds.append(Deed("cancelled", str(orders[cancelled]["OrderNumber"])))
    for key, expected in books.expectations.items():
        first_line = lines.get(key.replace(":order:", ":orderitem:") + ":1", "")
        mends: dict[str, tuple[str, dict[str, Any]]] = {
            "tax_code_unknown": ("OrderItem", {"Id": first_line, "Tax_Code__c": "standard"}),
            "text_in_freight": ("Order", {"Id": orders[key]["Id"], "Freight__c": Decimal("12.00")}),
            "negative_quantity": ("OrderItem", {"Id": first_line, "Quantity": Decimal(3)}),
            "date_null": ("Order", {"Id": orders[key]["Id"], "EffectiveDate": books.today.isoformat()}),
        }
        mend = mends.get(expected.dirt or "")
        if mend:
            _save(crm, *mend)
            deeds.append(Deed("mended", str(orders[key]["OrderNumber"]), detail=expected.dirt or ""))
    return deeds


def _change_quantity(crm: ConnectorCrm, books: DemoBooks, order: Any, key: str, lines: dict[str, str]) -> Deed:
    """One more of the first line: back to draft, changed, activated again, as a person does it."""
    line_key = key.replace(":order:", ":orderitem:") + ":1"
    before = books.record("OrderItem", line_key).fields["Quantity"]
    _save(crm, "Order", {"Id": order["Id"], "Status": "Draft"})
    _save(crm, "OrderItem", {"Id": lines[line_key], "Quantity": before + 1})
    _save(crm, "Order", {"Id": order["Id"], "Status": "Activated"})
    return Deed("changed", str(order["OrderNumber"]), detail=f"quantity of line 1: {before} -> {before + 1}")


def _save(crm: ConnectorCrm, name: str, record: dict[str, Any]) -> None:
    answer = crm.update(name, [record])[0]
    if answer.id is None:
        raise VendorFault(f"{name} {record['Id']} was not changed: {answer.error}")
