"""The two sandboxes as the conformance suite sees them: the same questions, asked of each vendor's own records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import httpx

from tests.connectors.wires import Time, entity, item
from tests.support.sandbox import SandboxProcess
from tieout.connectors import exact_json
from tieout.connectors.base import Connector, Request
from tieout.connectors.registry import connect
from tieout.model.connection import Connection
from tieout.model.staged import StagedEntity

LONG_AGO = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
DRY = "sandbox-secret"


class Vendor(Protocol):
    """What the suite needs of a system."""

    name: str
    exact: Decimal  # an amount that no double holds
    page: int  # records of one page
    entity: StagedEntity
    operation: str  # a write of several items
    read_path: str  # glob of the calls that read `entity`
    write_path: str

    def connector(self, login: str | None = None, password: str = DRY, **extra: Any) -> Connector: ...

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        """Records of `entity` as they are, one for each modification time; their ids."""
        ...

    def touch(self, id_: str, stamp: datetime) -> None: ...

    def read_back(self, record: Any) -> tuple[Decimal, str]:
        """(amount, text) of a record that was read."""
        ...

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        """Writes that are good, but for the numbers in `bad`."""
        ...

    def applied(self) -> int:
        """How many of the writes of `requests` are in the system."""
        ...


def _post(url: str, body: Any) -> Any:
    reply = httpx.post(url, content=exact_json.dumps(body), timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


def _spell(stamp: datetime) -> str:
    return stamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}"


class Salesforce:
    """Accounts are read; write-backs go to accounts."""

    name = "salesforce"
    exact = Decimal("1234567890123456.78")  # 18 digits, the most of a currency field
    page = 2000
    operation = "accounts.write_back"
    read_path = "/services/data/*/query*"
    write_path = "/services/data/*/composite/sobjects*"
    entity = entity(
        "salesforce",
        "Account",
        "Id",
        "SystemModstamp",
        account_id=("Id", "text"),
        name=("Name", "text"),
        revenue=("AnnualRevenue", "decimal"),
    )

    def __init__(self, sandbox: SandboxProcess, time: Time) -> None:
        self.root = f"{sandbox.url}/salesforce"
        self.sandbox, self.time = sandbox, time
        setup = json.loads((sandbox_root() / "include" / "crm_setup" / "salesforce.json").read_text())
        _post(f"{self.root}/_sandbox/metadata", setup)
        self.targets: list[str] = []

    def connector(self, login: str | None = None, password: str = DRY, **extra: Any) -> Connector:
        fields = {"allowed_hosts": "127.0.0.1", "time_out": "4", **extra}
        conn = Connection("crm", self.name, self.root, login or "sandbox-consumer", password, fields)
        return connect(conn, clock=self.time.clock)

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        records = [
            {"Name": f"{text} {n}", "AnnualRevenue": amount, "SystemModstamp": f"{_spell(stamp)}+0000"}
            for n, stamp in enumerate(stamps)
        ]
        found: list[str] = _post(f"{self.root}/_sandbox/raw/Account", {"records": records})["ids"]
        return found

    def touch(self, id_: str, stamp: datetime) -> None:
        _post(f"{self.root}/_sandbox/raw/Account", {"Id": id_, "SystemModstamp": f"{_spell(stamp)}+0000"})

    def read_back(self, record: Any) -> tuple[Decimal, str]:
        return record["AnnualRevenue"], record["Name"].rsplit(" ", 1)[0]

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        self.targets = self.targets or self.put([LONG_AGO] * count, Decimal(1), "write")
        return [
            item(
                n,
                self.operation,
                {"Tieout_Ledger_Number__c": ("x" * 51 if n in bad else f"N-{n} é"), "Tieout_Ledger_Id__c": f"L-{n}"},
                id_,
            )
            for n, id_ in enumerate(self.targets[:count])
        ]

    def applied(self) -> int:
        rows = httpx.get(f"{self.root}/_sandbox/raw/Account", timeout=60).json()
        return sum(1 for row in rows if row.get("Tieout_Ledger_Id__c"))


class Xero:
    """Invoices are read and created."""

    name = "xero"
    exact = Decimal("900719925474099.31")  # the largest magnitude that the sandbox takes
    page = 1000
    operation = "invoices.create"
    read_path = "/api.xro/2.0/Invoices"
    write_path = "/api.xro/2.0/Invoices"
    entity = entity(
        "xero", "Invoices", "InvoiceID", "UpdatedDateUTC", invoice_id=("InvoiceID", "text"), total=("Total", "decimal")
    )

    def __init__(self, sandbox: SandboxProcess, time: Time) -> None:
        self.root = f"{sandbox.url}/xero"
        self.sandbox, self.time = sandbox, time
        limits: dict[str, Any] = {"minute": None, "day": None, "concurrent": None, "app_minute": None}
        sandbox.settings("xero", limits=limits)
        self.contact = ""

    def connector(self, login: str | None = None, password: str = DRY, **extra: Any) -> Connector:
        fields = {"allowed_hosts": "127.0.0.1", "time_out": "4", **extra}
        conn = Connection("ledger", self.name, self.root, login or "sandbox-client", password, fields)
        return connect(conn, clock=self.time.clock)

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        contact = self._contact()
        records = [
            {
                "InvoiceNumber": f"RAW-{n}-{stamp.timestamp()}",
                "Type": "ACCREC",
                "Reference": text,
                "Contact": {"ContactID": contact},
                "Date": "2024-01-01",
                "Status": "DRAFT",
                "LineAmountTypes": "Exclusive",
                "CurrencyCode": "GBP",
                "LineItems": [],
                "Total": amount,
                "SubTotal": amount,
                "TotalTax": Decimal("0.00"),
                "UpdatedDateUTC": f"{_spell(stamp)}Z",
            }
            for n, stamp in enumerate(stamps)
        ]
        found: list[str] = _post(f"{self.root}/_sandbox/raw/Invoices", records)["ids"]
        self.raw = dict(zip(found, records, strict=True))
        return found

    def touch(self, id_: str, stamp: datetime) -> None:
        record = self.raw[id_] | {"InvoiceID": id_, "UpdatedDateUTC": f"{_spell(stamp)}Z"}
        _post(f"{self.root}/_sandbox/raw/Invoices", [record])

    def read_back(self, record: Any) -> tuple[Decimal, str]:
        return record["Total"], record["Reference"]

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        contact = self._contact()
        return [
            item(
                n,
                self.operation,
                {
                    "Type": "ACCREC",
                    "InvoiceNumber": f"INV-{n} é",
                    "Contact": {"ContactID": contact},
                    "Date": "2024-05-01",
                    "DueDate": "2024-05-31",
                    "CurrencyCode": "GBP",
                    "LineAmountTypes": "Exclusive",
                    "Status": "AUTHORISED",
                    "LineItems": [
                        {
                            "Description": "日本語 🍵",
                            "Quantity": Decimal("3"),
                            "UnitAmount": Decimal("3.3335"),
                            "AccountCode": "999" if n in bad else "200",
                            "TaxType": "OUTPUT2",
                        }
                    ],
                },
                f"INV-{n} é",
            )
            for n in range(count)
        ]

    def applied(self) -> int:
        rows = httpx.get(f"{self.root}/_sandbox/raw/Invoices", timeout=60).json()
        return sum(1 for row in rows if row["InvoiceNumber"].startswith("INV-"))

    def _contact(self) -> str:
        if not self.contact:
            connector = self.connector()
            request = item(0, "contacts.create", {"ContactNumber": "C-1", "Name": "Acme"}, "C-1")
            (answer,) = connector.send(connector.operation("contacts.create"), [request])
            assert answer.vendor_id, answer.message
            self.contact = answer.vendor_id
            connector.close()
        return self.contact


def sandbox_root() -> Any:
    """The checkout."""
    from tests.support.sandbox import ROOT

    return ROOT


def spread(count: int, start: datetime = LONG_AGO) -> list[datetime]:
    """Times a quarter of a second apart."""
    return [start + timedelta(milliseconds=250 * n) for n in range(count)]
