"""Xero as the standard suite sees it: invoices are read and created."""

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


class Xero(Vendor):
    """A new organisation without limits of calls."""

    name = "xero"
    lacks = {
        "upsert": "PUT makes and POST changes by Xero's own id; no field of ours is a unique key",
        "deletions": "what is deleted, voided or archived stays a record and says so by its status",
    }
    exact = Decimal("12345678901234.5678")  # a unit price of 18 digits; totals end with cents
    page = 1000
    operation = "invoices.create"
    bad_reasons = ("invalid_account",)
    read_path = "/api.xro/2.0/Invoices"
    write_path = "/api.xro/2.0/Invoices"
    entity = staged(
        "xero", "Invoices", "InvoiceID", "UpdatedDateUTC", invoice_id=("InvoiceID", "text"), total=("Total", "decimal")
    )
    create_operation = "invoices.create"
    dated_entity = staged("xero", "Invoices", "InvoiceID", "UpdatedDateUTC", id=("InvoiceID", "text"))
    dated_field = "Date"
    documents_in_a_call = 50  # Xero's documentation of its limits advises no more; the bound is 3.5 MB

    def prepare(self) -> None:
        limits: dict[str, Any] = {"minute": None, "day": None, "concurrent": None, "app_minute": None}
        self.sandbox.settings("xero", limits=limits)
        self.raw: dict[str, dict[str, Any]] = {}
        self._buyer = ""

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        total = round(amount, 2)
        return self._raw(
            [
                self._invoice(f"RAW-{n}-{stamp.timestamp()}", date(2024, 1, 1))
                | {
                    "Reference": text, "UpdatedDateUTC": f"{spell(stamp)}Z", "Total": total, "SubTotal": total,
                    "LineItems": [{"Description": text, "Quantity": Decimal(1), "UnitAmount": amount}],
                }
                for n, stamp in enumerate(stamps)
            ]
        )  # fmt: skip

    def touch(self, id_: str, stamp: datetime) -> None:
        record = self.raw[id_] | {"InvoiceID": id_, "UpdatedDateUTC": f"{spell(stamp)}Z"}
        self._raw([record])

    def delete(self, id_: str) -> None:
        connector = self.connector()
        request = item(0, "invoices.void", {"InvoiceID": id_, "Status": "DELETED"}, id_)
        (answer,) = connector.send(connector.operation("invoices.void"), [request])
        assert answer.outcome == "applied", answer.message
        connector.close()

    def is_gone(self, record: Mapping[str, Any]) -> bool:
        return record["Status"] in ("DELETED", "VOIDED")

    def missing(self, id_: str) -> str:
        return id_[:-4] + "0000"

    def read_back(self, record: Mapping[str, Any]) -> tuple[Decimal, str]:
        return record["LineItems"][0]["UnitAmount"], record["Reference"]

    def put_dated(self, days: Sequence[date]) -> list[str]:
        stamp = {"UpdatedDateUTC": f"{spell(LONG_AGO)}Z"}
        return self._raw([self._invoice(f"D-{n}", day) | stamp for n, day in enumerate(days)])

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        return [self._create(n, Decimal("3.3335"), "999" if n in bad else "200") for n in range(count)]

    def applied(self) -> int:
        rows = httpx.get(f"{self.root}/_sandbox/raw/Invoices", timeout=60).json()
        return sum(1 for row in rows if row["InvoiceNumber"].startswith("INV-"))

    def with_amount(self, amount: Decimal) -> Request:
        return self._create(999, amount, "200", "1")

    def creates(self, count: int) -> list[Request]:
        return self.requests(count)

    def created(self) -> int:
        return self.applied()

    def _create(self, number: int, price: Decimal, account: str, quantity: str = "3") -> Request:
        line = {"Description": "日本語 🍵", "Quantity": Decimal(quantity), "UnitAmount": price, "AccountCode": account,
                "TaxType": "OUTPUT2"}  # fmt: skip
        body = {"Type": "ACCREC", "InvoiceNumber": f"INV-{number} é", "Contact": {"ContactID": self.contact},
                "Date": "2024-05-01", "DueDate": "2024-05-31", "CurrencyCode": "GBP", "LineAmountTypes": "Exclusive",
                "Status": "AUTHORISED", "LineItems": [line]}  # fmt: skip
        return item(number, self.operation, body, f"INV-{number} é")

    def _invoice(self, number: str, day: date) -> dict[str, Any]:
        return {
            "InvoiceNumber": number, "Type": "ACCREC", "Contact": {"ContactID": self.contact}, "Status": "DRAFT",
            "Date": day.isoformat(), "LineAmountTypes": "Exclusive", "CurrencyCode": "GBP", "LineItems": [],
            "Total": Decimal(1), "SubTotal": Decimal(1), "TotalTax": Decimal("0.00"),
        }  # fmt: skip

    def _raw(self, records: list[dict[str, Any]]) -> list[str]:
        found: list[str] = post(f"{self.root}/_sandbox/raw/Invoices", records)["ids"]
        self.raw |= dict(zip(found, records, strict=True))
        return found

    @property
    def contact(self) -> str:
        """The customer of the invoices."""
        if not self._buyer:
            connector = self.connector()
            request = item(0, "contacts.create", {"ContactNumber": "C-1", "Name": "Acme"}, "C-1")
            (answer,) = connector.send(connector.operation("contacts.create"), [request])
            assert answer.vendor_id, answer.message
            self._buyer = answer.vendor_id
            connector.close()
        return self._buyer


VENDOR = Xero
