"""One company's tables with the indexes that rules and queries need, and its settings as typed values.

Records are kept as they are shown, with two differences: the times of MetaData are datetimes in UTC, and keys that
begin with `_` are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.ordered import Ordered
from sandbox.quickbooks.errors import bad_reference, closed
from sandbox.quickbooks.settings import setting
from sandbox.state import Index, Record, State, Table

SALES = ("Invoice", "CreditMemo", "RefundReceipt", "SalesReceipt")
TRANSACTIONS = (*SALES, "Payment", "Purchase")
LISTS = ("Customer", "Item", "Account", "TaxCode", "TaxRate", "Term", "CompanyCurrency")
ENTITIES = (*TRANSACTIONS, *LISTS, "ExchangeRate", "CompanyInfo", "Preferences")
NAME_OF = {name.lower(): name for name in ENTITIES}  # a path's word -> the entity
#: TxnType of what a payment's line names -> where it is.
TABLE_OF = {"Invoice": "Invoice", "CreditMemo": "CreditMemo", "Expense": "Purchase", "Check": "Purchase"}

CURRENCY_NAMES = {
    "USD": "United States Dollar",
    "GBP": "British Pound Sterling",
    "EUR": "Euro",
    "CAD": "Canadian Dollar",
    "JPY": "Japanese Yen",
}


def ref_of(record: Mapping[str, Any], field: str) -> str | None:
    """The id that a reference holds."""
    value = record.get(field)
    return value.get("value") if isinstance(value, dict) else None


class Books:
    """All records of one company. Look-ups and writes only; rules are in the modules of their entity."""

    def __init__(self, state: State, realm: str) -> None:
        self.state = state
        self.realm = realm
        self.changes: list[tuple[str, str, str]] = []  # (entity, id, Create | Update | Delete | Void) of the open call
        self.equal: dict[str, dict[str, Index]] = {}
        self.sorted: dict[str, dict[str, Ordered]] = {}
        for name in (*TRANSACTIONS, *LISTS):
            self._index(name)
        self.deleted = self._table("Deleted")
        self.deleted_at = self._attached(self.deleted, "at", Ordered(lambda record: record["at"]))
        self.postings = self._table("Postings")
        self.rates = self._table("Rates")

    def _index(self, name: str) -> None:
        table = self.table(name)
        equal = {}
        if name in TRANSACTIONS:
            equal["DocNumber"] = table.index("DocNumber", lambda r: (r.get("DocNumber") or "").lower() or None)
            equal["CustomerRef"] = table.index("CustomerRef", lambda r: ref_of(r, "CustomerRef"))
        else:
            names = {"Customer": ("DisplayName", "FullyQualifiedName")}.get(name, ("Name", "Code", "Sku"))
            for field in names:
                equal[field] = table.index(field, lambda r, field=field: str(r.get(field) or "").lower() or None)  # type: ignore[misc]
        ordered = {"MetaData.LastUpdatedTime": Ordered(lambda r: r["MetaData"]["LastUpdatedTime"])}
        ordered["Id"] = Ordered(lambda _: 0)  # the entries' second part, the number, is the order
        if name in TRANSACTIONS:
            ordered["TxnDate"] = Ordered(lambda r: r["TxnDate"])
        self.equal[name] = equal
        self.sorted[name] = {field: self._attached(table, f"by {field}", index) for field, index in ordered.items()}

    @staticmethod
    def _attached(table: Table, name: str, index: Ordered) -> Ordered:
        kept = table.attach(name, lambda: index)
        assert isinstance(kept, Ordered)
        return kept

    def _table(self, name: str) -> Table:
        return self.state.table(f"{self.realm}/{name}")

    def table(self, entity: str) -> Table:
        return self._table(entity)

    def company(self, name: str) -> Any:
        return setting(self.state, "companies")[self.realm][name]

    @property
    def home(self) -> str:
        currency: str = self.company("home_currency")
        return currency

    @property
    def is_us(self) -> bool:
        return bool(self.company("country") == "US")

    def now(self) -> datetime:
        """The sandbox's clock with Intuit's precision, seconds."""
        return self.state.clock().replace(microsecond=0)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.company("timezone"))

    def today(self) -> str:
        """The company's own day."""
        return self.now().astimezone(self.zone).date().isoformat()

    def check_open(self, *days: str | None) -> None:
        """Raises Refused 6210 when one of the days is on or before the closing date."""
        until = self.company("book_close_date")
        if until and any(day is not None and day <= until for day in days):
            raise closed()

    def next_id(self, entity: str) -> str:
        """Transactions share one sequence, each list has its own. Call inside a transaction."""
        name = "Txn" if entity in TRANSACTIONS else entity
        counters = self._table("counters")
        last: int = (counters.get(name) or {"last": 0})["last"] + 1
        counters.put(name, {"last": last})
        return str(last)

    def next_number(self, entity: str) -> str:
        """The next free document number, from 1001 on. Call inside a transaction."""
        counters = self._table("counters")
        last: int = (counters.get("DocNumber") or {"last": 1000})["last"]
        while True:
            last += 1
            if self.equal[entity]["DocNumber"].first(str(last)) is None:
                counters.put("DocNumber", {"last": last})
                return str(last)

    def put(self, entity: str, record: Record, operation: str) -> Record:
        """Keeps the record as of now; a new SyncToken unless it is `Link`: a payment moved the document's balance."""
        now = self.now()
        meta = record.get("MetaData") or {"CreateTime": now}
        kept = record | {"MetaData": {**meta, "LastUpdatedTime": now}}
        if operation == "Create":
            kept["SyncToken"] = "0"
        elif operation != "Link":
            kept["SyncToken"] = str(int(record["SyncToken"]) + 1)
        self.table(entity).put(record["Id"], kept)
        self.changes.append((entity, record["Id"], "Update" if operation == "Link" else operation))
        return kept

    def remove(self, entity: str, id_: str) -> None:
        """The record is gone; only change data capture still knows of it."""
        self.table(entity).delete(id_)
        self.deleted.put(f"{entity}:{id_}", {"entity": entity, "Id": id_, "at": self.now()})
        self.changes.append((entity, id_, "Delete"))

    def referred(self, entity: str, given: Mapping[str, Any], field: str, active: bool = True) -> Record | None:
        """The record that a reference of the body names; None without one. Raises Refused 2500."""
        value = ref_of(given, field)
        if value is None or value == "":
            return None
        record = self.table(entity).get(value)
        if record is None or (active and record.get("Active") is False):
            raise bad_reference(field, value)
        return record

    def account(self, **wanted: str) -> Record:
        """The first account with these fields, such as AccountSubType. Accounts are few."""
        for record in self.table("Account").values():
            if all(record.get(field) == value for field, value in wanted.items()):
                return record
        raise LookupError(f"company {self.realm} has no account with {wanted}")

    def receivables(self, currency: str) -> Record:
        """The accounts receivable of a currency; each foreign one has its own. Made when it is first needed."""
        for record in self.table("Account").values():
            if record["AccountType"] == "Accounts Receivable" and ref_of(record, "CurrencyRef") == currency:
                return record
        home = self.account(AccountType="Accounts Receivable")
        name = f"Accounts Receivable (A/R) - {currency}"
        fresh = home | {"Id": self.next_id("Account"), "Name": name, "FullyQualifiedName": name}
        fresh |= {"CurrencyRef": currency_ref(currency), "MetaData": {"CreateTime": self.now()}}
        return self.put("Account", fresh, "Create")

    def currencies(self) -> set[str]:
        """The home currency and the active foreign ones."""
        return {self.home} | {record["Code"] for record in self.table("CompanyCurrency").values() if record["Active"]}

    def day_rate(self, currency: str, day: str) -> Decimal | None:
        """Home units for one unit: as set for the day or the last before it, else the setting's."""
        if currency == self.home:
            return Decimal(1)
        kept = self.rates.get(currency)
        days = [known for known in kept["rates"] if known <= day] if kept else []
        if kept and days:
            rate: Decimal = kept["rates"][max(days)]
            return rate
        given = self.company("rates").get(currency)
        return None if given is None else Decimal(given)

    def deleted_since(self, moment: datetime) -> Iterator[Record]:
        places = self.deleted_at.span((moment, True), None)
        return (self.deleted[id_] for id_ in self.deleted_at.ids(places))

    def local(self, moment: datetime) -> str:
        """An instant as answers show it: 2026-03-01T01:00:00-08:00."""
        return moment.astimezone(self.zone).isoformat(timespec="seconds")

    def view(self, record: Record) -> Record:
        """The record as it is shown."""
        shown = {key: value for key, value in record.items() if key[0] != "_"}
        shown["MetaData"] = {key: self.local(moment) for key, moment in record["MetaData"].items()}
        return {"domain": "QBO", "sparse": False} | shown


def currency_ref(code: str) -> Record:
    return {"value": code, "name": CURRENCY_NAMES.get(code, code)}


def reference(record: Record) -> Record:
    """{value, name} of a record of a list."""
    name = record.get("DisplayName") or record.get("FullyQualifiedName") or record.get("Name")
    return {"value": record["Id"], "name": name}
