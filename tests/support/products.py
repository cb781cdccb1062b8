"""A company's items in the ledger and its products in the CRM, for tests of product_sync: both hands, and Tieout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import FOLDER, read_exact
from tests.scenarios.world import MANY_CALLS, services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.connectors import exact_json
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.model.link import Link
from tieout.scenarios import product_sync
from tieout.scenarios.crm_load import ConnectorCrm
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import Services

QUICK = {"time_out": 4, "latest_apply": 0, "look_up_lag": 0}
PRODUCT = ("Name", "ProductCode", "Description", "IsActive", "Tieout_Stock__c", "Tieout_Item_Id__c",
           "Tieout_Quantity_Prices__c")  # fmt: skip


class Shop:
    """`crm` and `hand` are people at work in the CRM and in the ledger. Close it."""

    def __init__(self, sandbox: SandboxProcess, engine: Engine, base_currency: str = "GBP", **products: Any) -> None:
        self.sandbox, self.engine = sandbox, engine
        self.doors = Doors(sandbox.url)
        self.doors.settings("xero", base_currency=base_currency)
        self.doors.settings("xero", limits={"minute": MANY_CALLS, "day": MANY_CALLS, "app_minute": MANY_CALLS})
        self.doors.custom_fields()
        crm, self.ledger = crm_connection(sandbox, "crm"), ledger_connection(sandbox, "ledger")
        self.crm_connection = Connection(
            crm.name, crm.system, crm.host, crm.login, crm.password, {**crm.extra, **QUICK}
        )
        self._connector = SalesforceConnector(self.crm_connection)
        self.crm = ConnectorCrm(self._connector)
        self.hand = LedgerHand(self.ledger)
        settings = {"base_currency": base_currency, "products": products}
        self.link = Link.model_validate({**read_exact(FOLDER / "link.yaml"), **settings})

    def close(self) -> None:
        """Gives the sockets back."""
        self.hand.close()
        self._connector.close()

    @contextmanager
    def services(self) -> Iterator[Services]:
        """What the steps need."""
        with services_of(self.link, self.crm_connection, self.ledger, self.engine) as services:
            yield services

    def run(self) -> dict[str, Any]:
        """One run of product_sync, as the command line does it."""
        with self.services() as services:
            return product_sync.run(services)

    def items(self, *items: Mapping[str, Any]) -> list[str]:
        """Items as finance makes them by the API."""
        return [str(one["ItemID"]) for one in self.hand.create("Items", items)]

    def raw_items(self, *items: Mapping[str, Any]) -> list[str]:
        """Items as they are: stock, and what Xero's own rules would refuse."""
        answer = httpx.post(
            f"{self.sandbox.url}/xero/_sandbox/raw/Items", content=exact_json.dumps(list(items)), timeout=60
        )
        assert answer.status_code == 200, answer.text
        return list(answer.json()["ids"])

    def product(self, code: str) -> Mapping[str, Any]:
        """The CRM's only product of that code."""
        (found,) = (row for row in self.crm.rows("Product2", PRODUCT) if row["ProductCode"] == code)
        return found

    def prices(self, code: str, book: str | None = None) -> dict[str, Decimal]:
        """currency -> active price of the product; of the standard price book unless one is named."""
        product = self.product(code)["Id"]
        books = {row["Id"]: row for row in self.crm.rows("Pricebook2", ("Name", "IsStandard"))}
        wanted = {key for key, row in books.items() if (row["Name"] == book if book else row["IsStandard"])}
        fields = ("Product2Id", "Pricebook2Id", "CurrencyIsoCode", "UnitPrice", "IsActive")
        return {
            row["CurrencyIsoCode"]: row["UnitPrice"]
            for row in self.crm.rows("PricebookEntry", fields)
            if row["Product2Id"] == product and row["Pricebook2Id"] in wanted and row["IsActive"]
        }

    def update(self, name: str, **fields: Any) -> None:
        """Somebody changes a record of the CRM, named by its `Id`."""
        answer = self.crm.update(name, [fields])[0]
        assert answer.id is not None, answer.error

    def insert(self, name: str, **fields: Any) -> str:
        """Somebody makes a record in the CRM."""
        answer = self.crm.insert(name, [fields])[0]
        assert answer.id is not None, answer.error
        return answer.id

    def later(self, minutes: int = 15) -> None:
        """The store as it is so many minutes later: leases and quiet periods are over."""
        with self.engine.begin() as conn:
            for column in ("lease_until", "not_before", "sent_at"):
                conn.execute(
                    sa.text(
                        f"update tieout.intent set {column} = {column} - make_interval(mins => :minutes) "
                        f"where {column} is not null and state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN')"
                    ),
                    {"minutes": minutes},
                )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """A question to Tieout's store."""
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(query))]


def item(code: str, price: str | None = "10.00", **more: Any) -> dict[str, Any]:
    """An item as Xero takes it."""
    sales = {} if price is None else {"SalesDetails": {"UnitPrice": Decimal(price)}}
    return {"Code": code, "Name": code.title(), **sales, **more}
