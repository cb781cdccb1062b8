"""New System as the standard suite sees it: orders are read and written back onto."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx

from tests.connectors.vendors import LONG_AGO, Vendor, post, spell
from tests.connectors.wires import entity as staged
from tests.connectors.wires import item
from tieout.connectors.base import Request


class NewSystem(Vendor):
    """A new account with one customer."""

    name = "newsystem"
    # The sandbox is not the limit here: the suite's own throttling faults are.
    fields = {"calls_per_minute": 0}
    lacks = {"create": "sales makes its records itself; Tieout writes onto them, and upserts by the ledger's id"}
    page = 1000
    operation = "orders.write_back"
    read_path = "/api/orders"
    write_path = "/api/*/batch"
    entity = staged("newsystem", "orders", "id", "modified", order_id=("id", "text"), freight=("freight", "decimal"))
    upsert_operation = "ledger_invoices.upsert"
    dated_entity = entity
    dated_field = "date"

    def prepare(self) -> None:
        self.raw: dict[str, dict[str, Any]] = {}
        self.targets: list[str] = []
        (self.account,) = self._raw("accounts", [{"name": "Acme"}])

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        records: list[dict[str, Any]] = [
            {"number": f"RAW-{n}", "freight": amount, "reference": text, "modified": f"{spell(one)}000Z"}
            for n, one in enumerate(stamps, start=len(self.raw))
        ]
        ids = self._raw("orders", records)
        self.raw.update(zip(ids, records, strict=True))
        return ids

    def touch(self, id_: str, stamp: datetime) -> None:
        self._raw("orders", [{**self.raw[id_], "id": id_, "modified": f"{spell(stamp)}000Z"}])

    def delete(self, id_: str) -> None:
        token = httpx.post(
            f"{self.root}/oauth/token", data={"grant_type": "client_credentials"}, auth=(self.login, "sandbox-secret")
        ).json()["access_token"]
        answer = httpx.post(
            f"{self.root}/api/orders/batch",
            json={"items": [{"key": f"delete {id_}", "act": "delete", "record": {"id": id_}}]},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert "record" in answer.json()["results"][0], answer.text

    def missing(self, id_: str) -> str:
        return f"9{id_}9"

    def read_back(self, record: Mapping[str, Any]) -> tuple[Decimal, str]:
        return Decimal(record["freight"]), record["reference"]

    def put_dated(self, days: Sequence[date]) -> list[str]:
        ids = self.put([LONG_AGO] * len(days), Decimal(1), "dated")
        return self._raw(
            "orders",
            [{**self.raw[id_], "id": id_, "date": day.isoformat()} for id_, day in zip(ids, days, strict=True)],
        )

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        self.targets = self.targets or self.put([LONG_AGO] * count, Decimal(1), "write")
        return [
            item(
                n,
                self.operation,
                {"id": id_, "invoice_id": f"L-{n} é", "message": "日本語 🍵" * (100 if n in bad else 1)},
                id_,
            )
            for n, id_ in enumerate(self.targets[:count])
        ]

    def applied(self) -> int:
        return sum(1 for row in self._all("orders") if row.get("invoice_id"))

    def with_amount(self, amount: Decimal) -> Request:
        return self._ledger_invoice(999, "N", amount)

    def upserts(self, count: int, text: str) -> list[Request]:
        return [self._ledger_invoice(n, text, Decimal(n)) for n in range(count)]

    def upserted(self) -> list[str]:
        return [row["number"] for row in self._all("ledger_invoices")]

    def _ledger_invoice(self, key: int, number: str, total: Decimal) -> Request:
        body = {"invoice_id": f"L-{key}", "account_id": self.account, "number": number, "total": total}
        return item(key, "ledger_invoices.upsert", body, f"L-{key}")

    def _all(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.root}/_sandbox/raw/{kind}", timeout=60).json()
        return found

    def _raw(self, kind: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
        found: list[str] = post(f"{self.root}/_sandbox/raw/{kind}", records)["ids"]
        return found


VENDOR = NewSystem
