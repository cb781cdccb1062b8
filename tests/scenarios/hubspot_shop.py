"""A small shop that sells in HubSpot and keeps its books in Xero, for scenarios that are about HubSpot's own traps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from tests.connectors.hubspot_portal import Portal
from tests.scenarios.world import MANY_CALLS, services_of
from tests.support.crm_ledger import ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.model.connection import Connection
from tieout.model.link import Link
from tieout.scenarios import quote_to_cash, reconciliation, returns
from tieout.scenarios.crm_loaders import open_crm
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import Services

QUICK = {"time_out": 4, "latest_apply": 0, "look_up_lag": 0}
LINK = Link.model_validate(
    {
        "name": "shop", "crm": "crm", "crm_system": "hubspot", "ledger": "ledger", "ledger_system": "xero",
        "base_currency": "USD", "time_zone": "UTC", "revenue_account": "200", "tax_codes": {"zero": "ZERORATEDOUTPUT"},
        "policies": {"default_tax_code": "zero", "unmatched_customer": "create"},
    }
)  # fmt: skip


class Shop:
    """HubSpot, Xero and Tieout between them. `run` and `give_back` are what the command line does."""

    def __init__(self, sandbox: SandboxProcess, engine: Engine, **link: Any) -> None:
        self.portal, self.engine = Portal(sandbox), engine
        self.link = LINK.model_copy(update=link)
        self.crm = Connection(
            "crm", "hubspot", self.portal.root, "", "pat-sandbox",
            {"allowed_hosts": "127.0.0.1", "index_lag": 0, **QUICK},
        )  # fmt: skip
        ledger = ledger_connection(sandbox, "ledger")
        self.ledger = Connection(
            ledger.name, ledger.system, ledger.host, ledger.login, ledger.password, {**ledger.extra, **QUICK}
        )
        many = {"minute": MANY_CALLS, "day": MANY_CALLS, "app_minute": MANY_CALLS}
        Doors(sandbox.url).settings("xero", base_currency="USD", limits=many)
        self.hand = LedgerHand(self.ledger)
        self.hand.create("Items", [{"Code": "TEA", "Name": "Tea", "IsSold": True}])
        self.tea = self.portal.make("products", name="Tea", hs_sku="TEA", price="50", tieout_tax_code="zero")

    def close(self) -> None:
        self.hand.close()
        self.portal.close()

    @contextmanager
    def services(self) -> Iterator[Services]:
        with services_of(self.link, self.crm, self.ledger, self.engine) as services:
            yield services

    def run(self) -> dict[str, Any]:
        with self.services() as services:
            return quote_to_cash.run(services)

    def give_back(self) -> dict[str, Any]:
        with self.services() as services:
            return returns.run(services)

    def reconcile(self) -> dict[str, Any]:
        with self.services() as services:
            return reconciliation.run(services)

    def insert(self, kind: str, **fields: Any) -> str:
        """A record as the loader makes it: `associations.<object>`, `stage` and `pipeline` are no properties."""
        with open_crm(self.crm) as crm:
            (saved,) = crm.insert(kind, [fields])
        assert saved.id, saved.error
        return saved.id

    def company(self, name: str, **fields: Any) -> str:
        return self.insert("companies", name=name, tieout_currency="USD", **fields)

    def order(self, number: str, company: str, quantity: int, day: str = "2026-03-10") -> tuple[str, str]:
        """(order, its only line): so many teas at 50 USD, processed."""
        order = self.insert(
            "orders", hs_order_name=number, hs_currency_code="USD", tieout_order_date=day, stage="Processed",
            **{"associations.companies": company},
        )  # fmt: skip
        line = self.insert(
            "line_items", name="Tea", hs_sku="TEA", hs_product_id=self.tea, quantity=quantity, price=Decimal(50),
            tieout_tax_code="zero", **{"associations.orders": order},
        )  # fmt: skip
        return order, line

    def shown(self, kind: str, id_: str, *names: str) -> list[str | None]:
        """What a person sees at a record."""
        record = self.portal.api("GET", f"/crm/v3/objects/{kind}/{id_}?properties={','.join(names)}")
        return [record["properties"].get(name) for name in names]

    def invoices(self) -> Sequence[Mapping[str, Any]]:
        return [one for one in self.hand.all("Invoices") if one["Status"] not in ("VOIDED", "DELETED")]

    def rows(self, query: str) -> list[Any]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(query))]

    def sends(self) -> int:
        """How often bytes may have gone out to either system."""
        ((count,),) = self.rows("select coalesce(sum(sends), 0) from tieout.intent")
        return int(count)
