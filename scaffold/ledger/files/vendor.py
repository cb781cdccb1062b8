"""New System as the standard suite sees it: invoices are read and created."""

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
    """A new company with one customer."""

    name = "newsystem"
    # The sandbox is not the limit here: the suite's own throttling faults are.
    fields = {"calls_per_minute": 0}
    lacks = {
        "upsert": "a create is refused where its number is taken, and an update names the id",
        "deletions": "nothing is deleted: what is voided stays and says so by its status",
    }
    page = 1000
    operation = "invoices.create"
    bad_reasons = ("not_found",)
    read_path = "/api/invoices"
    write_path = "/api/invoices/batch"
    documents_in_a_call = 100
    entity = staged("newsystem", "invoices", "id", "modified", invoice_id=("id", "text"), total=("total", "decimal"))
    create_operation = "invoices.create"
    dated_entity = entity
    dated_field = "date"

    def prepare(self) -> None:
        self.raw: dict[str, dict[str, Any]] = {}
        (self.customer,) = self._raw("customers", [{"reference": "C", "name": "Acme", "active": True}])

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        records: list[dict[str, Any]] = [
            {
                "number": f"RAW-{n}",
                "total": amount,
                "reference": text,
                "status": "open",
                "modified": f"{spell(one)}000Z",
            }
            for n, one in enumerate(stamps, start=len(self.raw))
        ]
        ids = self._raw("invoices", records)
        self.raw.update(zip(ids, records, strict=True))
        return ids

    def touch(self, id_: str, stamp: datetime) -> None:
        self._raw("invoices", [{**self.raw[id_], "id": id_, "modified": f"{spell(stamp)}000Z"}])

    def delete(self, id_: str) -> None:
        connector = self.connector()
        (answer,) = connector.send(connector.operation("invoices.void"), [item(0, "invoices.void", {"id": id_}, id_)])
        assert answer.outcome == "applied", answer.message
        connector.close()

    def is_gone(self, record: Mapping[str, Any]) -> bool:
        return bool(record["status"] == "void")

    def missing(self, id_: str) -> str:
        return f"9{id_}9"

    def read_back(self, record: Mapping[str, Any]) -> tuple[Decimal, str]:
        return Decimal(record["total"]), record["reference"]

    def put_dated(self, days: Sequence[date]) -> list[str]:
        ids = self.put([LONG_AGO] * len(days), Decimal(1), "dated")
        return self._raw(
            "invoices",
            [{**self.raw[id_], "id": id_, "date": day.isoformat()} for id_, day in zip(ids, days, strict=True)],
        )

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        return [self._create(n, Decimal("10.01"), "999999" if n in bad else self.customer) for n in range(count)]

    def applied(self) -> int:
        rows = httpx.get(f"{self.root}/_sandbox/raw/invoices", timeout=60).json()
        return sum(1 for row in rows if row["number"].startswith("INV-"))

    def with_amount(self, amount: Decimal) -> Request:
        return self._create(999, amount, self.customer)

    def creates(self, count: int) -> list[Request]:
        return self.requests(count)

    def created(self) -> int:
        return self.applied()

    def _create(self, number: int, net: Decimal, customer: str) -> Request:
        line = {"description": "日本語 🍵", "quantity": Decimal("3"), "unit_price": Decimal("3.3335"), "net": net}
        body = {
            "number": f"INV-{number} é", "customer_id": customer, "date": "2024-05-01", "currency": "USD",
            "exchange_rate": Decimal("1.25"), "lines": [{**line, "tax_code": "ZERO"}],
        }  # fmt: skip
        return item(number, self.operation, body, f"INV-{number} é")

    def _raw(self, kind: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
        found: list[str] = post(f"{self.root}/_sandbox/raw/{kind}", records)["ids"]
        return found


VENDOR = NewSystem
