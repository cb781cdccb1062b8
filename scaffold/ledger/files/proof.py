"""Orders of Salesforce are billed in New System: to the cent, once, and what is wrong waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.connectors.vendors import post
from tests.proofs.first.company import CUSTOMER, ITEM, SALES, Company, SalesforceSales, salesforce
from tests.support.sandbox import SandboxProcess
from tieout.mapping.load import load_link
from tieout.model.connection import Connection

pytestmark = pytest.mark.slow
LINK = load_link(Path(__file__).parent / "salesforce_newsystem.yaml")


@dataclass(frozen=True)
class Books:
    """Finance at work in New System."""

    connection: Connection

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Everything of a kind."""
        found: list[dict[str, Any]] = httpx.get(f"{self.connection.host}/_sandbox/raw/{kind}", timeout=60).json()
        return found

    def invoice(self, reference: str) -> dict[str, Any]:
        """The only invoice of an order."""
        (found,) = (one for one in self.all("invoices") if one["reference"] == reference)
        return found

    def save(self, kind: str, act: str, records: Sequence[Mapping[str, Any]]) -> None:
        """What a user of New System does."""
        credentials = (self.connection.login, self.connection.password)
        answer = httpx.post(
            f"{self.connection.host}/oauth/token", data={"grant_type": "client_credentials"}, auth=credentials
        )
        items = [{"key": f"{act} {record}", "act": act, "record": record} for record in records]
        done = httpx.post(
            f"{self.connection.host}/api/{kind}/batch",
            json={"items": items},
            headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
        )
        assert all("record" in one for one in done.json()["results"]), done.text


@pytest.fixture
def sales(sandbox: SandboxProcess) -> SalesforceSales:
    made = salesforce(sandbox, LINK)
    made.sell(*SALES)
    return made


@pytest.fixture
def books(sandbox: SandboxProcess) -> Books:
    host, fields = f"{sandbox.url}/newsystem", {"allowed_hosts": "127.0.0.1"}
    made = Books(Connection(LINK.ledger, "newsystem", host, "sandbox-client", "sandbox-secret", fields))
    made.save("items", "create", [{"code": ITEM, "name": "A desk"}])
    return made


@pytest.fixture
def company(sales: SalesforceSales, books: Books, engine: Engine) -> Company:
    return Company(LINK, sales.connection, books.connection, engine)


def test_orders_are_billed_to_the_cent_and_once(company: Company, sales: SalesforceSales, books: Books) -> None:
    assert company.run()["posted"] == len(SALES), company.waiting()
    billed = {one["reference"]: (one["net"], one["total"]) for one in books.all("invoices")}
    assert billed == {sale.reference: (sale.net, sale.total) for sale in SALES}
    assert [one["name"] for one in books.all("customers")] == [CUSTOMER]
    shown = sales.shown("A-1")
    assert (shown["number"], shown["total"]) == (books.invoice("A-1")["number"], Decimal("71.96"))
    sent = company.sends()
    again = company.run()
    assert (again["posted"], again["unchanged"]) == (0, len(SALES))
    assert company.sends() == sent and len(books.all("invoices")) == len(SALES)


def test_a_payment_shows_in_the_crm_and_cancelled_orders_are_voided_or_credited(
    company: Company, sales: SalesforceSales, books: Books
) -> None:
    company.run()
    payment = {"invoice_id": books.invoice("A-1")["id"], "amount": "21.96", "date": "2026-02-01"}
    books.save("payments", "create", [payment])
    company.run()
    shown = sales.shown("A-1")
    assert (shown["paid"], shown["due"]) == (Decimal("21.96"), Decimal("50.00"))
    assert company.tie_out() == []
    for reference in ("A-1", "A-2"):
        sales.change(reference, Status="Cancelled")
    company.run()
    assert {one["reference"]: one["status"] for one in books.all("invoices")} == {
        "A-1": "settled",
        "A-2": "void",
        "A-3": "open",
    }
    ((total, remaining),) = ((one["total"], one["remaining"]) for one in books.all("credit_notes"))
    assert (total, remaining) == ("71.96", "21.96"), "what was due is set against the invoice"


def test_what_is_wrong_waits_with_its_reason(company: Company, sales: SalesforceSales, books: Books) -> None:
    sales.spoil("OrderItem", "A-1:1", Discount_Percent__c=150)
    sales.spoil("Order", "A-2", AccountId="001000000000000AAA")
    assert company.run()["posted"] == len(SALES) - 2
    waiting = {sales.ids["A-1"]: "discount_out_of_range", sales.ids["A-2"]: "customer_not_found"}
    assert company.waiting() == waiting
    assert [one["reference"] for one in books.all("invoices")] == ["A-3"]


def test_a_locked_period_holds(company: Company, sales: SalesforceSales, books: Books) -> None:
    locked = {"id": "1", "name": "Sandbox Ltd", "base_currency": "USD", "locked_until": "2026-12-31"}
    post(f"{books.connection.host}/_sandbox/raw/company", [locked])
    assert company.run()["posted"] == 0
    assert company.waiting() == {sales.ids[sale.reference]: "period_locked" for sale in SALES}
    assert books.all("invoices") == []
