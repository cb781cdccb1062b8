"""The demo's ledger before the first run: currencies, items, lock date, customers, a number that is taken."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tieout.model.connection import Connection
from tieout.scenarios.crm_load import CrmRecord
from tieout.scenarios.demo_books import DemoBooks, load_price_list
from tieout.scenarios.demo_dirt import LEDGER_TAX_ID
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.ledger_hand import LedgerHand

FREIGHT = {"Code": "FREIGHT", "Name": "Freight", "IsSold": True}
#: What the ledger's day rate is, foreign units per GBP; the CRM's dated rates are in include/demo/products.yaml.
DAY_RATES = {"EUR": "1.1622", "USD": "1.2718", "JPY": "192.55"}
MAX_NAME = 50  # characters of an item's name in Xero


@dataclass(frozen=True, slots=True)
class LedgerSetup:
    """What was made; all zero and False when it was there already."""

    items: int
    contacts: int
    invoice_by_hand: bool


def setup_ledger(ledger: Connection, sandbox_url: str, books: DemoBooks, taken_order_number: str) -> LedgerSetup:
    """Prepares the sandbox's Xero. Running it again changes nothing.

    Args:
        taken_order_number: OrderNumber of the order whose invoice number somebody in finance uses first
            (`SeedReport.taken_order_number`).
    """
    prices = load_price_list()
    doors = Doors(sandbox_url)
    doors.settings(
        "xero",
        base_currency="GBP",
        currencies=list(prices.factors),
        rates=DAY_RATES,
    )
    items = [{"Code": product.code, "Name": product.name[:MAX_NAME], "IsSold": True} for product in prices.products]
    with LedgerHand(ledger) as hand:
        made_items = make_items(hand, [*items, FREIGHT])
        known = {contact["Name"] for contact in hand.all("Contacts")}
        contacts = [contact for contact in _known_customers(books) if contact["Name"] not in known]
        if contacts:
            hand.create("Contacts", contacts)
        number = f"INV-{taken_order_number}"
        by_hand = not hand.all("Invoices", InvoiceNumbers=number)
        if by_hand:
            hand.invoice(number, {"Name": "Walk-in customer"}, Decimal("75.00"), books.today)
    # Last, so that it stands in nobody's way here.
    doors.settings("xero", period_lock_date=books.locked_until.isoformat())
    return LedgerSetup(made_items, len(contacts), by_hand)


def make_items(hand: LedgerHand, items: list[dict[str, Any]]) -> int:
    """Creates the items whose codes the ledger does not have; how many."""
    there = {item["Code"] for item in hand.all("Items")}
    missing = [item for item in items if item["Code"] not in there]
    if missing:
        hand.create("Items", missing)
    return len(missing)


def _known_customers(books: DemoBooks) -> list[dict[str, Any]]:
    """Customers of finance that the special accounts of the CRM are to be matched with, or to be confused with."""
    by_kind: dict[str, CrmRecord] = {}
    for expected in books.expectations.values():
        if expected.dirt in ("known_by_tax_id", "known_by_name_and_address", "ambiguous_in_ledger"):
            account = books.record("Order", expected.order).fields["AccountId"].key
            by_kind[expected.dirt] = books.record("Account", account)
    same_place = by_kind["known_by_name_and_address"].fields
    twice = by_kind["ambiguous_in_ledger"].fields["Name"]
    return [
        {"Name": "Northern Ledger Name (Holdings)", "TaxNumber": LEDGER_TAX_ID},
        {"Name": same_place["Name"].upper(), "Addresses": [_address(same_place)]},
        {"Name": f"{twice},", "Addresses": [{"AddressType": "POBOX", "City": "Truro", "PostalCode": "TR1 2HQ"}]},
        {"Name": f"{twice}.", "Addresses": [{"AddressType": "POBOX", "City": "Perth", "PostalCode": "PH1 5EN"}]},
        {"Name": "Walk-in customer"},
    ]


def _address(fields: Any) -> dict[str, str]:
    return {
        "AddressType": "POBOX",
        "City": fields["BillingCity"],
        "PostalCode": fields["BillingPostalCode"],
        "Country": fields["BillingCountry"],
    }
