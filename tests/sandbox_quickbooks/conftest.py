"""A client of the sandbox's QuickBooks API over real HTTP, with short ways to say usual things."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support.sandbox import SandboxProcess

US, GB = "4620816365", "4620816366"
NO_LIMITS = {"minute": None, "second": None, "batch_minute": None, "concurrent": None}


def fresh_tokens(sandbox: SandboxProcess, refresh_token: str = "sandbox-refresh") -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    url = f"{sandbox.url}/quickbooks/oauth2/v1/tokens/bearer"
    return httpx.post(url, data=form, auth=("sandbox-client", "sandbox-secret"))


class QuickBooks:
    """One company as a client sees it. Numbers in answers are Decimal or int."""

    def __init__(self, sandbox: SandboxProcess, token: str, realm: str = US) -> None:
        self.sandbox = sandbox
        self.realm = realm
        self.token = token
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self.http = httpx.Client(base_url=f"{sandbox.url}/quickbooks/v3/company/{realm}/", headers=headers, timeout=30)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        content = None if body is None else json.dumps(body, default=str)
        answer = self.http.request(method, path, content=content, params=query)
        return answer.status_code, json.loads(answer.text, parse_float=Decimal)

    def get(self, path: str, **query: Any) -> Any:
        status, answer = self.call("GET", path, **query)
        assert status == 200, answer
        return answer

    def write(self, entity: str, body: Any, **query: Any) -> Any:
        status, answer = self.call("POST", entity.lower(), body, **query)
        assert status == 200, answer
        return answer[entity]

    def refused(self, entity: str, body: Any, **query: Any) -> str:
        """The code of a refusal; fails when it was accepted."""
        status, answer = self.call("POST", entity.lower(), body, **query)
        assert status == 400, answer
        assert answer["Fault"]["type"] == "ValidationFault"
        code: str = answer["Fault"]["Error"][0]["code"]
        return code

    def query(self, text: str) -> Any:
        return self.get("query", query=text)["QueryResponse"]

    def customer(self, name: str = "Ann Ltd", **more: Any) -> Any:
        return self.write("Customer", {"DisplayName": name} | more)

    def item(self, name: str = "Book", **more: Any) -> Any:
        return self.write("Item", {"Name": name, "Type": "Service", "IncomeAccountRef": {"value": "2"}} | more)

    def document(self, entity: str, customer: Any, *lines: Any, **more: Any) -> Any:
        body = {"CustomerRef": {"value": customer["Id"]}, "Line": list(lines) or [line()], "TxnDate": "2026-03-01"}
        return self.write(entity, body | more)

    def pay(self, customer: Any, total: str, *parts: tuple[str, Any, str], **more: Any) -> Any:
        """`parts`: (Invoice or CreditMemo, document, amount)."""
        lines = [{"Amount": a, "LinkedTxn": [{"TxnId": d["Id"], "TxnType": kind}]} for kind, d, a in parts]
        body = {"CustomerRef": {"value": customer["Id"]}, "TotalAmt": total, "Line": lines, "TxnDate": "2026-03-10"}
        return self.write("Payment", body | more)

    def read(self, entity: str, record: Any) -> Any:
        return self.get(f"{entity.lower()}/{record['Id']}")[entity]


def line(amount: str = "100.00", code: str | None = "NON", **detail: Any) -> dict[str, Any]:
    inner = {"ItemRef": {"value": "1"}} | ({"TaxCodeRef": {"value": code}} if code else {}) | detail
    return {"Amount": amount, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": inner}


@pytest.fixture
def us(sandbox: SandboxProcess) -> Iterator[QuickBooks]:
    """The US company, new, without limits of rate."""
    sandbox.settings("quickbooks", limits=NO_LIMITS)
    company = QuickBooks(sandbox, fresh_tokens(sandbox).json()["access_token"])
    yield company
    company.http.close()


@pytest.fixture
def gb(us: QuickBooks) -> Iterator[QuickBooks]:
    """The GB company."""
    company = QuickBooks(us.sandbox, us.token, GB)
    yield company
    company.http.close()
