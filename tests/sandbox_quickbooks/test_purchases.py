"""A credit memo is paid back: a purchase on accounts receivable, and a payment of nought that links the two."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox_quickbooks.conftest import QuickBooks, line
from tests.sandbox_quickbooks.test_documents import balances

#: The companies' accounts by their place in sandbox/quickbooks/seed.py.
SALES, RECEIVABLE, CHECKING = "2", "4", "12"


def purchase(customer: Any, amount: str = "40", kind: str = "Cash", **more: Any) -> dict[str, Any]:
    detail = {"AccountRef": {"value": RECEIVABLE}}
    return {
        "PaymentType": kind, "AccountRef": {"value": CHECKING}, "TxnDate": "2026-03-05",
        "EntityRef": {"value": customer["Id"], "type": "Customer"}, "GlobalTaxCalculation": "NotApplicable",
        "Line": [{"Amount": amount, "DetailType": "AccountBasedExpenseLineDetail",
                  "AccountBasedExpenseLineDetail": detail}],
        **more,
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "called"), [("Cash", "Expense"), ("Check", "Check")])
def test_a_credit_memo_is_paid_back_and_nothing_is_owed(us: QuickBooks, kind: str, called: str) -> None:
    ann = us.customer()
    memo = us.document("CreditMemo", ann, line("40"))
    out = us.write("Purchase", purchase(ann, kind=kind, DocNumber="RF-1", PrivateNote="back"))
    assert (out["TotalAmt"], out["EntityRef"]["type"]) == (40, "Customer")
    assert us.read("CreditMemo", memo)["RemainingCredit"] == 40
    assert us.read("Customer", ann)["Balance"] == 0
    paid = us.pay(ann, "0", (called, out, "40"), ("CreditMemo", memo, "40"))
    assert us.read("CreditMemo", memo)["RemainingCredit"] == 0
    assert us.read("Customer", ann)["Balance"] == 0
    assert balances(us) == {"Services": 40, "Checking": -40}
    assert us.read("Purchase", out)["LinkedTxn"] == [{"TxnId": paid["Id"], "TxnType": "Payment"}]
    assert [one["Id"] for one in us.query("select * from Purchase where DocNumber = 'rf-1'")["Purchase"]] == [out["Id"]]


def test_more_than_the_purchase_or_as_another_kind_is_refused(us: QuickBooks) -> None:
    ann, bob = us.customer(), us.customer("Bob Ltd")
    memo = us.document("CreditMemo", ann, line("40"))
    out, other = us.write("Purchase", purchase(ann, "30")), us.write("Purchase", purchase(bob, "40"))

    def body(kind: str, document: Any, amount: str) -> dict[str, Any]:
        lines = [{"Amount": amount, "LinkedTxn": [{"TxnId": one["Id"], "TxnType": name}]}
                 for name, one in ((kind, document), ("CreditMemo", memo))]  # fmt: skip
        return {"CustomerRef": {"value": ann["Id"]}, "TotalAmt": 0, "Line": lines}

    assert us.refused("Payment", body("Expense", out, "40")) == "6000"
    assert us.refused("Payment", body("Check", out, "30")) == "2500"
    assert us.refused("Payment", body("Expense", other, "40")) == "6000"
    us.write("Payment", body("Expense", out, "30"))
    assert us.refused("Payment", body("Expense", out, "10")) == "6000"
    assert us.read("CreditMemo", memo)["RemainingCredit"] == 10


def test_what_a_purchase_needs(us: QuickBooks, gb: QuickBooks) -> None:
    ann = us.customer()
    body = purchase(ann)
    assert us.refused("Purchase", {**body, "PaymentType": None}) == "2020"
    assert us.refused("Purchase", {**body, "PaymentType": "CreditCard"}) == "2180"
    assert us.refused("Purchase", {**body, "AccountRef": {"value": SALES}}) == "2500"
    assert us.refused("Purchase", {**body, "EntityRef": None}) == "6000"
    assert us.refused("Purchase", {**body, "EntityRef": {"value": "77", "type": "Customer"}}) == "2500"
    assert us.refused("Purchase", {**body, "EntityRef": {"value": ann["Id"], "type": "Vendor"}}) == "2500"
    assert us.refused("Purchase", {**body, "Line": []}) == "2020"
    us.write("Purchase", {**body, "DocNumber": "RF-1"})
    assert us.refused("Purchase", {**body, "DocNumber": "rf-1"}) == "6140"
    assert us.refused("Purchase", {**body, "DocNumber": "R" * 22}) == "2050"
    assert balances(us) == {"Accounts Receivable (A/R)": 40, "Checking": -40}
    assert us.read("Customer", ann)["Balance"] == 40
    zoe = gb.customer()
    assert gb.refused("Purchase", {**purchase(zoe), "GlobalTaxCalculation": None}) == "6000"
    gb.write("Purchase", purchase(zoe))


def test_a_purchase_that_goes_opens_the_credit_memo_again(us: QuickBooks) -> None:
    ann = us.customer()
    memo, out = us.document("CreditMemo", ann, line("40")), us.write("Purchase", purchase(ann))
    us.pay(ann, "0", ("Expense", out, "40"), ("CreditMemo", memo, "40"))
    us.write("Purchase", {"Id": out["Id"], "SyncToken": "0"}, operation="delete")
    assert us.read("CreditMemo", memo)["RemainingCredit"] == 40
    assert us.read("Customer", ann)["Balance"] == -40
    assert balances(us) == {"Services": 40, "Accounts Receivable (A/R)": -40}


def test_a_foreign_credit_is_paid_back_in_its_currency(us: QuickBooks) -> None:
    eva = us.customer("Eva GmbH", CurrencyRef={"value": "EUR"})
    (account,) = us.query("select * from Account where Name = 'Accounts Receivable (A/R) - EUR'")["Account"]
    memo = us.document("CreditMemo", eva, line("40"), ExchangeRate="1.2")
    body = purchase(eva, ExchangeRate="1.2", CurrencyRef={"value": "EUR"})
    assert us.refused("Purchase", body) == "6000"  # the home currency's accounts receivable
    body["Line"][0]["AccountBasedExpenseLineDetail"]["AccountRef"]["value"] = account["Id"]
    out = us.write("Purchase", body)
    us.pay(eva, "0", ("Expense", out, "40"), ("CreditMemo", memo, "40"), ExchangeRate="1.2")
    assert balances(us) == {"Services": 48, "Checking": -48}
    assert us.read("Customer", eva)["Balance"] == Decimal(0)
