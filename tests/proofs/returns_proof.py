"""Returns in a company's books against returns_arithmetic.py: each credit, each customer, what was paid back, stock.

Of the product only the scenarios are called; what is there is read by the APIs of CRM and ledger.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.proofs.company import Company
from tests.proofs.northwind_arithmetic import Expected
from tests.proofs.returns_arithmetic import Back, Credits, credits, plan, sold_lines
from tieout.scenarios import product_sync, returns
from tieout.scenarios.crm_load import KEY_FIELD
from tieout.scenarios.demo_doors import Doors

ORDERS_BACK = 150
BANK = "090"
NOTHING = Decimal(0)


def pays_back(company: Company) -> None:
    """The company's link: what a return leaves open is paid back."""
    settings = company.link.returns.model_copy(update={"of_paid": "refund", "refund_account": BANK})
    company.link = company.link.model_copy(update={"returns": settings})


def enter(company: Company, backs: Sequence[Back]) -> None:
    """Sales enters approved returns, in this order."""
    orders = {row[KEY_FIELD].rsplit(":", 1)[-1]: row["Id"] for row in company.crm_rows("Order", KEY_FIELD)}
    items = {
        tuple(row[KEY_FIELD].rsplit(":", 2)[-2:]): row["Id"] for row in company.crm_rows("OrderItem", KEY_FIELD)
    }  # fmt: skip
    with company.crm_hand() as crm:
        heads = crm.insert("ReturnOrder", [
            {KEY_FIELD: back.key, "OrderId": orders[back.order], "Status": "Approved", "CurrencyIsoCode": "USD",
             "Restocking_Fee__c": back.fee or None}
            for back in backs
        ])  # fmt: skip
        assert all(one.id for one in heads), [one.error for one in heads if not one.id][:3]
        lines = crm.insert("ReturnOrderLineItem", [
            {"ReturnOrderId": head.id, "OrderItemId": items[back.order, part.product], "CurrencyIsoCode": "USD",
             "QuantityReturned": part.quantity, "ReasonForReturn": "Damaged" if part.damaged else "Not Satisfied"}
            for back, head in zip(backs, heads, strict=True) for part in back.parts
        ])  # fmt: skip
        assert all(one.id for one in lines), [one.error for one in lines if not one.id][:3]


def assert_credited(company: Company, wanted: Credits, expected: Expected) -> None:
    """The ledger's credit notes, allocations and refunds, and what the CRM shows, to the cent and each once."""
    keys = {row["Tieout_Credit_Id__c"]: row for row in company.crm_rows(
        "ReturnOrder", KEY_FIELD, "Tieout_Credit_Id__c", "Tieout_Credit_Total__c", "Tieout_Credit_Open__c"
    )}  # fmt: skip
    with company.hand() as hand:
        notes = {keys[one["CreditNoteID"]][KEY_FIELD]: one for one in hand.all("CreditNotes")}
        assert len(hand.all("CreditNotes")) == len(notes) == len(wanted.credited)
        contacts = {one["ContactID"]: one["ContactNumber"] for one in hand.all("Contacts")}
        paid_back = [one for one in hand.all("Payments") if one["PaymentType"] == "ARCREDITPAYMENT"]
        due = {one["Reference"]: one["AmountDue"] for one in hand.all("Invoices")}
    assert {key: one["Total"] for key, one in notes.items()} == wanted.credited
    assert {key: _sum(one["Allocations"]) for key, one in notes.items()} == wanted.allocated
    refunds = {one["CreditNoteID"]: NOTHING for one in notes.values()}
    for one in paid_back:
        refunds[one["Invoice"]["InvoiceID"]] += one["Amount"]
    assert {key: refunds[one["CreditNoteID"]] for key, one in notes.items()} == wanted.refunded
    assert len(paid_back) == sum(amount > 0 for amount in wanted.refunded.values())
    numbers = {row["Id"]: row["AccountNumber"] for row in company.crm_rows("Account", "AccountNumber")}
    by_customer: dict[str, Decimal] = defaultdict(Decimal)
    for one in notes.values():
        by_customer[numbers[contacts[one["Contact"]["ContactID"]]]] += one["Total"]
    assert by_customer == wanted.by_customer
    assert sum(by_customer.values()) == wanted.total
    assert all(amount >= 0 for amount in due.values())
    shown = {row[KEY_FIELD]: row for row in keys.values()}
    assert {key: row["Tieout_Credit_Total__c"] for key, row in shown.items()} == wanted.credited
    assert not any(row["Tieout_Credit_Open__c"] for row in shown.values())


def prove_returns(company: Company, folder: Path, expected: Expected, paid: Mapping[str, Decimal]) -> None:
    """A year's returns come back in two runs; credits, refunds and stock are exact; a third run does nothing."""
    sold = sold_lines(folder, expected)
    backs = plan(sold, ORDERS_BACK)
    wanted = credits(backs, sold, expected, paid)
    assert any(wanted.refunded.values()) and any(back.fee for back in backs) and wanted.restocked
    on_hand = _count_stock(company, folder)
    pays_back(company)
    half = len(backs) // 2
    for some in (backs[:half], backs[half:]):
        enter(company, some)
        with company.services() as services:
            numbers = returns.run(services)
        worth = sum((wanted.credited[back.key] for back in some), NOTHING)
        assert (numbers["posted"], numbers["held"], numbers["quarantined"]) == (len(some), 0, 0)
        assert numbers["amounts"]["USD"]["posted"] == int(worth * 100)
    assert_credited(company, wanted, expected)

    with company.services() as services:
        product_sync.run(services)
    shown = {row["ProductCode"]: row["Tieout_Stock__c"] for row in company.crm_rows(
        "Product2", "ProductCode", "Tieout_Stock__c"
    )}  # fmt: skip
    after = {code: on_hand[code] + wanted.restocked.get(code.removeprefix("NW-"), NOTHING) for code in on_hand}
    assert {code: shown[code] for code in on_hand} == after
    assert sum(after.values()) == sum(on_hand.values()) + sum(wanted.restocked.values())

    company.counting()
    with company.services() as services:
        again = returns.run(services)
    assert (again["posted"], again["unchanged"], company.counted()[0]) == (0, len(backs), 0)


def _count_stock(company: Company, folder: Path) -> dict[str, Decimal]:
    """Finance counts: from now on the items are tracked, with the file's units in stock and prices. Code -> on hand."""
    with (folder / "products.csv").open(encoding="utf-8", newline="") as file:
        stock = {f"NW-{row['productID']}": row for row in csv.DictReader(file)}
    with company.hand() as hand:
        items = {one["Code"]: one for one in hand.all("Items") if one["Code"] in stock}
    rows: list[dict[str, Any]] = [
        {"ItemID": one["ItemID"], "Code": code, "Name": one["Name"], "IsSold": True,
         "SalesDetails": {"UnitPrice": stock[code]["unitPrice"]}, "QuantityOnHand": stock[code]["unitsInStock"]}
        for code, one in items.items()
    ]  # fmt: skip
    Doors(company.sandbox.url).raw_items(rows)
    return {code: Decimal(stock[code]["unitsInStock"]) for code in items}


def _sum(allocations: Sequence[Mapping[str, Any]]) -> Decimal:
    return sum((one["Amount"] for one in allocations), NOTHING)
