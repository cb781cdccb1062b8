"""What the sandbox answers with against Intuit's published fields: every name is theirs, and of their kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox_quickbooks.conftest import QuickBooks
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
            yield from unknown(fields, spec["type"], one, f"{place}.{name}")


def test_answers_have_intuits_fields(us: QuickBooks) -> None:
    fields = json.loads(require_shared("specs", "qbo_fields.json").read_text(encoding="utf-8"))
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
    wrong = [line for name, record in answers.items() for line in unknown(fields, name, record, name)]
    assert wrong == []
