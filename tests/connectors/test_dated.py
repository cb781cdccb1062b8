"""Reading by the date of a document, of both vendors over real HTTP: whatever its modification time, none left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest

from tests.connectors.vendor_salesforce import Salesforce
from tests.connectors.vendor_xero import Xero
from tests.connectors.vendors import LONG_AGO, post, spell
from tests.connectors.wires import Time, entity
from tests.support.sandbox import SandboxProcess
from tieout.connectors.base import Connector, Page
from tieout.connectors.xero import read as xero_read
from tieout.model.errors import ConfigurationFault
from tieout.model.staged import StagedEntity

pytestmark = pytest.mark.slow
FIRST, LAST = date(2026, 2, 1), date(2026, 2, 28)


class Books(Protocol):
    """Documents of one vendor, by their day."""

    entity: StagedEntity
    field: str
    page: int
    connector: Connector

    def put(self, days: list[date]) -> list[str]: ...

    def move(self, id_: str, day: date) -> None: ...


class Orders:
    """Salesforce's orders by EffectiveDate."""

    field, page = "EffectiveDate", 2000
    entity = entity("salesforce", "Order", "Id", "SystemModstamp", id=("Id", "text"), on=("EffectiveDate", "date"))

    def __init__(self, sandbox: SandboxProcess) -> None:
        self._vendor = Salesforce(sandbox, Time())
        (self._account,) = self._vendor.put([LONG_AGO], Decimal(1), "buyer")
        self.connector = self._vendor.connector()

    def put(self, days: list[date]) -> list[str]:
        found: list[str] = post(
            f"{self._vendor.root}/_sandbox/raw/Order",
            {"records": [{"AccountId": self._account, "EffectiveDate": day.isoformat(), "Status": "Draft"}
                         for day in days]},
        )["ids"]  # fmt: skip
        return found

    def move(self, id_: str, day: date) -> None:
        post(f"{self._vendor.root}/_sandbox/raw/Order", {"Id": id_, "EffectiveDate": day.isoformat()})

    def lines(self, orders: list[str]) -> list[str]:
        records = [{"OrderId": order, "Quantity": 1, "UnitPrice": 2} for order in orders]
        found: list[str] = post(f"{self._vendor.root}/_sandbox/raw/OrderItem", {"records": records})["ids"]
        return found


class Invoices:
    """Xero's invoices by Date."""

    field, page = "Date", 1000
    entity = entity("xero", "Invoices", "InvoiceID", "UpdatedDateUTC", id=("InvoiceID", "text"), on=("Date", "date"))

    def __init__(self, sandbox: SandboxProcess) -> None:
        self._vendor = Xero(sandbox, Time())
        self.connector = self._vendor.connector()
        self._contact = self._vendor.contact
        self._made: dict[str, dict[str, Any]] = {}

    def put(self, days: list[date]) -> list[str]:
        records = [
            {"InvoiceNumber": f"D-{len(self._made) + n}", "Type": "ACCREC", "Contact": {"ContactID": self._contact},
             "Date": day.isoformat(), "Status": "DRAFT", "LineAmountTypes": "Exclusive", "CurrencyCode": "GBP",
             "LineItems": [], "Total": Decimal(1), "SubTotal": Decimal(1), "TotalTax": Decimal(0),
             "UpdatedDateUTC": f"{spell(LONG_AGO + timedelta(days=n % 3))}Z"}
            for n, day in enumerate(days)
        ]  # fmt: skip
        found: list[str] = post(f"{self._vendor.root}/_sandbox/raw/Invoices", records)["ids"]
        self._made |= dict(zip(found, records, strict=True))
        return found

    def move(self, id_: str, day: date) -> None:
        record = self._made[id_] | {"InvoiceID": id_, "Date": day.isoformat()}
        post(f"{self._vendor.root}/_sandbox/raw/Invoices", [record])


