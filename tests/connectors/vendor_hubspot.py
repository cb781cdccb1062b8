"""The HubSpot sandbox as the standard suite sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx

from tests.connectors.vendors import LONG_AGO, Vendor, post
from tests.connectors.wires import entity as staged
from tests.connectors.wires import item
from tests.support.sandbox import ROOT
from tieout.connectors.base import Request
from tieout.connectors.hubspot.connector import HubSpotConnector
from tieout.model.connection import Connection

TOKEN = {"Authorization": "Bearer pat-sandbox"}
SETUP = ROOT / "include" / "crm_setup" / "hubspot.json"
NO_LIMITS = {"ten_seconds": None, "daily": None, "search_per_second": None}


class HubSpot(Vendor):
    """A new portal with what the set-up adds: companies are read, write-backs go to companies."""

    name = "hubspot"
    # The lag of the search is what the sandbox says here, and it says none.
    fields = {"auth": "oauth", "refresh_token": "sandbox-refresh", "index_lag": 0}
    page = 1000  # of the connector: ten pages of HubSpot's list
    operation = "accounts.write_back"
    bad_reasons = ("wrong_type",)
    read_path = "/crm/v3/objects/companies*"
    write_path = "/crm/v3/objects/*/batch/*"
    entity = staged(
        "hubspot", "companies", "id", "properties.hs_lastmodifieddate",
        account_id=("id", "text"), name=("properties.name", "text"), revenue=("properties.annualrevenue", "decimal"),
    )  # fmt: skip
    upsert_operation = "ledger_invoices.upsert"
    create_operation = "products.upsert"
    dated_entity = staged(
        "hubspot", "orders", "id", "properties.hs_lastmodifieddate",
        id=("id", "text"), on=("properties.tieout_order_date", "date"),
    )  # fmt: skip
    dated_field = "properties.tieout_order_date"

    def prepare(self) -> None:
        self.sandbox.settings("hubspot", limits=NO_LIMITS)
        set_up(self.root)
        self.targets: list[str] = []

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        records = [
            {"properties": {"name": f"{text} {n}", "annualrevenue": amount}, "updatedAt": _spell(stamp)}
            for n, stamp in enumerate(stamps)
        ]
        found: list[str] = post(f"{self.root}/_sandbox/load/companies", records)["ids"]
        return found

    def touch(self, id_: str, stamp: datetime) -> None:
        # HubSpot stamps a change itself: at that moment its clock shows what the test wants.
        self.sandbox.settings("hubspot", clock_offset_seconds=(stamp - datetime.now(UTC)).total_seconds())
        body = {"properties": {"description": f"changed at {_spell(stamp)}"}}
        answer = httpx.patch(f"{self.root}/crm/v3/objects/companies/{id_}", json=body, headers=TOKEN, timeout=60)
        self.sandbox.settings("hubspot", clock_offset_seconds=0)
        assert answer.status_code == 200, answer.text

    def delete(self, id_: str) -> None:
        answer = httpx.delete(f"{self.root}/crm/v3/objects/companies/{id_}", headers=TOKEN, timeout=60)
        assert answer.status_code == 204, answer.text

    def missing(self, id_: str) -> str:
        return f"9{id_}"

    def put_dated(self, days: Sequence[date]) -> list[str]:
        records = [
            {"properties": {"hs_order_name": day.isoformat(), "tieout_order_date": day.isoformat()}} for day in days
        ]
        found: list[str] = post(f"{self.root}/_sandbox/load/orders", records)["ids"]
        return found

    def with_amount(self, amount: Decimal) -> Request:
        return self._ledger_invoice("L-amount", "N", amount)

    def upserts(self, count: int, text: str) -> list[Request]:
        return [self._ledger_invoice(f"L-{n}", text, Decimal(n)) for n in range(count)]

    def upserted(self) -> list[str]:
        return [one["properties"]["tieout_number"] for one in self._all("ledger_invoices", "tieout_number")]

    def creates(self, count: int) -> list[Request]:
        return [
            item(
                n,
                "products.upsert",
                {"properties": {"tieout_item_id": f"I-{n}", "name": f"Tea {n} 🍵", "hs_sku": f"T{n}"}},
            )
            for n in range(count)
        ]

    def created(self) -> int:
        return sum(1 for one in self._all("products", "tieout_item_id") if one["properties"].get("tieout_item_id"))

    def _ledger_invoice(self, key: str, number: str, total: Decimal) -> Request:
        body = {"properties": {"tieout_ledger_invoice_id": key, "tieout_number": number, "tieout_total": total}}
        return item(int(total) % 1000, "ledger_invoices.upsert", body, key)

    def _all(self, obj: str, *properties: str) -> list[dict[str, Any]]:
        params = {"limit": "100", "properties": ",".join(properties)}
        answer = httpx.get(f"{self.root}/crm/v3/objects/{obj}", params=params, headers=TOKEN, timeout=60)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    def read_back(self, record: Mapping[str, Any]) -> tuple[Decimal, str]:
        properties = record["properties"]
        return Decimal(properties["annualrevenue"]), properties["name"].rsplit(" ", 1)[0]

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        self.targets = self.targets or self.put([LONG_AGO] * count, Decimal(1), "write")
        return [
            item(
                n,
                self.operation,
                {
                    "id": id_,
                    "properties": {
                        "tieout_ledger_id": f"L-{n}",
                        "tieout_ledger_number": f"N-{n} é",
                        "tieout_credit_limit": "no number" if n in bad else Decimal("1234567890123456.78"),
                    },
                },
                id_,
            )
            for n, id_ in enumerate(self.targets[:count])
        ]

    def applied(self) -> int:
        return sum(1 for one in self._all("companies", "tieout_ledger_id") if one["properties"].get("tieout_ledger_id"))


def set_up(root: str) -> list[str]:
    """What a new portal lacks, made by the connector's own set-up; what was made."""
    fields = {"allowed_hosts": "127.0.0.1"}
    connector = HubSpotConnector(Connection("set-up", "hubspot", root, "", "pat-sandbox", fields))
    try:
        return connector.set_up(json.loads(SETUP.read_text(encoding="utf-8")), optional=True)
    finally:
        connector.close()


def _spell(stamp: datetime) -> str:
    return stamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"


VENDOR = HubSpot
