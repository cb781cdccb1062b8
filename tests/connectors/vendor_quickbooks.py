"""QuickBooks Online as the standard suite sees it: invoices are read and created in the US company."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from tests.connectors.vendors import DRY, LONG_AGO, Vendor
from tests.connectors.wires import entity as staged
from tests.connectors.wires import item
from tieout.connectors import exact_json
from tieout.connectors.base import Connector, Request
from tieout.connectors.oauth import MemoryRefresh, TokenShelf
from tieout.connectors.outside import Outside
from tieout.connectors.registry import connect

REALM = "4620816365"
NO_LIMITS = {"minute": None, "second": None, "batch_minute": None, "concurrent": None}


class QuickBooks(Vendor):
    """The US company, without limits of calls. Its refresh token does not rotate: that has tests of its own."""

    name = "quickbooks"
    # The sandbox is not the limit here: the suite's own throttling faults are.
    fields = {"realm_id": REALM, "refresh_token": "sandbox-refresh", "calls_per_minute": 0, "calls_per_second": 0}
    lacks = {
        "upsert": "every change names Intuit's own Id and SyncToken; no field of ours is a key",
        "decimals_18": "amounts have at most 13 digits",
    }
    step = timedelta(seconds=1)
    exact = Decimal("99999999999.99")  # Intuit's greatest amount
    page = 1000
    operation = "invoices.create"
    bad_reasons = ("invalid_item",)
    read_path = f"/v3/company/{REALM}/query*"
    write_path = f"/v3/company/{REALM}/batch*"
    entity = staged(
        "quickbooks", "Invoice", "Id", "MetaData.LastUpdatedTime", invoice_id=("Id", "text"),
        total=("TotalAmt", "decimal"),
    )  # fmt: skip
    create_operation = "invoices.create"
    dated_entity = staged("quickbooks", "Invoice", "Id", "MetaData.LastUpdatedTime", id=("Id", "text"))
    dated_field = "TxnDate"
    documents_in_a_call = 30  # Intuit's documentation of its limits recommends no more

    def prepare(self) -> None:
        self.sandbox.settings("quickbooks", limits=NO_LIMITS, rotate_every_seconds=86_400)
        self.refresh = MemoryRefresh()
        self.customer = self.item_id = ""
        self.raw: dict[str, dict[str, Any]] = {}
        self._ground()

    def connector(self, login: str | None = None, password: str = DRY, **extra: Any) -> Connector:
        made = self.connection(login, password, **extra)
        return connect(made, Outside(clock=self.time.clock, shelf=TokenShelf(refresh=self.refresh)))

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

    def delete(self, id_: str) -> None:
        token = self._token()
        body = {"Id": id_, "SyncToken": "0"}
        url = f"{self.root}/v3/company/{REALM}/invoice?operation=delete&minorversion=75"
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        answer = httpx.post(url, json=body, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text

    def _token(self) -> str:
        (current, *_) = self.refresh.current("sandbox-refresh")
        form = {"grant_type": "refresh_token", "refresh_token": current}
        answer = httpx.post(f"{self.root}/oauth2/v1/tokens/bearer", data=form, auth=(self.login, DRY), timeout=60)
        assert answer.status_code == 200, answer.text
        self.refresh.keep(answer.json()["refresh_token"])
        return str(answer.json()["access_token"])

    def missing(self, id_: str) -> str:
        return f"9{id_}9"

    def put_dated(self, days: Sequence[date]) -> list[str]:
        found = self.put([LONG_AGO] * len(days), Decimal(1), "dated")
        for id_, day in zip(found, days, strict=True):
            self._post("_sandbox/raw/Invoice", [{**self.raw[id_], "Id": id_, "TxnDate": day.isoformat()}])
        return found

    def with_amount(self, amount: Decimal) -> Request:
        (request,) = self.requests(1)
        body = exact_json.loads(request.body)
        body["Line"][0]["Amount"] = body["Line"][0]["SalesItemLineDetail"]["UnitPrice"] = amount
        body["Line"][0]["SalesItemLineDetail"]["Qty"] = 1
        return item(77, self.operation, {**body, "DocNumber": "AMOUNT"}, "AMOUNT")

    def creates(self, count: int) -> list[Request]:
        return self.requests(count)

    def created(self) -> int:
        return self.applied()

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
            items = staged("quickbooks", "Item", "Id", "MetaData.LastUpdatedTime")
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


VENDOR = QuickBooks
