"""QuickBooks' sandbox as the conformance suite sees it (vendors.Vendor): invoices are read and created."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from tests.connectors.wires import Time, entity, item
from tests.support.sandbox import SandboxProcess
from tieout.connectors import exact_json
from tieout.connectors.base import Connector, Request
from tieout.connectors.oauth import MemoryRefresh, TokenShelf
from tieout.connectors.registry import connect
from tieout.model.connection import Connection

REALM = "4620816365"
DRY = "sandbox-secret"


class QuickBooks:
    """The US company."""

    name = "quickbooks"
    exact = Decimal("99999999999.99")  # Intuit's greatest amount
    page = 1000
    operation = "invoices.create"
    read_path = f"/v3/company/{REALM}/query"
    write_path = f"/v3/company/{REALM}/batch"
    entity = entity(
        "quickbooks", "Invoice", "Id", "MetaData.LastUpdatedTime", invoice_id=("Id", "text"),
        total=("TotalAmt", "decimal"),
    )  # fmt: skip

    def __init__(self, sandbox: SandboxProcess, time: Time) -> None:
        self.root = f"{sandbox.url}/quickbooks"
        self.sandbox, self.time = sandbox, time
        # One refresh token for all connectors of a test: it rotates as they use it.
        self.refresh = MemoryRefresh()
        self.customer = self.item_id = ""
        self.raw: dict[str, dict[str, Any]] = {}

    def connector(self, login: str | None = None, password: str = DRY, **extra: Any) -> Connector:
        fields = {
            "realm_id": REALM, "refresh_token": "sandbox-refresh", "allowed_hosts": "127.0.0.1", "time_out": "4",
            # The sandbox is not the limit here: the suite's own throttling faults are.
            "calls_per_minute": 0, "calls_per_second": 0, **extra,
        }  # fmt: skip
        conn = Connection("ledger", self.name, self.root, login or "sandbox-client", password, fields)
        return connect(conn, clock=self.time.clock, shelf=TokenShelf(refresh=self.refresh))

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        customer, item_id = self._ground()
        records = [
            {
                "DocNumber": f"RAW-{number}",
                "CustomerRef": {"value": customer},
                "TxnDate": "2024-01-01",
                "CurrencyRef": {"value": "USD"},
                "PrivateNote": text,
                "Line": [
                    {
                        "Amount": amount, "DetailType": "SalesItemLineDetail",
                        "SalesItemLineDetail": {"ItemRef": {"value": item_id}, "Qty": 1, "UnitPrice": amount},
                    }
                ],
                "TotalAmt": amount,
                "Balance": amount,
                "MetaData": {"CreateTime": spell(stamp), "LastUpdatedTime": spell(stamp)},
            }
            for number, stamp in enumerate(stamps, start=len(self.raw))
        ]  # fmt: skip
        found: list[str] = self._post("_sandbox/raw/Invoice", records)["ids"]
        self.raw.update(zip(found, records, strict=True))
        return found

    def touch(self, id_: str, stamp: datetime) -> None:
        record = {**self.raw[id_], "Id": id_}
        record["MetaData"] = {**record["MetaData"], "LastUpdatedTime": spell(stamp)}
        self._post("_sandbox/raw/Invoice", [record])

    def read_back(self, record: Any) -> tuple[Decimal, str]:
        return record["TotalAmt"], record["PrivateNote"]

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        customer, item_id = self._ground()
        return [
            item(
                n,
                self.operation,
                {
                    "DocNumber": f"INV-{n} é",
                    "CustomerRef": {"value": customer},
                    "TxnDate": "2024-05-01",
                    "DueDate": "2024-05-31",
                    "CurrencyRef": {"value": "USD"},
                    "Line": [
                        {
                            "DetailType": "SalesItemLineDetail",
                            "Description": "日本語 🍵",
                            "Amount": Decimal("10.00"),
                            "SalesItemLineDetail": {
                                "ItemRef": {"value": "999999" if n in bad else item_id},
                                "Qty": Decimal("3"),
                                "UnitPrice": Decimal("3.3335"),
                                "TaxCodeRef": {"value": "NON"},
                            },
                        }
                    ],
                },
                f"INV-{n} é",
            )
            for n in range(count)
        ]

    def applied(self) -> int:
        rows = httpx.get(f"{self.root}/_sandbox/raw/Invoice", timeout=60).json()
        return sum(1 for row in rows if str(row.get("DocNumber")).startswith("INV-"))

    def _ground(self) -> tuple[str, str]:
        """A customer and an item, made through the connector's own session."""
        if not self.customer:
            connector = self.connector()
            operation = connector.operation("contacts.create")
            (answer,) = connector.send(operation, [item(0, operation.name, {"DisplayName": "Acme"}, "Acme")])
            assert answer.vendor_id, answer.message
            items = entity("quickbooks", "Item", "Id", "MetaData.LastUpdatedTime")
            far = datetime(2100, 1, 1, tzinfo=UTC)
            found = [record["Id"] for page in connector.changed(items, None, far) for record in page.records]
            self.customer, self.item_id = answer.vendor_id, str(found[0])
            connector.close()
        return self.customer, self.item_id

    def _post(self, path: str, body: Any) -> Any:
        reply = httpx.post(f"{self.root}/{path}", content=exact_json.dumps(body), timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()


def spell(stamp: datetime) -> str:
    return stamp.astimezone(UTC).isoformat(timespec="milliseconds")
