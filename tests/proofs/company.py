"""A whole company for the proofs: CRM and ledger in a sandbox of its own, Tieout's store, and what its books say.

CSV folders are loaded once and the sandbox's state is copied for each test. Time is not waited for: `later` moves the
leases and quiet periods of the store into the past, as if the clock had gone on. Expected figures are not here.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from tests.scenarios.world import MANY_CALLS, services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.mapping.load import load_link
from tieout.model.connection import Connection
from tieout.model.errors import Retriable
from tieout.model.link import Link
from tieout.model.settings import PROJECT
from tieout.scenarios import quote_to_cash
from tieout.scenarios.crm_load import ConnectorCrm
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.demo_ledger import FREIGHT, MAX_NAME, make_items
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.load_csv import LoadReport, load_folder
from tieout.scenarios.services import Services
from tieout.store.engine import connect

#: Seconds: what a test waits for a lost connection is this short; quiet periods are skipped by `later`.
QUICK = {"time_out": 4, "latest_apply": 0, "look_up_lag": 0}
#: A fault with probability 0 happens never and counts the calls that it is for.
WRITES: tuple[Mapping[str, Any], ...] = (
    {"system": "xero", "method": "PUT", "path": "/api.xro/*"},
    {"system": "xero", "method": "POST", "path": "/api.xro/*"},
    {"system": "xero", "method": "DELETE"},
    {"system": "salesforce", "method": "PATCH"},
    {"system": "salesforce", "method": "PUT"},
    {"system": "salesforce", "method": "DELETE"},
    {"system": "salesforce", "method": "POST", "path": "*/sobjects*"},
    {"system": "salesforce", "method": "POST", "path": "*/jobs/ingest*"},
)
CALLS: tuple[Mapping[str, Any], ...] = ({"system": "salesforce"}, {"system": "xero"})
#: Tables that a run without changes must leave as they are.
KEPT = ("intent", "crosswalk", "document", "attempt", "alias", "dead_letter")


@dataclass(frozen=True)
class Loaded:
    """A company's beginning: the sandbox's state directory, and the report of the load."""

    state: Path
    link: Link
    report: LoadReport


def load_company(folder: Path, link_name: str, place: Path) -> Loaded:
    """Loads a CSV folder into a new sandbox, prepares its ledger, and keeps the state in `place`."""
    link = load_link(PROJECT / "include" / "links" / f"{link_name}.yaml")
    place.mkdir(parents=True)
    sandbox = SandboxProcess(place)
    sandbox.start()
    try:
        crm, ledger = crm_connection(sandbox, link.crm), ledger_connection(sandbox, link.ledger)
        report = load_into(sandbox.url, crm, ledger, folder, link)
    finally:
        sandbox.stop()
    return Loaded(place / "state", link, report)


def load_into(url: str, crm: Connection, ledger: Connection, folder: Path, link: Link) -> LoadReport:
    """Loads a CSV folder into the sandbox at `url` and prepares its ledger: currency, items, no limits."""
    doors = Doors(url)
    doors.custom_fields()
    many = {"minute": MANY_CALLS, "day": MANY_CALLS, "app_minute": MANY_CALLS}
    doors.settings("xero", base_currency=link.base_currency, limits=many)
    report = load_folder(crm, folder, link.name)
    with LedgerHand(ledger) as hand:
        make_items(hand, [*_items(crm), FREIGHT])
    return report


def _items(crm: Connection) -> Iterator[dict[str, Any]]:
    connector = SalesforceConnector(crm)
    try:
        for row in ConnectorCrm(connector).rows("Product2", ["Name", "ProductCode"]):
            yield {"Code": row["ProductCode"], "Name": row["Name"][:MAX_NAME], "IsSold": True}
    finally:
        connector.close()


@dataclass(frozen=True)
class Books:
    """What the ledger says, before tax.

    Attributes:
        by_url: the CRM record's id -> its live invoices.
        numbers: how many live invoices there are of each number.
    """

    invoices: Sequence[Mapping[str, Any]]
    by_url: Mapping[str, Sequence[Mapping[str, Any]]]
    numbers: Counter[str]

    @property
    def total(self) -> Decimal:
        return sum((one["SubTotal"] for one in self.invoices), Decimal(0))

    def essence(self) -> list[tuple[Any, ...]]:
        """What has to be the same in two companies that sold the same; ids and times are left out."""
        names = ("InvoiceNumber", "Status", "Reference", "SubTotal", "Total", "AmountDue", "CurrencyCode", "DateString")
        return sorted((*(one[name] for name in names), one["Contact"]["Name"]) for one in self.invoices)

    def assert_no_duplicates(self) -> None:
        """By number and by CRM record."""
        assert not [number for number, count in self.numbers.items() if count > 1]
        assert not [url for url, found in self.by_url.items() if len(found) > 1]


@dataclass
class Company:
    """One company under test. `crm` and `ledger` are the connections that Tieout uses."""

    sandbox: SandboxProcess
    database_url: str
    link: Link
    crm: Connection
    ledger: Connection
    engine: sa.Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = connect(self.database_url)

    @contextmanager
    def services(self, crm: Connection | None = None, ledger: Connection | None = None) -> Iterator[Services]:
        """What the steps need; other connections for tests of wrong ones."""
        with services_of(self.link, crm or self.crm, ledger or self.ledger, self.engine) as services:
            yield services

    def run(self) -> dict[str, Any]:
        """All steps in a row."""
        with self.services() as services:
            return quote_to_cash.run(services)

    def run_until_settled(self, most: int = 12) -> dict[str, Any]:
        """Runs, a quarter of an hour apart, until nothing is in flight; after one that a fault ended comes the next."""
        for _ in range(most):
            try:
                numbers = self.run()
            except Retriable:
                self.later()
                continue
            if not numbers["in_flight"] and not self.open_intents():
                return numbers
            self.later()
        raise AssertionError(f"not settled after {most} runs: {self.open_intents()}")

    def open_intents(self) -> dict[str, int]:
        """state -> count of intents whose fate is open."""
        with self.engine.connect() as conn:
            rows = conn.execute(
                sa.text(
                    "select state, count(*) as n from tieout.intent "
                    "where state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN') group by 1"
                )
            )
            return {row.state: row.n for row in rows}

    def later(self, minutes: int = 15) -> None:
        """The store as it is so many minutes later: leases and quiet periods are over."""
        with self.engine.begin() as conn:
            for column in ("lease_until", "not_before", "sent_at"):
                conn.execute(
                    sa.text(
                        f"update tieout.intent set {column} = {column} - make_interval(mins => :minutes) "
                        f"where {column} is not null and state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN')"
                    ),
                    {"minutes": minutes},
                )

    def hand(self) -> LedgerHand:
        """Finance at work in the ledger; close it."""
        return LedgerHand(self.ledger)

    def books(self) -> Books:
        """The ledger's live sales invoices."""
        with self.hand() as hand:
            live = [one for one in hand.all("Invoices") if one["Status"] not in ("VOIDED", "DELETED")]
        by_url: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for one in live:
            if one.get("Url"):
                by_url[one["Url"].rsplit("/", 1)[-1]].append(one)
        return Books(live, by_url, Counter(one["InvoiceNumber"] for one in live))

    def crm_rows(self, name: str, *fields: str) -> list[Mapping[str, Any]]:
        """These fields of all records of an object."""
        with self.crm_hand() as crm:
            return list(crm.rows(name, fields))

    @contextmanager
    def crm_hand(self) -> Iterator[ConnectorCrm]:
        """Sales at work in the CRM."""
        connector = SalesforceConnector(crm_connection(self.sandbox, self.link.crm))
        try:
            yield ConnectorCrm(connector)
        finally:
            connector.close()

    def counting(self) -> None:
        """Counts the calls from now on; see `counted`."""
        self.sandbox.faults(*({"fault": "slow", "probability": 0, **rule} for rule in (*WRITES, *CALLS)))

    def counted(self) -> tuple[int, int]:
        """(calls that write, all calls) since `counting`."""
        rules = httpx.get(f"{self.sandbox.url}/_sandbox/faults", timeout=30).json()["rules"]
        matches = [rule["matches"] for rule in rules]
        return sum(matches[: len(WRITES)]), sum(matches[len(WRITES) :])

    def snapshot(self) -> dict[str, tuple[Any, ...]]:
        """Of each table that only a change may touch: how many rows, and the youngest transaction that wrote one."""
        with self.engine.connect() as conn:
            # Rows of a partitioned table are in its partitions, which are tables themselves.
            staged = conn.execute(
                sa.text("select relname from pg_class where relnamespace = 'staging'::regnamespace and relkind = 'r'")
            )
            tables = [f"staging.{row.relname}" for row in staged] + [f"tieout.{name}" for name in KEPT]
            sql = "select count(*), max(xmin::text::bigint) from {}"
            return {name: tuple(conn.execute(sa.text(sql.format(name))).one()) for name in sorted(tables)}

    def dispose(self) -> None:
        """Gives the sessions back."""
        self.engine.dispose()


@contextmanager
def company_of(loaded: Loaded, database_url: str, place: Path) -> Iterator[Company]:
    """A company that begins where `loaded` stands; its sandbox ends with the test."""
    place.mkdir(parents=True)
    shutil.copytree(loaded.state, place / "state")
    sandbox = SandboxProcess(place)
    sandbox.start()
    crm, ledger = (
        replace(connection, extra={**connection.extra, **QUICK})
        for connection in (
            crm_connection(sandbox, loaded.link.crm),
            ledger_connection(sandbox, loaded.link.ledger),
        )
    )
    company = Company(sandbox, database_url, loaded.link, crm, ledger)
    try:
        yield company
    finally:
        company.dispose()
        sandbox.stop()
