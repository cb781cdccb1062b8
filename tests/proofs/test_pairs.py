"""Northwind's real files through each pair of a CRM and a ledger: the same books to the cent, and the pair ties out.

A pair is a link file and nothing else. Salesforce and Xero are proven further in test_northwind.py.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.proofs.company import QUICK
from tests.proofs.northwind_arithmetic import Expected, expected_northwind, line_net
from tests.proofs.pairs import CRMS, LEDGERS, Crm, Ledger, Posted
from tests.scenarios.world import services_of
from tests.support.days import today
from tests.support.sandbox import SandboxProcess
from tests.support.shared import require_shared
from tieout.mapping.load import load_link
from tieout.model.connection import Connection
from tieout.model.link import Link
from tieout.reconcile import lines
from tieout.scenarios import credit_sync, fiscal_period, product_sync, quote_to_cash, reconciliation, returns
from tieout.scenarios.load_csv import load_folder
from tieout.scenarios.periods.calendar import calendar_of
from tieout.scenarios.services import Services
from tieout.store.engine import connect

pytestmark = [pytest.mark.long, pytest.mark.shared]
LINKS = Path(__file__).parent / "links"
AREAS = ("invoices", "tax", "payments", "credit_memos", "balances", "credit", "prices", "stock")
PAIRS = [("salesforce", "quickbooks"), ("hubspot", "xero"), ("hubspot", "quickbooks")]


@dataclass
class Pair:
    """One CRM and one ledger in a sandbox, with Northwind sold in it."""

    crm: Crm
    ledger: Ledger
    link: Link
    crm_connection: Connection
    ledger_connection: Connection
    engine: sa.Engine

    @contextmanager
    def services(self) -> Iterator[Services]:
        with services_of(self.link, self.crm_connection, self.ledger_connection, self.engine) as services:
            yield services

    def run(self) -> dict[str, Any]:
        with self.services() as services:
            return quote_to_cash.run(services)

    def invoices(self) -> list[Posted]:
        return self.ledger.invoices(self.ledger_connection)

    def sends(self) -> int:
        """How often bytes may have gone out to either system."""
        with self.engine.connect() as conn:
            return int(conn.execute(sa.text("select coalesce(sum(sends), 0) from tieout.intent")).scalar_one())

    def reasons(self) -> list[Any]:
        """Why records wait, and how often."""
        query = "select stage, reason, count(*), max(message) from tieout.dead_letter group by 1, 2"
        intents = "select state, reason, count(*), max(message) from tieout.intent group by 1, 2"
        with self.engine.connect() as conn:
            return [tuple(row) for one in (query, intents) for row in conn.execute(sa.text(one))]

    def reconcile(self, *areas: str) -> list[Mapping[str, Any]]:
        """Ties out; the breaks of these areas."""
        with self.services() as services:
            numbers = reconciliation.run(services, as_of=today(self.link))
            with services.engine.connect() as conn:
                breaks = lines.breaks(conn, self.link.name, most=10_000)
        assert numbers["state"] == "tied"
        assert {one["unexplained"] for one in numbers["totals"]} <= {0}
        return [one for one in breaks if one["area"] in areas]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("crm_system", "ledger_system"), PAIRS)
@pytest.mark.proves(
    "Northwind's orders are billed to the cent; a second run sends nothing", scenario="quote_to_cash", ties_out=True
)
@pytest.mark.proves(
    "a month of Northwind is backfilled, and the hourly run bills none of it again", scenario="backfill", ties_out=True
)
@pytest.mark.proves(
    "a return of Northwind's is credited once and set against its invoice", scenario="returns", ties_out=True
)
@pytest.mark.proves("balances and credit in the CRM are the ledger's", scenario="credit_sync", ties_out=True)
@pytest.mark.proves("prices and stock in the CRM are the ledger's", scenario="product_sync", ties_out=True)
@pytest.mark.proves(
    "invoices, tax, payments, credits, balances, prices and stock of both agree",
    scenario="reconciliation",
    ties_out=True,
)
def test_a_pair_ends_in_the_same_books_and_ties_out(
    crm_system: str, ledger_system: str, sandbox: SandboxProcess, database_url: str
) -> None:
    folder = require_shared("data", "northwind")
    expected = expected_northwind(folder)
    link = load_link(LINKS / f"northwind_{crm_system}_{ledger_system}.yaml")
    crm, ledger = CRMS[crm_system], LEDGERS[ledger_system]
    crm_connection, ledger_connection = crm.connection(sandbox, link.crm), ledger.connection(sandbox, link.ledger)
    crm.prepare(sandbox, crm_connection)
    report = load_folder(crm_connection, folder, crm.profile)
    assert report.activated == len(expected.orders)
    ledger.prepare(sandbox, ledger_connection, _items(folder))
    quick = [replace(one, extra={**one.extra, **QUICK}) for one in (crm_connection, ledger_connection)]
    pair = Pair(crm, ledger, link, *quick, connect(database_url))
    try:
        _bills_to_the_cent(pair, folder, expected)
        _the_other_scenarios(pair, folder, expected)
    finally:
        pair.engine.dispose()


def _bills_to_the_cent(pair: Pair, folder: Path, expected: Expected) -> None:
    with pair.services() as services:
        label = calendar_of(services).period_of(date(1996, 8, 15)).label
        backfilled = fiscal_period.run(services, label)["applied"]
    assert backfilled > 10
    first = pair.run()
    assert (first["posted"], first["unchanged"]) == (len(expected.orders) - backfilled, backfilled), pair.reasons()
    invoices = pair.invoices()
    assert not [number for number, count in Counter(one.number for one in invoices).items() if count > 1]
    assert {one.reference: one.net for one in invoices} == expected.orders
    assert _totals(invoices) == _expected_totals(folder, expected)
    sent = pair.sends()
    second = pair.run()
    assert (second["posted"], second["unchanged"]) == (0, len(expected.orders))
    assert pair.sends() == sent
    assert pair.invoices() == invoices
    with pair.services() as services:
        assert fiscal_period.run(services, label)["lines"] == {}
    assert not pair.reconcile(*reconciliation.SALES)


def _the_other_scenarios(pair: Pair, folder: Path, expected: Expected) -> None:
    """A payment, a return, credit and products: each has its effect, and what both show still ties out."""
    (paid,) = (one for one in pair.invoices() if one.reference == max(expected.orders))
    pair.ledger.pay(pair.ledger_connection, paid, Decimal("10.00"), today(pair.link).isoformat())
    pair.run()
    # A line with a discount, which not every ledger has.
    lines = (row for row in _good(folder / "order-details.csv") if row["orderID"] in expected.orders)
    back = next(row for row in lines if Decimal(row["discount"]))
    pair.crm.send_back(pair.crm_connection, back["orderID"], back["productID"], Decimal(back["quantity"]))
    for _ in range(2):
        with pair.services() as services:
            returns.run(services)
    ((_, net, left),) = pair.ledger.credited(pair.ledger_connection)
    assert (net, left) == (line_net(back), 0), "credited once, and set against its invoice"
    with pair.services() as services:
        quote_to_cash.run(services)
        credit_sync.run(services)
        product_sync.run(services)
    found = pair.reconcile(*AREAS)
    assert not found, found[:5]


def _items(folder: Path) -> list[tuple[str, str]]:
    with (folder / "products.csv").open(encoding="utf-8", newline="") as file:
        return [(f"NW-{row['productID']}", row["productName"]) for row in csv.DictReader(file)]


def _totals(invoices: Sequence[Posted]) -> dict[tuple[str, str, str], Decimal]:
    """(customer, currency, month) -> net."""
    totals: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for one in invoices:
        totals[one.customer, one.currency, one.day[:7]] += one.net
    return dict(totals)


def _expected_totals(folder: Path, expected: Expected) -> dict[tuple[str, str, str], Decimal]:
    """The same from the files: a row that has more fields than its header is in none of them."""
    names = {row["customerID"]: " ".join(row["companyName"].split()) for row in _good(folder / "customers.csv")}
    months = {row["orderID"]: row["orderDate"][:7] for row in _good(folder / "orders.csv")}
    totals: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for order, net in expected.orders.items():
        totals[names[expected.customer_of[order]], "USD", months[order]] += net
    return dict(totals)


def _good(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        return [dict(zip(header, row, strict=True)) for row in reader if len(row) == len(header)]
