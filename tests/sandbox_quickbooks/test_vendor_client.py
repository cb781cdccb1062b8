"""Other people's clients, unchanged: python-quickbooks with Intuit's own intuit-oauth, by addresses and credentials."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from intuitlib.client import AuthClient
from quickbooks import QuickBooks
from quickbooks.batch import batch_create
from quickbooks.cdc import change_data_capture
from quickbooks.exceptions import QuickbooksException
from quickbooks.objects import Account, CreditMemo, Customer, Invoice, Item, Payment, Purchase, RefundReceipt
from quickbooks.objects.base import LinkedTxn, Ref
from quickbooks.objects.detailline import (
    AccountBasedExpenseLine,
    AccountBasedExpenseLineDetail,
    SalesItemLine,
    SalesItemLineDetail,
)
from quickbooks.objects.payment import PaymentLine

from tests.sandbox_quickbooks.conftest import NO_LIMITS, US
from tests.support.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "python-quickbooks with Intuit's own sign-in, unchanged, works with the sandbox",
        scenario="connector",
        systems=("quickbooks",),
    ),
]


@pytest.fixture
def books(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[QuickBooks]:
    """Signed in with the refresh token; the two classes' own addresses point at the sandbox."""
    sandbox.settings("quickbooks", limits=NO_LIMITS)
    root = f"{sandbox.url}/quickbooks"
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # oauthlib's own word for a server without TLS
    monkeypatch.setattr(QuickBooks, "api_url_v3", f"{root}/v3")
    discovery = f"{root}/.well-known/openid_sandbox_configuration"
    signed_in = AuthClient("sandbox-client", "sandbox-secret", "http://127.0.0.1/callback", discovery)
    yield QuickBooks(
        auth_client=signed_in, refresh_token="sandbox-refresh", company_id=US, minorversion=75, use_decimal=True
    )


def line(item: Item, quantity: str, price: str) -> SalesItemLine:
    made = SalesItemLine()
    made.Amount = str(Decimal(quantity) * Decimal(price))
    made.SalesItemLineDetail = SalesItemLineDetail()
    made.SalesItemLineDetail.ItemRef = item.to_ref()
    made.SalesItemLineDetail.Qty, made.SalesItemLineDetail.UnitPrice = quantity, price
    made.SalesItemLineDetail.TaxCodeRef = Ref()
    made.SalesItemLineDetail.TaxCodeRef.value = "NON"
    return made


def document(kind: Any, customer: Customer, item: Item, number: str, books: QuickBooks, price: str = "12.50") -> Any:
    made = kind()
    made.CustomerRef, made.DocNumber, made.TxnDate = customer.to_ref(), number, "2026-03-01"
    made.Line.append(line(item, "3", price))
    return made.save(qb=books)


def test_a_day_at_work(books: QuickBooks) -> None:
    customer = Customer()
    customer.DisplayName = "Zoë & Søn 日本"
    customer.save(qb=books)
    item = Item()
    item.Name, item.Type, item.Sku = "Tea", "Service", "T-1"
    item.IncomeAccountRef = Ref()
    item.IncomeAccountRef.value = Item.where("Name = 'Services'", qb=books)[0].IncomeAccountRef.value
    item.save(qb=books)

    invoice = document(Invoice, customer, item, "INV-1", books)
    assert (Decimal(invoice.TotalAmt), Decimal(invoice.Balance)) == (Decimal("37.50"), Decimal("37.50"))
    memo = document(CreditMemo, customer, item, "CN-1", books, "2.50")

    payment = Payment()
    payment.CustomerRef, payment.TotalAmt, payment.TxnDate = customer.to_ref(), "20.00", "2026-03-05"
    paid = PaymentLine()
    paid.Amount = "20.00"
    link = LinkedTxn()
    link.TxnId, link.TxnType = invoice.Id, "Invoice"
    paid.LinkedTxn.append(link)
    payment.Line.append(paid)
    payment.save(qb=books)
    assert Decimal(Invoice.get(invoice.Id, qb=books).Balance) == Decimal("17.50")

    customer.Notes = "pays on time"
    customer.save(qb=books)
    assert Customer.filter(DisplayName="Zoë & Søn 日本", qb=books)[0].Notes == "pays on time"
    assert [one.DocNumber for one in Invoice.query("select * from Invoice where Balance > '0'", qb=books)] == ["INV-1"]
    assert Invoice.count("DocNumber like 'INV%'", qb=books) == 1

    payment.void(qb=books)
    assert Decimal(Invoice.get(invoice.Id, qb=books).Balance) == Decimal("37.50")
    Invoice.get(invoice.Id, qb=books).void(qb=books)
    assert Decimal(Invoice.get(invoice.Id, qb=books).TotalAmt) == 0
    CreditMemo.get(memo.Id, qb=books).delete(qb=books)
    # As a text: the client sends a datetime without its zone, which then is the company's.
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    changed = change_data_capture([CreditMemo, Customer], since, qb=books)
    assert [one.status for one in changed.CreditMemo._object_list if one.Id == memo.Id] == ["Deleted"]
    assert books.get_report("TrialBalance", {"end_date": "2026-12-31"})["Header"]["ReportName"] == "TrialBalance"


