"""What clients send and the sandbox answers, held against the vendor's own OpenAPI description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import httpx
import pytest
import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker

from tests.sandbox_xero.conftest import Xero, invoice, line
from tests.support.shared import require_shared

pytestmark = pytest.mark.shared

# Fields that the vendor's own examples show and its schemas lack.
BESIDE = {"Id", "Status", "ProviderName", "DateTimeUTC", "DateString", "DueDateString", "ID"}
UNNAMED = {"StatusAttributeString", "HasErrors", "HasValidationErrors", "ValidationErrors"}


@lru_cache(maxsize=1)
def specification() -> dict[str, Any]:
    path = require_shared("specs", "xero_accounting.yaml")
    loaded: dict[str, Any] = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return loaded


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = specification()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def operation(method: str, path: str) -> dict[str, Any]:
    candidates = []
    for template, item in specification()["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in item:
            candidates.append((template.count("{"), item[method.lower()]))
    assert candidates, f"{method} {path} is not in the specification"
    found: dict[str, Any] = min(candidates, key=lambda pair: pair[0])[1]
    return found


def check(schema: dict[str, Any], value: Any) -> None:
    """The value fits the schema, and holds no field that it does not name."""
    root = {"components": specification()["components"]} | schema
    errors = [e.message for e in OAS30Validator(root, format_checker=oas30_format_checker).iter_errors(value)]
    assert errors == []
    assert list(strangers(schema, value, "")) == []


def strangers(schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    schema = resolve(schema)
    if isinstance(value, list):
        for entry in value:
            yield from strangers(schema.get("items", {}), entry, where)
    elif isinstance(value, dict) and "properties" in schema:
        for key, inner in value.items():
            if key == "Elements":
                continue  # the vendor puts whole documents there, its schema names only their ids
            if key in schema["properties"]:
                yield from strangers(schema["properties"][key], inner, f"{where}.{key}")
            elif key not in BESIDE | UNNAMED:
                yield f"{where}.{key}"


class Recorder:
    """Keeps what went over the wire."""

    def __init__(self, xero: Xero) -> None:
        self.calls: list[tuple[httpx.Request, httpx.Response]] = []
        xero.http.event_hooks = {"response": [self._keep]}

    def _keep(self, response: httpx.Response) -> None:
        response.read()
        self.calls.append((response.request, response))


def content(part: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = resolve(part)["content"]["application/json"]["schema"]
    return schema


def everything(xero: Xero) -> None:
    """One of each call that is modelled."""
    ann = xero.contact("Ann Ltd", ContactNumber="001", EmailAddress="a@example.com")
    xero.write("POST", "Contacts", {"Contacts": [{"ContactID": ann["ContactID"], "TaxNumber": "GB1"}]})
    xero.write("PUT", "Items", {"Items": [{"Code": "BOOK", "Name": "Book", "SalesDetails": {"UnitPrice": 5.0}}]})
    made = xero.invoice(InvoiceNumber="N1", LineItems=[line(1.5, Quantity=2, ItemCode="BOOK", DiscountRate=10.0)])
    euro = xero.invoice(InvoiceNumber="N2", CurrencyCode="EUR", LineItems=[line(100.0, Quantity=1)])
    body = {"Invoices": [{"InvoiceID": euro["InvoiceID"], "Reference": "R"}]}
    xero.write("POST", "Invoices", body)
    xero.write("POST", f"Invoices/{euro['InvoiceID']}", body)
    paid = {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Account": {"Code": "090"}, "Date": "2026-03-10"}
    paid = xero.write("PUT", "Payments", {"Payments": [paid | {"Amount": 1.0}]})
    note = xero.credit_note(LineItems=[line(1.0, Quantity=1)])
    path = f"CreditNotes/{note['CreditNoteID']}/Allocations"
    given = {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": 1.2, "Date": "2026-03-12"}
    applied = xero.write("PUT", path, {"Allocations": [given]})
    for kind in ("OVERPAYMENT", "PREPAYMENT"):
        money = {"Type": f"RECEIVE-{kind}", "Contact": {"ContactID": ann["ContactID"]}, "BankAccount": {"Code": "090"}}
        xero.write("PUT", "BankTransactions", {"BankTransactions": [money | {"LineItems": [line(7.0, Quantity=1)]}]})
    for name in ("Contacts", "Invoices", "CreditNotes", "Payments", "Prepayments", "Overpayments", "Items"):
        xero.get(name)
        if name != "Items":
            xero.get(name, page=1, pageSize=50)
    for one in (f"Contacts/{ann['ContactID']}", f"Invoices/{made['InvoiceID']}", f"Payments/{paid['PaymentID']}"):
        xero.get(one)
    xero.get(f"CreditNotes/{note['CreditNoteID']}")
    for one in (
        f"Invoices/{made['InvoiceID']}",
        f"CreditNotes/{note['CreditNoteID']}",
        f"Payments/{paid['PaymentID']}",
    ):
        assert xero.get(f"{one}/History")["HistoryRecords"]
    xero.get("Reports/TrialBalance", date="2026-03-31")
    for name in ("Organisation", "Accounts", "TaxRates", "Currencies", "Prepayments", "Overpayments"):
        xero.get(name)
    xero.call("DELETE", f"{path}/{applied['AllocationID']}")
    xero.call("POST", f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})
    xero.call("PUT", "Invoices", {"Invoices": [invoice(InvoiceNumber="N1", LineItems=[line(1.0, Quantity=1)])]})
    one_bad = {"Invoices": [{"Type": "ACCREC", "Contact": {"Name": "Bob"}, "InvoiceNumber": "N1"}]}
    xero.call("PUT", "Invoices", one_bad, summarizeErrors="false")


def test_requests_and_answers_fit_the_vendors_description(xero: Xero) -> None:
    recorder = Recorder(xero)
    everything(xero)
    assert len(recorder.calls) > 30
    statuses = set()
    for request, response in recorder.calls:
        path = request.url.path.split("/api.xro/2.0")[1]
        described = operation(request.method, path)
        statuses.add(response.status_code)
        if request.content:
            check(content(described["requestBody"]), json.loads(request.content))
        check(content(described["responses"][str(response.status_code)]), response.json())
    assert statuses == {200, 400}


def test_every_modelled_endpoint_is_in_the_description() -> None:
    from sandbox.xero.api import ENDPOINTS

    for pattern, methods in ENDPOINTS.items():
        path = "/" + "/".join("00000000-0000-0000-0000-000000000000" if part == "*" else part for part in pattern)
        for method in methods:
            operation(method, path)


def test_lengths_are_the_vendors() -> None:
    from sandbox.xero.contacts import LENGTHS
    from sandbox.xero.documents import MAX_NUMBER
    from sandbox.xero.reference import ITEM_LENGTHS

    schemas = specification()["components"]["schemas"]
    described = {name: schemas["Contact"]["properties"][name].get("maxLength") for name in LENGTHS}
    assert described == {**LENGTHS, "FirstName": 255, "LastName": 255}
    assert {name: schemas["Item"]["properties"][name]["maxLength"] for name in ITEM_LENGTHS} == ITEM_LENGTHS
    assert schemas["Invoice"]["properties"]["InvoiceNumber"]["maxLength"] == MAX_NUMBER
