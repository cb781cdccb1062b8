"""QuickBooks' mappings: a payment of several invoices, a company without currencies, bodies as Intuit takes them, and
every name held against Intuit's own schema."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.support.shared import require_shared
from tests.unit.mapping.frames import common, demo_link, mappings, staged, values
from tieout.connectors.quickbooks import links
from tieout.mapping.compile import compile_read, compile_write
from tieout.mapping.limits.quickbooks import LIMITS, MADE
from tieout.mapping.lint import lint
from tieout.mapping.payload import bodies

QB = "quickbooks"


def read(entity: str, *rows: dict[str, Any]) -> Any:
    mapping = mappings(QB)[entity]
    made = compile_read(mapping, demo_link())(staged(mapping, *rows))
    assert made.rejections == []
    return made.frame


def written(entity: str, *rows: dict[str, Any], lines: Any = None) -> Any:
    made = compile_write(mappings(QB)[entity], demo_link())(common(*rows))
    assert made.rejections == []
    if lines is None:
        return json.loads(bodies(made.frame).iloc[0])
    below = compile_write(mappings(QB)["invoice_line"], demo_link())(common(*lines))
    assert below.rejections == []
    return json.loads(bodies(made.frame, below.frame, mappings(QB)["invoice_line"].object).iloc[0])


@pytest.mark.parametrize("crm", ["salesforce", "hubspot"])
def test_the_mappings_have_no_findings(crm: str) -> None:
    assert lint([*mappings(QB).values(), *mappings(crm).values()]) == []


def test_a_payment_of_several_invoices_is_a_row_for_each() -> None:
    payment = links.with_parts({
        "Id": "5", "TotalAmt": Decimal("70.50"), "UnappliedAmt": Decimal("0"),
        "Line": [{"Amount": Decimal("50"), "LinkedTxn": [{"TxnId": "1", "TxnType": "Invoice"}]},
                 {"Amount": Decimal("20.50"), "LinkedTxn": [{"TxnId": "2", "TxnType": "Invoice"}]}],
    })  # fmt: skip
    row = {
        "id": "5", "kind": payment["Kind"], "standing": payment["Standing"], "total": payment["TotalAmt"],
        "applications": json.dumps(payment["Applications"], default=str), "currency_ref": "EUR",
    }  # fmt: skip
    frame = read("payment", row, {"id": "6", "kind": "application", "standing": "settled", "applications": "[]"})
    assert values(frame["payment_id"]) == ["5:1", "5:2", "6"]
    assert values(frame["invoice_id"]) == ["1", "2", None]
    assert values(frame["amount_minor"]) == [5000, 2050, 0]
    assert values(frame["currency"]) == ["EUR", "EUR", "GBP"], "a company without currencies names none: the link's"
    assert values(frame["kind"]) == ["payment", "payment", "application"]


def test_rates_are_home_per_foreign_at_intuit() -> None:
    frame = read("invoice", {"id": "1", "standing": "open", "exchange_rate": Decimal("0.8"), "currency_ref": "EUR"})
    assert values(frame["exchange_rate"]) == [Decimal("1.25")]
    body = written("invoice", {
        "_key": "a", "number": "INV-1", "customer_id": "7", "date": date(2026, 5, 1), "currency": "EUR",
        "exchange_rate": Decimal("1.25"), "source_url": "https://crm/801",
    })  # fmt: skip
    assert (body["ExchangeRate"], body["PrivateNote"], body["CurrencyRef"]) == (
        0.8,
        "https://crm/801",
        {"value": "EUR"},
    )


def test_a_credit_memo_and_its_application_have_the_bodies_that_intuit_takes() -> None:
    line = {"_key": "a", "quantity": Decimal("2"), "unit_price": Decimal("2.50"), "net_minor": 500, "currency": "GBP",
            "product_id": "12", "tax_code": "6", "description": "Tea"}  # fmt: skip
    memo = {"_key": "a", "own_number": "CN-801", "reference": "tieout:uid", "customer_id": "7",
            "date": date(2026, 5, 1), "currency": "GBP"}  # fmt: skip
    body = written("credit_memo", memo, lines=[line])
    assert body["Line"] == [{
        "Amount": 5, "Description": "Tea", "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": "12"}, "Qty": 2, "UnitPrice": 2.5, "TaxCodeRef": {"value": "6"}},
    }]  # fmt: skip
    assert (body["DocNumber"], body["PrivateNote"]) == ("CN-801", "tieout:uid")
    application = written("credit_application", {
        "_key": "a", "credit_memo_id": "2", "invoice_id": "1", "customer_id": "7", "date": date(2026, 5, 1),
        "amount_minor": 500, "currency": "GBP",
    })  # fmt: skip
    assert application["TotalAmt"] == 0 and application["Line"] == [
        {"Amount": 5, "LinkedTxn": [{"TxnId": "1", "TxnType": "Invoice"}]},
        {"Amount": 5, "LinkedTxn": [{"TxnId": "2", "TxnType": "CreditMemo"}]},
    ]
    assert written("invoice_void", {"_key": "a", "invoice_id": "1"}) == {"Id": "1"}


def test_a_customers_name_has_no_colon() -> None:
    body = written("account", {"_key": "a", "name": "ACME: Tools", "is_person": False, "country": "GB"})
    assert body["DisplayName"] == "ACME Tools" and body["BillAddr"] == {"Country": "United Kingdom"}


@pytest.mark.shared
def test_every_name_is_one_of_intuits_schema() -> None:
    schema = json.loads(require_shared("specs", "qbo_fields.json").read_text())
    checked = 0
    for obj, fields in LIMITS.items():
        made = MADE.get(obj, frozenset())
        for path in fields.keys() - made:
            kind = obj
            for step in path.replace("[]", "").split("."):
                assert step in schema[kind], f"{obj}: {path}: {kind} has no {step}"
                kind = schema[kind][step]["type"]
                checked += 1
    assert checked > 100
