"""Finance at work in a ledger: what it makes and closes there, beside what tests/proofs/pairs.py has of it."""

from __future__ import annotations

from datetime import date

from tests.proofs.pairs import REALM, _Books
from tieout.model.connection import Connection
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.ledger_hand import LedgerHand

#: Ledger -> the calls that make invoices there, as a fault plan of the sandbox names them.
MAKES_INVOICES = {
    "xero": {"system": "xero", "method": "PUT", "path": "*/Invoices*"},
    "quickbooks": {"system": "quickbooks", "method": "POST", "path": "*/batch"},
}


class InXero:
    """Finance in Xero."""

    def __init__(self, connection: Connection, url: str) -> None:
        self._connection, self._doors = connection, Doors(url)

    def currencies(self, *codes: str) -> None:
        """These beside the company's own."""
        self._doors.settings("xero", currencies=["USD", *codes], rates=dict.fromkeys(codes, "0.9"))

    def item(self, code: str) -> None:
        with LedgerHand(self._connection) as hand:
            hand.create("Items", [{"Code": code, "Name": code, "IsSold": True}])

    def customer(self, name: str) -> str:
        """Its id."""
        with LedgerHand(self._connection) as hand:
            return str(hand.create("Contacts", [{"Name": name}])[0]["ContactID"])

    def close_until(self, day: date) -> None:
        self._doors.settings("xero", period_lock_date=day.isoformat())


class InQuickBooks:
    """Finance in QuickBooks."""

    def __init__(self, connection: Connection, url: str) -> None:
        self._connection, self._doors = connection, Doors(url)

    def currencies(self, *codes: str) -> None:
        with _Books(self._connection) as books:
            there = {one["Code"] for one in books.query("CompanyCurrency")}
            books.create("CompanyCurrency", [{"Code": code} for code in codes if code not in there])
        rates = dict.fromkeys(codes, "1.1")
        self._doors.settings("quickbooks", companies={REALM: {"rates": rates}})

    def item(self, code: str) -> None:
        with _Books(self._connection) as books:
            (income, *_) = books.query("Account", "where AccountType = 'Income'")
            books.create("Item", [
                {"Name": code, "Sku": code, "Type": "Service", "IncomeAccountRef": {"value": income["Id"]}}
            ])  # fmt: skip

    def customer(self, name: str) -> str:
        """Its id."""
        with _Books(self._connection) as books:
            books.create("Customer", [{"DisplayName": name}])
            return next(str(one["Id"]) for one in books.query("Customer") if one["DisplayName"] == name)

    def close_until(self, day: date) -> None:
        self._doors.settings("quickbooks", companies={REALM: {"book_close_date": day.isoformat()}})


FINANCE: dict[str, type[InXero] | type[InQuickBooks]] = {"xero": InXero, "quickbooks": InQuickBooks}
