"""The organisation: its schema, its records, its clock and numbers. Knows neither HTTP nor the rules of saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from sandbox.salesforce import ids, metadata
from sandbox.salesforce.fields import Field, SObject
from sandbox.salesforce.metadata import Schema
from sandbox.salesforce.values import stamp
from sandbox.state import Index, Record, State, Table

ORG_ID = ids.make("00D", 1)
USER_ID = ids.make("005", 1)
STANDARD_PRICEBOOK = ids.make("01s", 1)
EPOCH = "epoch"  # a setting that changes when everything is reset, so that what is only in memory is dropped too

DEFAULTS: Mapping[str, Any] = {
    "api_allowance": 1_000_000,  # calls in 24 hours
    "token_seconds": 7200,
    "corporate_currency": "USD",
    "modstamp_precision": "milliseconds",  # or "seconds"
    "bulk_polls": 0,  # how often a bulk job says InProgress before it is done
    "stale_seconds": 30,  # how far back `stale_read` hides changes
}
CURRENCIES = {"USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "CAD": 2, "AUD": 2, "DKK": 2, "SEK": 2, "NOK": 2, "PLN": 2}
CURRENCIES |= {"CZK": 2, "NZD": 2, "SGD": 2, "JPY": 0, "KRW": 0, "CLP": 0, "KWD": 3, "BHD": 3, "TND": 3}


class Org:
    """Everything that the request handlers share. Made once for a State; `refresh` follows a reset."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.memory: dict[str, Any] = {}  # what a restart may forget: query cursors, the call counter
        self.epoch: str | None = None
        self.schema: Schema = metadata.schema(())
        self.refresh()

    def refresh(self) -> None:
        """Reads the schema anew when the state was seeded since."""
        epoch = self.state.settings.get(EPOCH)
        if epoch != self.epoch:
            self.epoch = epoch
            self.memory.clear()
            self.load_schema()

    def load_schema(self) -> None:
        """The schema from the documents that are kept."""
        self.schema = metadata.schema(self.state.table("_metadata").values())
        self.memory.pop("decimals", None)

    def setting(self, name: str) -> Any:
        return self.state.settings.get(name, DEFAULTS[name])

    def table(self, name: str) -> Table:
        return self.state.table(name)

    def get(self, sobject: str, id_: str) -> Record | None:
        """The record, deleted or not; `id_` in its 18-character form."""
        return self.state.table(sobject).get(id_)

    def index(self, sobject: SObject, field: Field) -> Index:
        """The living and the deleted records by the value of an indexed field (texts without regard to case)."""
        return self.state.table(sobject.name).index(field.name, _key(field))

    def children(self, child: str, field: str, parent: str) -> list[Record]:
        """The living records of `child` whose reference `field` is `parent`."""
        sobject = self.schema.objects[child]
        return [one for one in self.index(sobject, sobject.fields[field])(parent) if not one["IsDeleted"]]

    def now(self) -> datetime:
        return self.state.clock()

    def stamp_now(self) -> str:
        """The time stamp for a record that is saved now."""
        text = stamp(self.state.clock())
        return text if self.setting("modstamp_precision") == "milliseconds" else f"{text[:19]}.000+0000"

    def number(self, counter: str) -> int:
        """The next number of a counter: 1, 2, 3 ..."""
        table = self.state.table("_counter")
        record = table.get(counter)
        value = (record["last"] if record else 0) + 1
        table.put(counter, {"last": value})
        return value

    def new_id(self, sobject: SObject) -> str:
        """An id that no record has yet."""
        while True:
            id_ = ids.make(sobject.prefix, self.number(sobject.prefix))
            if id_ not in self.state.table(sobject.name):
                return id_

    def decimals(self, currency: str | None) -> int:
        """Decimal places of a currency that is known here, else 2."""
        places = self.memory.get("decimals")
        if places is None:
            records = self.state.table("CurrencyType").values()
            places = self.memory["decimals"] = {one["IsoCode"]: one["DecimalPlaces"] for one in records}
        found: int = places.get(currency, 2)
        return found

    def by_prefix(self, id_: str) -> SObject | None:
        """The object that an id belongs to."""
        return next((one for one in self.schema.objects.values() if one.prefix == id_[:3]), None)


def _key(field: Field) -> Callable[[Record], Any]:
    name = field.name
    if field.type == "reference" or field.case_sensitive:
        return lambda record: record.get(name)

    def folded(record: Record) -> Any:
        value = record.get(name)
        return value.casefold() if isinstance(value, str) else value

    return folded


def seed(state: State) -> None:
    """What a new organisation has: itself, a user, currencies, the standard price book, a registered client."""
    now = stamp(state.clock())
    audit = {"CreatedDate": now, "CreatedById": USER_ID, "LastModifiedDate": now, "LastModifiedById": USER_ID}
    base: Record = {"IsDeleted": False, **audit, "SystemModstamp": now}
    with state.lock, state.transaction():
        state.settings[EPOCH] = uuid4().hex
        user: Record = {"Username": "integration@sandbox.example", "LastName": "Integration", "Name": "Integration"}
        user |= {"Email": "integration@sandbox.example", "IsActive": True, "UserType": "Standard"}
        state.table("User").put(USER_ID, {"Id": USER_ID, **user, "CurrencyIsoCode": "USD", **base})
        org: Record = {"Name": "Sandbox Organisation", "Country": "US", "OrganizationType": "Developer Edition"}
        org |= {"InstanceName": "SBX1", "IsSandbox": True, "FiscalYearStartMonth": 1}
        state.table("Organization").put(ORG_ID, {"Id": ORG_ID, **org, **base})
        book: Record = {"Name": "Standard Price Book", "IsActive": True, "IsStandard": True, "IsArchived": False}
        state.table("Pricebook2").put(STANDARD_PRICEBOOK, {"Id": STANDARD_PRICEBOOK, **book, **base})
        for number, (code, places) in enumerate(CURRENCIES.items(), start=1):
            id_ = ids.make("01L", number)
            kind = {"IsoCode": code, "DecimalPlaces": places, "ConversionRate": Decimal("1.0"), "IsActive": True}
            kind["IsCorporate"] = code == DEFAULTS["corporate_currency"]
            state.table("CurrencyType").put(id_, {"Id": id_, **kind, **base})
        for prefix, last in (("005", 1), ("00D", 1), ("01s", 1), ("01L", len(CURRENCIES))):
            state.table("_counter").put(prefix, {"last": last})
        client = {"consumer_secret": "sandbox-secret", "username": user["Username"]}
        state.table("_client").put("sandbox-consumer", client)