def linked(customer: Customer, total: str, *links: tuple[str, Any, str]) -> Payment:
    """A payment over documents: (their kind, the document, the amount)."""
    made = Payment()
    made.CustomerRef, made.TotalAmt, made.TxnDate = customer.to_ref(), total, "2026-03-06"
    for kind, of, amount in links:
        part, link = PaymentLine(), LinkedTxn()
        link.TxnId, link.TxnType = of.Id, kind
        part.Amount = amount
        part.LinkedTxn.append(link)
        made.Line.append(part)
    return made


def test_a_credit_memo_is_set_against_an_invoice_and_the_rest_is_paid_back(books: QuickBooks) -> None:
    customer = Customer()
    customer.DisplayName = "Ann Ltd"
    customer.save(qb=books)
    item = Item.where("Name = 'Services'", qb=books)[0]
    invoice = document(Invoice, customer, item, "INV-1", books)
    memo = document(CreditMemo, customer, item, "CN-1", books, "20")
    linked(customer, "0", ("Invoice", invoice, "37.50"), ("CreditMemo", memo, "37.50")).save(qb=books)
    assert Decimal(Invoice.get(invoice.Id, qb=books).Balance) == 0
    assert Decimal(CreditMemo.get(memo.Id, qb=books).RemainingCredit) == Decimal("22.50")

    accounts = {one.AccountType: one for one in Account.all(qb=books)}
    out = Purchase()
    out.PaymentType, out.DocNumber, out.TxnDate, out.EntityRef = "Cash", "RF-1", "2026-03-06", customer.to_ref()
    out.AccountRef = accounts["Bank"].to_ref()
    part = AccountBasedExpenseLine()
    part.Amount, part.AccountBasedExpenseLineDetail = "22.50", AccountBasedExpenseLineDetail()
    part.AccountBasedExpenseLineDetail.AccountRef = accounts["Accounts Receivable"].to_ref()
    out.Line.append(part)
    out = out.save(qb=books)
    assert Decimal(out.TotalAmt) == Decimal("22.50")
    linked(customer, "0", ("Expense", out, "22.50"), ("CreditMemo", memo, "22.50")).save(qb=books)
    assert Decimal(CreditMemo.get(memo.Id, qb=books).RemainingCredit) == 0
    assert Decimal(Customer.get(customer.Id, qb=books).Balance) == 0

    receipt = RefundReceipt()
    receipt.CustomerRef, receipt.DocNumber, receipt.TxnDate = customer.to_ref(), "RR-1", "2026-03-07"
    receipt.DepositToAccountRef = accounts["Bank"].to_ref()
    receipt.Line.append(line(item, "2", "3.25"))
    receipt.save(qb=books)
    (found,) = RefundReceipt.filter(DocNumber="RR-1", qb=books)
    assert (Decimal(found.TotalAmt), Decimal(Customer.get(customer.Id, qb=books).Balance)) == (Decimal("6.50"), 0)
    found.delete(qb=books)
    assert RefundReceipt.count(qb=books) == 0


def test_a_batch_with_a_fault_in_it_and_the_errors_that_the_client_knows(books: QuickBooks) -> None:
    made = [Customer() for _ in range(3)]
    for name, one in zip(("One", "Two", "One"), made, strict=True):
        one.DisplayName = name
    answer = batch_create(made, qb=books)
    assert [one.DisplayName for one in answer.successes] == ["One", "Two"]
    (fault,) = answer.faults
    assert [error.code for error in fault.Error] == ["6240"]
    stale = Customer.filter(DisplayName="Two", qb=books)[0]
    stale.Notes = "first"
    stale.save(qb=books)
    stale.SyncToken = "0"
    with pytest.raises(QuickbooksException) as refused:
        stale.save(qb=books)
    assert refused.value.error_code == 5010
