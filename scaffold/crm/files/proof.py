"""Orders of New System are billed in Xero: to the cent, once, and what is wrong waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.proofs.first.company import CUSTOMER, ITEM, SALES, Company, Sale, XeroBooks, xero
from tests.support.sandbox import SandboxProcess
from tieout.mapping.load import load_link
from tieout.model.connection import Connection

pytestmark = pytest.mark.slow
LINK = load_link(Path(__file__).parent / "newsystem_xero.yaml")


@dataclass
class Sales:
    """Sales at work in New System. `ids`: number of an order -> its id; `<number>:1`: its line's."""

    connection: Connection
    ids: dict[str, str] = field(default_factory=dict)

    def save(self, kind: str, act: str, **record: Any) -> str:
        """What a user of New System does; the record's id."""
        credentials = (self.connection.login, self.connection.password)
        answer = httpx.post(
            f"{self.connection.host}/oauth/token", data={"grant_type": "client_credentials"}, auth=credentials
        )
        done = httpx.post(
            f"{self.connection.host}/api/{kind}/batch",
            json={"items": [{"key": f"{act} {record}", "act": act, "record": record}]},
            headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
        )
        (result,) = done.json()["results"]
        assert "record" in result, result
        return str(result["record"]["id"])

    def sell(self, account: str, sale: Sale) -> None:
        """An order, active once it has its line."""
        head = {"account_id": account, "date": sale.day.isoformat(), "currency": "USD", "reference": sale.reference}
        order = self.save("orders", "create", number=sale.reference, **head)
        line = {"code": ITEM, "description": "A desk", "quantity": sale.quantity, "unit_price": sale.price}
        self.ids[sale.reference] = order
        self.ids[f"{sale.reference}:1"] = self.save(
            "order_lines", "create", order_id=order, position=1, discount_percent=sale.discount, **line
        )
        self.save("orders", "update", id=order, status="active")

    def order(self, number: str) -> Mapping[str, Any]:
        """An order as it is."""
        rows = httpx.get(f"{self.connection.host}/_sandbox/raw/orders", timeout=60).json()
        (found,) = (one for one in rows if one["number"] == number)
        return dict(found)


@pytest.fixture
def sales(sandbox: SandboxProcess) -> Sales:
    host, fields = f"{sandbox.url}/newsystem", {"allowed_hosts": "127.0.0.1"}
    made = Sales(Connection(LINK.crm, "newsystem", host, "sandbox-client", "sandbox-secret", fields))
    account = made.save("accounts", "create", name=CUSTOMER, currency="USD")
    for sale in SALES:
        made.sell(account, sale)
    return made


@pytest.fixture
def books(sandbox: SandboxProcess) -> XeroBooks:
    return xero(sandbox, LINK)


@pytest.fixture
def company(sales: Sales, books: XeroBooks, engine: Engine) -> Company:
    return Company(LINK, sales.connection, books.connection, engine)


def test_orders_are_billed_to_the_cent_and_once(company: Company, sales: Sales, books: XeroBooks) -> None:
    assert company.run()["posted"] == len(SALES), company.waiting()
    billed = {one["Reference"]: (one["SubTotal"], one["Total"]) for one in books.invoices()}
    assert billed == {sale.reference: (Decimal(sale.net), Decimal(sale.total)) for sale in SALES}
    order = sales.order("A-1")
    assert (order["invoice_number"], Decimal(order["invoice_total"])) == ("INV-A-1", Decimal("71.96"))
    sent = company.sends()
    again = company.run()
    assert (again["posted"], again["unchanged"]) == (0, len(SALES))
    assert company.sends() == sent and len(books.invoices()) == len(SALES)


def test_a_payment_shows_in_the_crm_and_the_two_tie_out(company: Company, sales: Sales, books: XeroBooks) -> None:
    company.run()
    books.pay("A-1", Decimal("21.96"), date(2026, 2, 1))
    company.run()
    order = sales.order("A-1")
    assert (Decimal(order["invoice_paid"]), Decimal(order["invoice_due"])) == (Decimal("21.96"), Decimal("50.00"))
    assert company.tie_out() == []


def test_a_cancelled_order_is_voided(company: Company, sales: Sales, books: XeroBooks) -> None:
    company.run()
    sales.save("orders", "update", id=sales.ids["A-2"], status="cancelled")
    sales.save("orders", "delete", id=sales.ids["A-3"])
    company.run()
    statuses = {one["Reference"]: one["Status"] for one in books.invoices()}
    assert statuses == {"A-1": "AUTHORISED", "A-2": "VOIDED", "A-3": "VOIDED"}


def test_what_is_wrong_waits_with_its_reason(company: Company, sales: Sales, books: XeroBooks) -> None:
    sales.save("order_lines", "update", id=sales.ids["A-1:1"], unit_price="-1")
    gone = sales.save("accounts", "create", name="Gone Ltd")
    sales.save("orders", "update", id=sales.ids["A-2"], account_id=gone)
    sales.save("accounts", "delete", id=gone)
    assert company.run()["posted"] == len(SALES) - 2
    waiting = {sales.ids["A-1"]: "price_negative", sales.ids["A-2"]: "customer_not_found"}
    assert company.waiting() == waiting
    assert [one["Reference"] for one in books.invoices()] == ["A-3"]
