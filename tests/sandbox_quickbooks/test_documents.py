"""Invoices, credit memos and payments: arithmetic, links, tax, closing date, voids."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox_quickbooks.conftest import US, QuickBooks, line


def test_line_amount_is_quantity_times_price(us: QuickBooks) -> None:
    ann = us.customer()
    made = us.document("Invoice", ann, line("3.70", Qty="3", UnitPrice="1.2345678"))
    assert made["TotalAmt"] == Decimal("3.70")
    body = {"CustomerRef": {"value": ann["Id"]}, "Line": [line("3.71", Qty="3", UnitPrice="1.2345678")]}
    assert us.refused("Invoice", body) == "6070"
    body["Line"] = [line("1.00", Qty="1", UnitPrice="1.00000001")]
    assert us.refused("Invoice", body) == "2090"


def test_automated_tax_and_explicit_tax(us: QuickBooks) -> None:
    ann = us.customer()
    mixed = [line("100.00", "TAX"), line("50.00", "NON")]
    assert us.document("Invoice", ann, *mixed)["TotalAmt"] == Decimal("157.25")
    given = us.document("Invoice", ann, *mixed, TxnTaxDetail={"TotalTax": "10.01"})
    assert given["TotalAmt"] == Decimal("160.01")
    assert sum(entry["Amount"] for entry in given["TxnTaxDetail"]["TaxLine"]) == Decimal("10.01")
    assert us.document("Invoice", ann, line("50.00"))["TxnTaxDetail"]["TotalTax"] == 0


def test_tax_codes_by_line(gb: QuickBooks) -> None:
    ann = gb.customer()
    lines = [line("100.00", "2"), line("10.00", "3"), line("5.00", "4")]
    assert gb.document("Invoice", ann, *lines)["TotalAmt"] == Decimal("135.50")
    inclusive = gb.document(
        "Invoice", ann, line("83.33", "2", TaxInclusiveAmt="100"), GlobalTaxCalculation="TaxInclusive"
    )
    assert inclusive["TotalAmt"] == 100
    none = gb.document("Invoice", ann, line("7.00", None), GlobalTaxCalculation="NotApplicable")
    assert none["TotalAmt"] == 7
    assert gb.refused("Invoice", {"CustomerRef": {"value": ann["Id"]}, "Line": [line("7.00", None)]}) == "6000"


def test_payment_over_several_invoices_links_both_ways(us: QuickBooks) -> None:
    ann = us.customer()
    first, second = us.document("Invoice", ann), us.document("Invoice", ann, line("50"))
    paid = us.pay(ann, "130", ("Invoice", first, "100"), ("Invoice", second, "20"))
    assert paid["UnappliedAmt"] == 10
    assert us.read("Invoice", first)["Balance"] == 0
    assert us.read("Invoice", second)["Balance"] == 30
    assert us.read("Invoice", second)["LinkedTxn"] == [{"TxnId": paid["Id"], "TxnType": "Payment"}]
    assert us.read("Customer", ann)["Balance"] == 20
    us.write("Payment", {"Id": paid["Id"], "SyncToken": "0", "sparse": True}, operation="update", include="void")
    assert us.read("Invoice", first)["Balance"] == 100
    assert us.read("Invoice", first)["LinkedTxn"] == []
    assert us.read("Payment", paid)["PrivateNote"].startswith("Voided")
    assert us.read("Customer", ann)["Balance"] == 150


def test_credit_memo_is_set_against_an_invoice_by_a_payment_of_nought(us: QuickBooks) -> None:
    ann = us.customer()
    invoice, memo = us.document("Invoice", ann), us.document("CreditMemo", ann, line("40"))
    paid = us.pay(ann, "0", ("Invoice", invoice, "30"), ("CreditMemo", memo, "30"))
    assert us.read("CreditMemo", memo)["RemainingCredit"] == 10
    assert us.read("Invoice", invoice)["Balance"] == 70
    us.write("Invoice", {"Id": invoice["Id"], "SyncToken": "0"}, operation="void")
    assert us.read("CreditMemo", memo)["RemainingCredit"] == 40
    assert us.read("Payment", paid)["Line"] == []
    assert us.read("Invoice", invoice)["TotalAmt"] == 0
    assert us.read("Customer", ann)["Balance"] == -40


def test_more_than_is_open_is_refused(us: QuickBooks) -> None:
    ann = us.customer()
    made = us.document("Invoice", ann)
    link = [{"TxnId": made["Id"], "TxnType": "Invoice"}]
    body = {"CustomerRef": {"value": ann["Id"]}, "TotalAmt": 200, "Line": [{"Amount": 101, "LinkedTxn": link}]}
    assert us.refused("Payment", body) == "6000"
    assert us.read("Invoice", made)["Balance"] == 100


def test_foreign_currency(us: QuickBooks) -> None:
    eva = us.customer("Eva GmbH", CurrencyRef={"value": "EUR"})
    made = us.document("Invoice", eva, ExchangeRate="1.2")
    assert (made["CurrencyRef"]["value"], made["HomeTotalAmt"]) == ("EUR", 120)
    us.pay(eva, "100", ("Invoice", made, "100"), ExchangeRate="1.25")
    body = {"CustomerRef": {"value": eva["Id"]}, "Line": [line()], "CurrencyRef": {"value": "USD"}}
    assert us.refused("Invoice", body) == "6000"
    change = {"Id": eva["Id"], "SyncToken": "0", "sparse": True, "CurrencyRef": {"value": "USD"}}
    assert us.refused("Customer", change) == "6000"
    sums = balances(us)
    assert sums["Undeposited Funds"] == 125 and sums["Exchange Gain or Loss"] == -5
    assert "Accounts Receivable (A/R) - EUR" not in sums


def balances(company: QuickBooks, **query: Any) -> dict[str, Decimal]:
    rows = company.get("reports/TrialBalance", **({"end_date": "2026-12-31"} | query))["Rows"]["Row"]
    sums = {}
    for row in rows:
        name, debit, credit = (cell["value"] for cell in (row.get("ColData") or row["Summary"]["ColData"]))
        if "Summary" in row:
            assert debit == credit
        else:
            sums[name] = Decimal(debit or 0) - Decimal(credit or 0)
    return sums


def test_closed_books(us: QuickBooks) -> None:
    ann = us.customer()
    made = us.document("Invoice", ann)
    us.sandbox.settings("quickbooks", companies={US: {"book_close_date": "2026-03-31"}})
    assert us.get("preferences")["Preferences"]["AccountingInfoPrefs"]["BookCloseDate"] == "2026-03-31"
    body = {"CustomerRef": {"value": ann["Id"]}, "Line": [line()], "TxnDate": "2026-03-31"}
    assert us.refused("Invoice", body) == "6210"
    assert us.refused("Invoice", {"Id": made["Id"], "SyncToken": "0"}, operation="void") == "6210"
    us.write("Invoice", body | {"TxnDate": "2026-04-01"})


def test_numbers_names_and_tokens(us: QuickBooks) -> None:
    ann = us.customer()
    made = us.document("Invoice", ann, DocNumber="N1")
    body = {"CustomerRef": {"value": ann["Id"]}, "Line": [line()], "DocNumber": "N1"}
    assert us.refused("Invoice", body) == "6140"
    us.write("Invoice", body, include="allowduplicatedocnum")
    assert us.refused("Invoice", body | {"DocNumber": "N" * 22}) == "2050"
    assert us.refused("Customer", {"DisplayName": "ann ltd"}) == "6240"
    assert us.refused("Customer", {"DisplayName": "Ann: Ltd"}) == "2040"
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "ünï ☃"}
    changed = us.write("Invoice", change)
    assert (changed["SyncToken"], changed["DocNumber"], changed["TotalAmt"]) == ("1", "N1", 100)
    assert us.read("Invoice", made)["PrivateNote"] == "ünï ☃"
    assert us.refused("Invoice", change) == "5010"
    assert us.refused("Invoice", {"Id": made["Id"], "sparse": True}) == "2020"
    assert us.refused("Invoice", {"Id": "999", "SyncToken": "0"}) == "610"
    full = {"Id": made["Id"], "SyncToken": "1", "CustomerRef": {"value": ann["Id"]}, "Line": [line("5")]}
    assert "PrivateNote" not in us.write("Invoice", full)


def test_an_inactive_customer_gives_its_name_free(us: QuickBooks) -> None:
    ann = us.customer()
    gone = us.write("Customer", {"Id": ann["Id"], "SyncToken": "0", "sparse": True, "Active": False})
    assert gone["DisplayName"] == "Ann Ltd (deleted)"
    assert us.query("select * from Customer") == {}
    assert len(us.query("select * from Customer where Active in (true, false)")["Customer"]) == 1
    us.customer()
    assert us.refused("Invoice", {"CustomerRef": {"value": ann["Id"]}, "Line": [line()]}) == "2500"


def test_inventory_moves_with_documents(us: QuickBooks) -> None:
    accounts = {row["Name"]: {"value": row["Id"]} for row in us.query("select * from Account")["Account"]}
    stock = us.item(
        "Shoe", Type="Inventory", QtyOnHand=10, InvStartDate="2026-01-01", PurchaseCost=4, TrackQtyOnHand=True,
        AssetAccountRef=accounts["Inventory Asset"], ExpenseAccountRef=accounts["Cost of Goods Sold"],
    )  # fmt: skip
    ann, ref = us.customer(), {"value": stock["Id"]}
    sold = us.document("Invoice", ann, line("30", Qty=3, UnitPrice=10, ItemRef=ref))
    assert us.read("Item", stock)["QtyOnHand"] == 7
    us.document("CreditMemo", ann, line("10", Qty=1, UnitPrice=10, ItemRef=ref))
    assert us.read("Item", stock)["QtyOnHand"] == 8
    assert balances(us)["Inventory Asset"] == 32
    us.write("Invoice", {"Id": sold["Id"], "SyncToken": "0"}, operation="void")
    assert us.read("Item", stock)["QtyOnHand"] == 11
    early = {"CustomerRef": {"value": ann["Id"]}, "TxnDate": "2025-12-31", "Line": [line("1", ItemRef=ref)]}
    assert us.refused("Invoice", early) == "6000"


def test_refund_receipt(us: QuickBooks) -> None:
    ann = us.customer()
    assert us.refused("RefundReceipt", {"CustomerRef": {"value": ann["Id"]}, "Line": [line()]}) == "2020"
    us.document("RefundReceipt", ann, DepositToAccountRef={"value": "12"})
    assert balances(us) == {"Services": 100, "Checking": -100}
    assert us.read("Customer", ann)["Balance"] == 0


@pytest.mark.parametrize("operation", ["delete", "void"])
def test_a_paid_invoice_that_goes_frees_its_payment(us: QuickBooks, operation: str) -> None:
    ann = us.customer()
    made = us.document("Invoice", ann)
    paid = us.pay(ann, "100", ("Invoice", made, "100"))
    us.write("Invoice", {"Id": made["Id"], "SyncToken": "0"}, operation=operation)
    assert us.read("Payment", paid)["UnappliedAmt"] == 100
    assert balances(us) == {"Accounts Receivable (A/R)": -100, "Undeposited Funds": 100}
    assert us.call("GET", f"invoice/{made['Id']}")[0] == (400 if operation == "delete" else 200)
