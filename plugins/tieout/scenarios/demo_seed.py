"""Loads the demo's books into the sandbox's Salesforce through its API. Running it again changes nothing.

Dirt that Salesforce's rules refuse goes in by the sandbox's raw door, after everything else, once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.model.errors import VendorFault
from tieout.scenarios.crm_load import KEY_FIELD, ConnectorCrm, Loaded, load, set_where_different
from tieout.scenarios.demo_books import DemoBooks
from tieout.scenarios.demo_doors import Doors

ACTIVATED = "Activated"


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What was loaded: `created` and `unchanged` records per object, `ids` by our key, `activated` orders.

    `order_numbers` are Salesforce's numbers by order key; `taken_order_number` is for setup_ledger.
    """

    created: Mapping[str, int]
    unchanged: Mapping[str, int]
    activated: int
    ids: Mapping[str, str]
    order_numbers: Mapping[str, str]
    taken_order_number: str


def seed(crm: Connection, sandbox_url: str, books: DemoBooks) -> SeedReport:
    """Brings the books into the Salesforce of the connection, which is the sandbox at `sandbox_url`.

    Raises:
        VendorFault: the sandbox refused a record that should be good.
        Retriable: nobody knows whether a batch was applied; running it again carries on.
    """
    doors = Doors(sandbox_url)
    doors.custom_fields()
    doors.settings("salesforce", corporate_currency="GBP")
    connector = SalesforceConnector(crm)
    try:
        return _load(ConnectorCrm(connector), doors, books)
    finally:
        connector.close()


def _load(crm: ConnectorCrm, doors: Doors, books: DemoBooks) -> SeedReport:
    complete = _is_active(crm, _last_activated(books))
    loaded = load(crm, books.records)
    if loaded.refused:
        key, reason = loaded.refused[0]
        raise VendorFault(f"{len(loaded.refused)} demo records were refused; the first, {key}: {reason}")
    activated = 0
    if not complete:
        # What somebody changed or mended later is not made dirty again by another seed.
        _raw(doors, books, loaded)
        activated = _activate(crm, books, loaded)
    numbers = {row[KEY_FIELD]: row["OrderNumber"] for row in crm.rows("Order", [KEY_FIELD, "OrderNumber"])}
    return SeedReport(
        created=loaded.created,
        unchanged=loaded.unchanged,
        activated=activated,
        ids=loaded.ids,
        order_numbers=numbers,
        taken_order_number=numbers[books.taken_number],
    )


def _last_activated(books: DemoBooks) -> str:
    """The order that is activated last of all: where it is Activated, the seed was complete."""
    raw = {record.key for record in books.records["Order"] if record.raw}
    return [key for key in books.activate if key not in raw and key in _with_lines(books)][-1]


def _with_lines(books: DemoBooks) -> set[str]:
    return {record.fields["OrderId"].key for record in books.records["OrderItem"]}


def _is_active(crm: ConnectorCrm, key: str) -> bool:
    rows = crm.rows("Order", [KEY_FIELD, "Status"])
    return any(row[KEY_FIELD] == key and row["Status"] == ACTIVATED for row in rows)


def _activate(crm: ConnectorCrm, books: DemoBooks, loaded: Loaded) -> int:
    good = _with_lines(books)
    ids = [loaded.ids[key] for key in books.activate if key in good]
    count, failed = set_where_different(crm, "Order", ids, {"Status": ACTIVATED})
    if failed:
        raise VendorFault(f"{len(failed)} orders were not activated; the first: {failed[0].error}")
    return count


def _raw(doors: Doors, books: DemoBooks, loaded: Loaded) -> None:
    good = _with_lines(books)
    raw: dict[str, list[dict[str, object]]] = defaultdict(list)
    for name, records in books.records.items():
        for record in records:
            fields = dict(record.raw)
            # Neither a record that breaks a rule nor an order without lines could be activated today.
            if name == "Order" and record.key in books.activate and (fields or record.key not in good):
                fields["Status"] = ACTIVATED
            if fields:
                raw[name].append({"Id": loaded.ids[record.key], **fields})
    for name, rows in raw.items():
        doors.raw(name, rows)
