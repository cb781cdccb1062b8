"""What QuickBooks pays back of a credit memo: what a refund names is looked at before it goes, and it goes once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.connectors.intuit import API, answered, batch, books, created
from tests.connectors.test_quickbooks_sandbox import GB, Books, make  # noqa: F401 - a fixture
from tests.connectors.wires import item
from tieout.connectors import exact_json
from tieout.connectors.base import Guard
from tieout.connectors.quickbooks.connector import QuickBooksConnector

ACCOUNTS = [
    {"Id": "4", "Name": "Accounts Receivable (A/R)", "AccountType": "Accounts Receivable",
     "CurrencyRef": {"value": "USD"}},
    {"Id": "20", "Name": "Receivable EUR", "AccountType": "Accounts Receivable", "CurrencyRef": {"value": "EUR"}},
    {"Id": "12", "Name": "Checking", "AcctNum": "090", "AccountType": "Bank"},
    {"Id": "13", "Name": "Savings", "FullyQualifiedName": "Bank:Savings", "AccountType": "Bank"},
    {"Id": "14", "Name": "Old", "AccountType": "Bank", "Active": False},
]  # fmt: skip
MEMO = {"Id": "7", "DocNumber": "CR-1", "TotalAmt": Decimal("50"), "RemainingCredit": Decimal("40")}


def body(account: str = "090", amount: str = "40", currency: str = "USD") -> dict[str, Any]:
    """As the mapping `refund` writes it."""
    return {
        "DocNumber": "RF-1", "PrivateNote": "tieout:uid", "PaymentType": "Cash", "AccountRef": {"name": account},
        "EntityRef": {"type": "Customer", "value": "3"}, "TxnDate": "2026-05-04", "CurrencyRef": {"value": currency},
        "GlobalTaxCalculation": "NotApplicable", "CreditMemoRef": {"value": "7"},
        "Line": [{"Amount": Decimal(amount), "DetailType": "AccountBasedExpenseLineDetail"}],
    }  # fmt: skip


def ledger(memos: list[Any], found: list[Any] = []) -> Callable[[httpx.Request], httpx.Response]:  # noqa: B006 - read
    """Answers queries of accounts, credit memos and purchases."""
    rows = {"Account": ACCOUNTS, "CreditMemo": memos, "Purchase": found}

    def handle(request: httpx.Request) -> httpx.Response:
        name = request.url.params["query"].split()[3]
        return answered({name: rows[name]} if rows[name] else {})

    return handle


def sent(
    refund: dict[str, Any], memos: list[Any] | None = None
) -> tuple[Any, dict[str, Any] | None, QuickBooksConnector]:
    """(the answer, the Purchase as it went out, the connector)."""
    memo = [MEMO] if memos is None else memos
    connector, wire, _ = books(
        ("GET", f"{API}/query", ledger(memo)), ("POST", f"{API}/batch", batch(created("Purchase", "30")))
    )
    (answer,) = connector.send(connector.operation("refunds.create"), [item(1, "refunds.create", refund)])
    out = [one for one in wire.asked if one.url.path == f"{API}/batch"]
    purchase = exact_json.loads(out[0].content)["BatchItemRequest"][0]["Purchase"] if out else None
    return answer, purchase, connector


@pytest.mark.parametrize(("named", "id_"), [("090", "12"), ("Checking", "12"), ("Bank:Savings", "13"), ("13", "13")])
def test_the_paying_account_is_found_by_number_name_or_id(named: str, id_: str) -> None:
    answer, purchase, _ = sent(body(named))
    assert (answer.outcome, answer.vendor_id) == ("applied", "30")
    assert purchase is not None and purchase["AccountRef"] == {"value": id_}
    assert "CreditMemoRef" not in purchase
    (line,) = purchase["Line"]
    assert line["AccountBasedExpenseLineDetail"]["AccountRef"] == {"value": "4"} and line["Amount"] == 40


def test_receivables_are_those_of_the_currency_or_the_credit_memos_own() -> None:
    def account(refund: dict[str, Any], memo: dict[str, Any]) -> Any:
        purchase = sent(refund, [memo])[1]
        return purchase and purchase["Line"][0]["AccountBasedExpenseLineDetail"]["AccountRef"]["value"]

    assert account(body(currency="EUR"), MEMO) == "20"
    assert account(body(), {**MEMO, "ARAccountRef": {"value": "20"}}) == "20"
    assert account(body(currency="GBP"), MEMO) is None


@pytest.mark.parametrize(
    ("refund", "memos", "reason", "told"),
    [
        (body(amount="40.01"), [MEMO], "allocation_too_large", "40 is open of credit memo CR-1"),
        (body(), [], "not_found", "CreditMemo 7 is not there"),
        (body("Old"), [MEMO], "invalid_account", "0 active accounts of type Bank"),
        (body("Accounts Receivable (A/R)"), [MEMO], "invalid_account", "0 active accounts"),
        (body(currency="GBP"), [MEMO], "invalid_account", "0 accounts receivable in GBP"),
    ],
)
def test_what_cannot_be_paid_back_is_refused_before_a_byte_goes(
    refund: dict[str, Any], memos: list[Any], reason: str, told: str
) -> None:
    answer, purchase, _ = sent(refund, memos)
    assert (answer.outcome, answer.reason, purchase) == ("refused", reason, None) and told in answer.message


def test_where_the_ledger_cannot_be_asked_nothing_is_sent() -> None:
    connector, wire, _ = books(("GET", f"{API}/query", lambda _: httpx.Response(500)))
    (answer,) = connector.send(connector.operation("refunds.create"), [item(1, "refunds.create", body())])
    assert (answer.outcome, answer.reason) == ("throttled", "not_readable")
    assert not [one for one in wire.asked if one.url.path == f"{API}/batch"]


def test_a_refund_is_found_by_its_number_and_mark_and_compared_as_it_was_sent() -> None:
    there = sent(body())[1]
    assert there is not None
    mine = {**there, "Id": "30", "AccountRef": {"value": "12", "name": "Checking"}}
    other = {**mine, "Id": "31", "PrivateNote": "tieout:another"}
    # What is open of the credit memo by now, and whether it is there, says nothing about what was sent.
    gone, _, _ = books(("GET", f"{API}/query", ledger([], [mine, other])))
    (found,) = gone.look_up(gone.operation("refunds.create"), [item(1, "refunds.create", body())])["doc-1"]
    assert found.differences == ()
    rule = ("GET", f"{API}/query", ledger([{**MEMO, "RemainingCredit": 0}], [mine, other]))
    connector, wire, _ = books(rule)
    operation = connector.operation("refunds.create")
    assert operation.guard is Guard.LOOK_UP and operation.creates
    (found,) = connector.look_up(operation, [item(1, operation.name, body())])["doc-1"]
    assert (found.vendor_id, found.differences) == ("30", ())
    assert "DocNumber IN ('RF-1')" in wire.asked[-1].url.params["query"]
    (found,) = connector.look_up(operation, [item(1, operation.name, body("Savings"))])["doc-1"]
    assert [one[0] for one in found.differences] == ["AccountRef.value"]
    assert connector.look_up(operation, [item(1, operation.name, {**body(), "PrivateNote": "tieout:new"})]) == {
        "doc-1": []
    }


@pytest.mark.slow
def test_a_credit_memo_is_paid_back_in_its_currency(make: Callable[..., Books]) -> None:  # noqa: F811 - the fixture
    here = make(GB)
    customer = here.done("contacts.create", {"DisplayName": "Eva GmbH", "CurrencyRef": {"value": "EUR"}})
    euros = {"CurrencyRef": {"value": "EUR"}, "ExchangeRate": Decimal("0.8")}
    memo = here.done("credit_notes.create", here.document(customer, "CR-1", "50.00", PrivateNote="tieout:n", **euros))
    refund = {
        **body("Checking", "60.00", "EUR"), "ExchangeRate": Decimal("0.8"), "CreditMemoRef": {"value": memo},
        "EntityRef": {"type": "Customer", "value": customer},
    }  # fmt: skip
    assert [one.reason for one in here.send("refunds.create", {
        **refund, "Line": [{**refund["Line"][0], "Amount": Decimal("60.01")}]
    })] == ["allocation_too_large"]  # fmt: skip
    operation = here.connector.operation("refunds.create")
    asked = [item(77, operation.name, refund)]
    first, again = (here.connector.send(operation, asked)[0] for _ in range(2))
    assert first.outcome == "applied" and first.vendor_id == again.vendor_id and first.vendor_id
    (found,) = here.connector.look_up(operation, asked)["doc-77"]
    assert (found.vendor_id, found.number, found.differences) == (first.vendor_id, "RF-1", ())
    links = {"CustomerRef": {"value": customer}, "TotalAmt": 0, "TxnDate": "2026-05-04", **euros, "Line": [
        {"Amount": Decimal("60.00"), "LinkedTxn": [{"TxnId": first.vendor_id, "TxnType": "Expense"}]},
        {"Amount": Decimal("60.00"), "LinkedTxn": [{"TxnId": memo, "TxnType": "CreditMemo"}]},
    ]}  # fmt: skip
    applied = here.done("refunds.apply", links)
    operation = here.connector.operation("refunds.apply")
    (found,) = here.connector.look_up(operation, [item(78, operation.name, links)])["doc-78"]
    assert (found.vendor_id, found.differences) == (applied, ())
    note = here.one("credit_memo", memo)
    assert (note["RemainingCredit"], note["Standing"], note["Allocations"]) == (0, "settled", [])
    payment = here.one("payment", applied)
    assert payment["Applications"] == [
        {"Key": f"{memo}/{first.vendor_id}", "Kind": "refund", "CreditMemoId": memo, "Amount": 60}
    ]
