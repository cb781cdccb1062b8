"""A client of the sandbox's Accounting API over real HTTP, with short ways to say usual things."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support.sandbox import SandboxProcess

TENANT = "5d1f9e0c-7a54-4f6e-9a51-0c0ffee00001"
NO_LIMITS = {"minute": None, "day": None, "concurrent": None, "app_minute": None}


class Xero:
    """One organisation as a client sees it. Numbers in answers are Decimal or int."""

    def __init__(self, sandbox: SandboxProcess, client: str = "sandbox-client") -> None:
        self.sandbox = sandbox
        self.root = f"{sandbox.url}/xero"
        self.http = httpx.Client(base_url=f"{self.root}/api.xro/2.0/", timeout=30)
        self.token = self.issue(client)["access_token"]
        self.http.headers.update(
            {"Authorization": f"Bearer {self.token}", "xero-tenant-id": TENANT, "Accept": "application/json"}
        )

    def issue(self, client: str, **form: str) -> dict[str, Any]:
        form = {"grant_type": "client_credentials"} | form
        answer = self.http.post(f"{self.root}/connect/token", data=form, auth=(client, "sandbox-secret"))
        assert answer.status_code == 200, answer.text
        issued: dict[str, Any] = answer.json()
        return issued

    def settings(self, **changes: Any) -> None:
        self.sandbox.settings("xero", **changes)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """(status, parsed answer)."""
        content = None if body is None else json.dumps(body, default=str)
        answer = self.http.request(method, path, content=content, params=query)
        return answer.status_code, json.loads(answer.text, parse_float=Decimal) if answer.text else None

    def get(self, path: str, **query: Any) -> Any:
        status, answer = self.call("GET", path, **query)
        assert status == 200, answer
        return answer

    def write(self, method: str, path: str, body: Any, **query: Any) -> Any:
        """The one element that was written; fails when it was refused."""
        status, answer = self.call(method, path, body, **query)
        assert status == 200, answer
        return answer[path.split("/")[-1] if path.endswith("Allocations") else path.split("/")[0]][0]

    def refused(self, method: str, path: str, body: Any, **query: Any) -> list[str]:
        """The messages of a refusal; fails when it was accepted."""
        status, answer = self.call(method, path, body, **query)
        assert status == 400, answer
        assert (answer["ErrorNumber"], answer["Type"]) == (10, "ValidationException")
        return [error["Message"] for element in answer["Elements"] for error in element["ValidationErrors"]]

    def contact(self, name: str = "Ann Ltd", **more: Any) -> Any:
        return self.write("PUT", "Contacts", {"Contacts": [{"Name": name} | more]})

    def invoice(self, **more: Any) -> Any:
        return self.write("PUT", "Invoices", {"Invoices": [invoice(**more)]})

    def credit_note(self, **more: Any) -> Any:
        body = invoice(**({"Type": "ACCRECCREDIT"} | more))
        del body["DueDate"]
        return self.write("PUT", "CreditNotes", {"CreditNotes": [body]})

    def pay(self, invoice_id: str, amount: str, **more: Any) -> Any:
        body = {"Invoice": {"InvoiceID": invoice_id}, "Account": {"Code": "090"}, "Date": "2026-03-10"}
        return self.write("PUT", "Payments", {"Payments": [body | {"Amount": amount} | more]})


def line(amount: str = "100.00", **more: Any) -> dict[str, Any]:
    return {"Description": "Work", "Quantity": "1", "UnitAmount": amount, "AccountCode": "200"} | more


def invoice(**more: Any) -> dict[str, Any]:
    """An approved sales invoice of 120.00 for Ann Ltd."""
    body: dict[str, Any] = {
        "Type": "ACCREC",
        "Contact": {"Name": "Ann Ltd"},
        "Date": "2026-03-01",
        "DueDate": "2026-03-31",
        "Status": "AUTHORISED",
        "LineItems": [line()],
    }
    return body | more


@pytest.fixture
def xero(sandbox: SandboxProcess) -> Iterator[Xero]:
    """A new organisation without limits of rate."""
    sandbox.settings("xero", limits=NO_LIMITS)
    xero = Xero(sandbox)
    yield xero
    xero.http.close()
