"""An organisation in this process (`api`), and what most tests put into it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from sandbox.faults import FaultPlan, Faults
from sandbox.salesforce.app import create_app
from sandbox.state import State

ROOT = "/services/data/v59.0"
_READ = msgspec.json.Decoder(float_hook=Decimal)


class Api:
    """A client with a token. Paths are below the version's root; answers are parsed with exact numbers."""

    def __init__(self, client: TestClient, state: State, plan: FaultPlan) -> None:
        self.client = client
        self.state = state
        self.plan = plan
        self.login()

    def login(self, key: str = "sandbox-consumer", secret: str = "sandbox-secret") -> None:
        form = {"grant_type": "client_credentials", "client_id": key, "client_secret": secret}
        answer = self.client.post("/services/oauth2/token", data=form)
        assert answer.status_code == 200, answer.text
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """(status, parsed body or None)."""
        content = None if body is None else msgspec.json.encode(body)
        url = path if path.startswith("/") else f"{ROOT}/{path}"
        answer = self.client.request(method, url, content=content, **more)
        return answer.status_code, _READ.decode(answer.content) if answer.content else None

    def create(self, sobject: str, **fields: Any) -> str:
        status, body = self.call("POST", f"sobjects/{sobject}", fields)
        assert status == 201, body
        return str(body["id"])

    def change(self, sobject: str, id_: str, **fields: Any) -> None:
        status, body = self.call("PATCH", f"sobjects/{sobject}/{id_}", fields)
        assert status == 204, body

    def get(self, sobject: str, id_: str) -> dict[str, Any]:
        status, body = self.call("GET", f"sobjects/{sobject}/{id_}")
        assert status == 200, body
        return dict(body)

    def refusal(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str, str]:
        """(status, errorCode, message) of a call that has to fail."""
        status, errors = self.call(method, path, body, **more)
        assert status >= 400, errors
        return status, errors[0]["errorCode"], errors[0]["message"]

    def answer(self, text: str, path: str = "query") -> dict[str, Any]:
        status, body = self.call("GET", path, params={"q": text})
        assert status == 200, body
        return dict(body)

    def query(self, text: str) -> list[dict[str, Any]]:
        """The records of a query, without their attributes."""
        return [
            {key: value for key, value in one.items() if key != "attributes"} for one in self.answer(text)["records"]
        ]

    def column(self, text: str) -> list[Any]:
        """The values of a query of one field."""
        return [next(iter(one.values())) for one in self.query(text)]

    def door(self, name: str, body: Any) -> Any:
        status, answer = self.call("POST", f"/_sandbox/{name}", body)
        assert status == 200, answer
        return answer


class Shop:
    """An account, a product and its price, ready for orders."""

    def __init__(self, api: Api, currency: str = "USD") -> None:
        self.api = api
        self.currency = currency
        self.account = api.create("Account", Name="Acme", CurrencyIsoCode=currency)
        self.product = api.create("Product2", Name="Widget", ProductCode="W-1", IsActive=True)
        self.book = api.column("SELECT Id FROM Pricebook2 WHERE IsStandard = true")[0]
        price = {"Pricebook2Id": self.book, "Product2Id": self.product, "CurrencyIsoCode": currency}
        self.entry = api.create("PricebookEntry", **price, UnitPrice=10, IsActive=True)

    def order(self, **fields: Any) -> str:
        base = {"AccountId": self.account, "EffectiveDate": "2026-01-31", "Status": "Draft", "Pricebook2Id": self.book}
        return self.api.create("Order", **{**base, "CurrencyIsoCode": self.currency, **fields})

    def line(self, order: str, quantity: Any = 1, price: Any = 10, **fields: Any) -> str:
        base = {"OrderId": order, "PricebookEntryId": self.entry, "Quantity": quantity, "UnitPrice": price}
        return self.api.create("OrderItem", **{**base, **fields})


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    state = State(tmp_path / "salesforce.sqlite")
    plan = FaultPlan()
    with TestClient(create_app(state, Faults(plan, "salesforce"))) as client:
        yield Api(client, state, plan)
    state.close()


@pytest.fixture
def shop(api: Api) -> Shop:
    return Shop(api)