@pytest.fixture(params=[Orders, Invoices], ids=["salesforce", "xero"])
def books(request: pytest.FixtureRequest, sandbox: SandboxProcess) -> Iterator[Books]:
    made: Books = request.param(sandbox)
    yield made
    made.connector.close()


def ids(books: Books, pages: Iterator[Page], between: Callable[[], None] | None = None) -> list[str]:
    found: list[str] = []
    for page in pages:
        found += [str(record[books.entity.key]) for record in page.records]
        if between:
            between()
            between = None
    return found


def dated(books: Books, first: date = FIRST, last: date = LAST) -> Iterator[Page]:
    return books.connector.dated(books.entity, books.field, first, last)


def test_both_days_count_and_what_is_dated_outside_does_not(books: Books) -> None:
    days = [FIRST - timedelta(days=1), FIRST, FIRST + timedelta(days=9), LAST, LAST + timedelta(days=1)]
    made = books.put(days)
    assert sorted(ids(books, dated(books))) == sorted(made[1:4])
    assert ids(books, dated(books, FIRST, FIRST)) == [made[1]]
    assert ids(books, dated(books, date(2031, 1, 1), date(2031, 12, 31))) == []


def test_every_record_over_several_pages_and_a_day_that_fills_more_than_one(books: Books) -> None:
    crowded = [FIRST + timedelta(days=3)] * (books.page + 30)
    made = books.put([FIRST + timedelta(days=n % 28) for n in range(books.page // 2)] + crowded)
    found = ids(books, dated(books))
    assert sorted(found) == sorted(made), "each once"


def test_a_record_that_leaves_the_range_meanwhile_takes_no_other_with_it(books: Books) -> None:
    made = books.put([FIRST + timedelta(days=n % 28) for n in range(books.page + 100)])
    gone = made[:5]
    found = ids(books, dated(books), lambda: [books.move(id_, date(2027, 1, 1)) for id_ in gone] and None)
    assert set(made) - set(found) <= set(gone)


def test_the_modification_time_does_not_count(books: Books) -> None:
    (made,) = books.put([FIRST])
    since = datetime(2100, 1, 1, tzinfo=UTC)
    assert ids(books, books.connector.changed(books.entity, since, since + timedelta(days=1))) == []
    assert ids(books, dated(books)) == [made]


def test_lines_are_chosen_by_the_day_of_their_order(sandbox: SandboxProcess) -> None:
    books = Orders(sandbox)
    inside, outside = books.put([FIRST, date(2027, 1, 1)])
    (line, _) = books.lines([inside, outside])
    lines = entity("salesforce", "OrderItem", "Id", "SystemModstamp", id=("Id", "text"), of=("OrderId", "text"))
    found = [
        record["Id"]
        for page in books.connector.dated(lines, "EffectiveDate", FIRST, LAST, parent="OrderId")
        for record in page.records
    ]
    books.connector.close()
    assert found == [line]


def test_a_crowded_day_of_xero_that_moves_is_read_until_it_stands_still(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xero_read, "PAGE_SIZE", 10)
    books = Invoices(sandbox)
    made = books.put([FIRST] * 25 + [LAST] * 3)
    assert sorted(ids(books, dated(books))) == sorted(made)
    books.connector.close()


def test_what_has_no_day_says_so(sandbox: SandboxProcess) -> None:
    books = Invoices(sandbox)
    items = entity("xero", "Items", "ItemID", "UpdatedDateUTC", id=("ItemID", "text"))
    with pytest.raises(ConfigurationFault, match="Items cannot be read by a date"):
        list(books.connector.dated(items, "Date", FIRST, LAST))
    with pytest.raises(ConfigurationFault, match="'Date; x' is not the name of a date"):
        list(books.connector.dated(books.entity, "Date; x", FIRST, LAST))
    with pytest.raises(ConfigurationFault, match="expected no parent"):
        books.connector.dated(books.entity, "Date", FIRST, LAST, parent="InvoiceID")
    books.connector.close()
