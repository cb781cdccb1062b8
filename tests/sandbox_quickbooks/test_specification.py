"""What the sandbox answers with against Intuit's published fields: every name is theirs, and of their kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox_quickbooks.conftest import QuickBooks, line
from tests.support.shared import require_shared

pytestmark = [pytest.mark.slow, pytest.mark.shared]
#: Names of JSON that the schema of the XML does not have.
JSON_ONLY = {"domain", "sparse", "status", "Country", "name", "value"}
NUMBERS = ("decimal", "integer", "int", "long", "float")


def unknown(fields: Mapping[str, Any], type_: str, value: Any, place: str) -> Iterator[str]:
    """What of a value the published type does not have."""
    declared = fields.get(type_)
    if declared is None or not isinstance(value, dict):
        return
    for name, inner in value.items():
        if name in JSON_ONLY:
            continue
        if name not in declared:
            yield f"{place}.{name}: no field of {type_}"
            continue
        spec = declared[name]
        if spec["many"] is not isinstance(inner, list):
            yield f"{place}.{name}: expected {'a list' if spec['many'] else 'one'}, found {type(inner).__name__}"
        for one in inner if isinstance(inner, list) else [inner]:
            if spec["type"] in NUMBERS and not isinstance(one, int | Decimal):
                yield f"{place}.{name}: expected a number, found {one!r}"
            if "enum" in spec and one not in spec["enum"]:
                yield f"{place}.{name}: expected one of {', '.join(spec['enum'])}, found {one!r}"
            yield from unknown(fields, spec["type"], one, f"{place}.{name}")


@pytest.fixture(scope="module")
def fields() -> Any:
    """Intuit's types: name -> field -> {type, many, enum}."""
    return json.loads(require_shared("specs", "qbo_fields.json").read_text(encoding="utf-8"))


def test_answers_have_intuits_fields(us: QuickBooks, fields: Any) -> None:
    customer = us.customer(BillAddr={"Line1": "1 High Street", "City": "Leeds"}, PrimaryEmailAddr={"Address": "a@b.cd"})
    item = us.item()
    invoice = us.document("Invoice", customer)
    memo = us.document("CreditMemo", customer, DocNumber="CN-1")
    paid = us.pay(customer, "40.00", ("Invoice", invoice, "40.00"))
    answers = {"Customer": customer, "Item": item, "Payment": paid, "Invoice": us.read("Invoice", invoice),
               "CreditMemo": us.read("CreditMemo", memo)}  # fmt: skip
    for name in ("Account", "TaxCode", "TaxRate", "CompanyCurrency", "Term", "CompanyInfo", "Preferences"):
        found = us.query(f"select * from {name}").get(name)
        assert found, name
        answers[name] = found[0]
    wrong = [one for name, record in answers.items() for one in unknown(fields, name, record, name)]
    assert wrong == []


def test_a_gb_companys_documents_have_intuits_fields(gb: QuickBooks, fields: Any) -> None:
    customer, (bank,) = gb.customer(), gb.query("select * from Account where Name = 'Checking'")["Account"]
    (owed,) = gb.query("select * from Account where AccountType = 'Accounts Receivable'")["Account"]
    lines = (line("100.00", "2"), line("10.00", "3"), line("5.00", "4"))
    invoice = gb.document("Invoice", customer, *lines, GlobalTaxCalculation="TaxExcluded", DocNumber="I-1")
    gross = line("83.33", "2", TaxInclusiveAmt="100")
    memo = gb.document("CreditMemo", customer, gross, GlobalTaxCalculation="TaxInclusive", DocNumber="C-1")
    receipt = gb.document("RefundReceipt", customer, *lines, DepositToAccountRef={"value": bank["Id"]})
    detail = {"AccountRef": {"value": owed["Id"]}}
    purchase = gb.write("Purchase", {
        "PaymentType": "Check", "AccountRef": {"value": bank["Id"]}, "GlobalTaxCalculation": "NotApplicable",
        "EntityRef": {"value": customer["Id"], "type": "Customer"}, "DocNumber": "101",
        "Line": [{"Amount": "60", "DetailType": "AccountBasedExpenseLineDetail",
                  "AccountBasedExpenseLineDetail": detail}],
    })  # fmt: skip
    paid = gb.pay(customer, "0", ("Check", purchase, "60"), ("CreditMemo", memo, "60"))
    rate = gb.get("exchangerate", sourcecurrencycode="EUR", asofdate="2026-03-01")["ExchangeRate"]
    answers = {"Invoice": invoice, "CreditMemo": gb.read("CreditMemo", memo), "RefundReceipt": receipt,
               "Purchase": gb.read("Purchase", purchase), "Payment": paid, "ExchangeRate": rate}  # fmt: skip
    for name in ("Account", "TaxCode", "TaxRate", "CompanyCurrency", "Term", "CompanyInfo", "Preferences"):
        answers[name] = gb.query(f"select * from {name}")[name][0]
    wrong = [one for name, record in answers.items() for one in unknown(fields, name, record, name)]
    assert wrong == []
    assert answers["ExchangeRate"]["Rate"] > 0 and answers["Invoice"]["TxnTaxDetail"]["TaxLine"]


def test_what_is_void_or_deleted_is_told_with_intuits_fields(us: QuickBooks, fields: Any) -> None:
    customer = us.customer()
    invoice, memo, other = (us.document(kind, customer, DocNumber=number) for kind, number in (
        ("Invoice", "I-1"), ("CreditMemo", "C-1"), ("Invoice", "I-2")
    ))  # fmt: skip
    paid = us.pay(customer, "40.00", ("Invoice", other, "40.00"))

    def named(record: Any) -> dict[str, Any]:
        return {"Id": record["Id"], "SyncToken": us.read("Invoice", record)["SyncToken"]}

    void = us.write("Invoice", named(invoice), operation="void")
    money = us.write(
        "Payment", {"Id": paid["Id"], "SyncToken": "0", "sparse": True}, operation="update", include="void"
    )
    gone = us.write("CreditMemo", {"Id": memo["Id"], "SyncToken": memo["SyncToken"]}, operation="delete")
    assert gone == {"Id": memo["Id"], "status": "Deleted", "domain": "QBO"}
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    captured = us.get("cdc", entities="Invoice,CreditMemo,Payment", changedSince=since)["CDCResponse"]
    told = [part for response in captured for part in response["QueryResponse"]]
    assert [one["status"] for part in told for one in part.get("CreditMemo", [])] == ["Deleted"]
    wrong = [one for part in told for name, records in part.items() if isinstance(records, list)
             for record in records for one in unknown(fields, name, record, name)]  # fmt: skip
    assert wrong == []
    assert (void["TotalAmt"], void["Balance"], money["TotalAmt"]) == (0, 0, 0)
    answers = {"Invoice": void, "Payment": money, "CreditMemo": gone}
    wrong = [one for name, record in answers.items() for one in unknown(fields, name, record, name)]
    assert wrong == []
