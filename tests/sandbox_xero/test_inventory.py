"""Tracked inventory: approved documents move the quantity on hand and what it cost; nothing goes below zero."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox_xero.conftest import Xero, invoice, line

pytestmark = pytest.mark.slow
CHAIR = {
    "Code": "CHAIR", "Name": "Chair", "InventoryAssetAccountCode": "630",
    "SalesDetails": {"UnitPrice": "50.00", "AccountCode": "200"}, "PurchaseDetails": {"COGSAccountCode": "310"},
}  # fmt: skip


def chairs(quantity: str, price: str = "50.00", **more: Any) -> dict[str, Any]:
    return line(price, ItemCode="CHAIR", Quantity=quantity) | more


def stock(xero: Xero) -> tuple[Decimal, Decimal]:
    item = xero.get("Items/CHAIR")["Items"][0]
    assert item["IsTrackedAsInventory"] is True and not [key for key in item if key.startswith("_")]
    return item["QuantityOnHand"], item["TotalCostPool"]


@pytest.fixture
def shop(xero: Xero) -> Xero:
    """Ten chairs on hand, bought at 20.00."""
    xero.write("PUT", "Items", {"Items": [CHAIR]})
    assert stock(xero) == (0, 0)
    bill(xero, "10", "20.00")
    assert stock(xero) == (10, 200)
    return xero


def bill(xero: Xero, quantity: str, price: str) -> Any:
    return xero.invoice(Type="ACCPAY", LineItems=[chairs(quantity, price, TaxType="INPUT2")])


def test_a_sale_lowers_stock_at_average_cost_and_a_credit_note_raises_it(shop: Xero) -> None:
    bill(shop, "10", "30.00")
    shop.invoice(LineItems=[chairs("4"), chairs("1", "45.00"), line("10.00")])
    assert stock(shop) == (15, Decimal("375.00"))  # 500.00 / 20 = 25.00 each
    shop.credit_note(LineItems=[chairs("2"), line("50.00", Description="a broken one")])
    assert stock(shop) == (17, Decimal("425.00"))


def test_a_draft_moves_nothing_until_it_is_approved_and_a_void_takes_it_back(shop: Xero) -> None:
    draft = shop.invoice(Status="DRAFT", LineItems=[chairs("3")])
    assert stock(shop) == (10, 200)
    shop.write("POST", "Invoices", {"Invoices": [{"InvoiceID": draft["InvoiceID"], "Status": "AUTHORISED"}]})
    assert stock(shop) == (7, 140)
    lines = {"InvoiceID": draft["InvoiceID"], "LineItems": [chairs("1")]}
    shop.write("POST", "Invoices", {"Invoices": [lines]})
    assert stock(shop) == (9, 180)
    shop.write("POST", "Invoices", {"Invoices": [{"InvoiceID": draft["InvoiceID"], "Reference": "the same"}]})
    assert stock(shop) == (9, 180)
    shop.write("POST", "Invoices", {"Invoices": [{"InvoiceID": draft["InvoiceID"], "Status": "VOIDED"}]})
    assert stock(shop) == (10, 200)


def test_more_than_is_on_hand_is_refused_and_leaves_no_trace(shop: Xero) -> None:
    body = invoice(InvoiceNumber="N-1", LineItems=[chairs("6"), chairs("4.5")])
    assert "exceeds the quantity on hand, which is 10" in shop.refused("PUT", "Invoices", {"Invoices": [body]})[0]
    assert stock(shop) == (10, 200) and shop.get("Invoices", InvoiceNumbers="N-1")["Invoices"] == []
    shop.invoice(Status="DRAFT", LineItems=[chairs("11")])  # a draft promises nothing


def test_what_came_in_and_was_sold_again_cannot_be_voided(shop: Xero) -> None:
    shop.invoice(LineItems=[chairs("10")])
    assert stock(shop) == (0, 0)
    note = shop.credit_note(LineItems=[chairs("2")])
    assert stock(shop) == (2, 40)  # at the cost that they left with
    shop.invoice(LineItems=[chairs("1")])
    void = {"CreditNotes": [{"CreditNoteID": note["CreditNoteID"], "Status": "VOIDED"}]}
    assert "exceeds the quantity on hand" in shop.refused("POST", "CreditNotes", void)[0]
    assert stock(shop) == (1, 20)


def test_stock_in_another_currency_costs_its_base_amount(shop: Xero) -> None:
    shop.settings(rates={"USD": "1.25"})
    more = {"CurrencyCode": "USD", "LineAmountTypes": "Inclusive"}
    shop.invoice(Type="ACCPAY", LineItems=[chairs("1", "60.00", TaxType="INPUT2")], **more)
    assert stock(shop) == (11, Decimal("240.00"))  # 60.00 less tax 10.00 is 50.00 USD


def test_quantities_of_items_cannot_be_written_and_untracked_items_have_none(xero: Xero) -> None:
    made = xero.write("PUT", "Items", {"Items": [{"Code": "BOOK", "Name": "Book", "QuantityOnHand": 5}]})
    assert "QuantityOnHand" not in made and made["IsTrackedAsInventory"] is False
    xero.invoice(LineItems=[line(ItemCode="BOOK", Quantity="3")])
    assert "QuantityOnHand" not in xero.get("Items/BOOK")["Items"][0]
    half = CHAIR | {"InventoryAssetAccountCode": "200"}
    assert "type INVENTORY" in xero.refused("PUT", "Items", {"Items": [half]})[0]
    assert "COGSAccountCode" in xero.refused("PUT", "Items", {"Items": [CHAIR | {"PurchaseDetails": {}}]})[0]
