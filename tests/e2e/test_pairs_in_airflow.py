"""The three pairs beside Salesforce and Xero through Airflow's own scheduler: each is a link file and nothing else.

One Airflow and one store for all of them; a sandbox for each, so that a CRM of two pairs is two companies.
A month is backfilled through Airflow's API, what is left is billed by quote-to-cash, every process that posts is killed
while its ledger has made documents that nobody was told of; then the other scenarios, and the reconciliation. What has
to be in the books is plain arithmetic over the files. The tests build on each other in their order.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.chaos.in_airflow import MOST_TRIES, _clear, _deliverers, _kill, _leases_of_the_dead_are_over
from tests.e2e.company import LIMIT, as_airflow, query, until
from tests.proofs.company import QUICK
from tests.proofs.finance import MAKES_INVOICES
from tests.proofs.made_up import write_folder
from tests.proofs.northwind_arithmetic import Expected, expected_northwind, line_net, rows
from tests.proofs.pairs import CRMS, LEDGERS, Crm, Ledger, Posted
from tests.support.days import today
from tests.support.demo import ROOT, end, new_home
from tests.support.sandbox import SandboxProcess
from tieout.mapping.load import load_link
from tieout.model.connection import Connection
from tieout.model.errors import Retriable
from tieout.model.link import Link
from tieout.orchestration.demo.places import Places
from tieout.orchestration.demo.rest import AirflowApi
from tieout.orchestration.demo.system import System, bring_up
from tieout.scenarios.load_csv import load_folder

PAIRS = [("hubspot", "quickbooks"), ("hubspot", "xero"), ("salesforce", "quickbooks")]
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

LINKS = ROOT / "tests" / "proofs" / "links"
ORDERS, DAYS = 80, ("2025-07-07", "2025-08-11")
#: July, and its first instant in New York, where the links' days begin.
MONTH, FIRST = "2025-07", "2025-07-01T04:00:00Z"
#: Seconds for an exchange.
TIME_OUT = 15
#: The ledger makes what it is asked for after a second, and keeps silent.
SILENT = {"fault": "late_apply", "times": 1, "params": {"seconds": 1, "hang": True}}


@dataclass
class Pair:
    """A pair at work. `url`: of its sandbox."""

    link: Link
    url: str

    @property
    def crm(self) -> Crm:
        return CRMS[self.link.crm_system]

    @property
    def ledger(self) -> Ledger:
        return LEDGERS[self.link.ledger_system]

    @property
    def crm_connection(self) -> Connection:
        at: Any = SimpleNamespace(url=self.url)
        return _quick(self.crm.connection(at, self.link.crm))

    @property
    def ledger_connection(self) -> Connection:
        at: Any = SimpleNamespace(url=self.url)
        return _quick(self.ledger.connection(at, self.link.ledger))

    def load(self, folder: Path) -> None:
        """What sales entered, and what both administrators set up."""
        at: Any = SimpleNamespace(url=self.url)
        self.crm.prepare(at, self.crm_connection)
        load_folder(self.crm_connection, folder, self.crm.profile)
        items = [(f"NW-{row['productID']}", row["productName"]) for _, row in rows(folder / "products.csv", [])]
        self.ledger.prepare(at, self.ledger_connection, items)

    def invoices(self) -> list[Posted]:
        return self.ledger.invoices(self.ledger_connection)

    def faults(self, *rules: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/_sandbox/faults", json={"seed": 1, "rules": list(rules)}, timeout=30).raise_for_status()


def _quick(connection: Connection) -> Connection:
    return replace(connection, extra={**connection.extra, **QUICK, "time_out": TIME_OUT})


@dataclass
class Company:
    """Airflow with the pairs' DAGs, and an operator in front of it."""

    system: System
    api: AirflowApi
    folder: Path
    expected: Expected
    pairs: list[Pair] = field(default_factory=list)

    def start(self, scenario: str, **given: str) -> dict[str, tuple[str, str]]:
        """link -> (DAG, run): a run of the scenario for each pair, all at once."""
        ids = {pair.link.name: f"{scenario}__{pair.link.name}" for pair in self.pairs}
        for dag_id in ids.values():
            self.api.unpause(dag_id)
        return {name: (dag_id, self.api.trigger(dag_id, **given)) for name, dag_id in ids.items()}

    def ended(self, runs: dict[str, tuple[str, str]]) -> None:
        """They have ended well."""
        for name, state in self.over(runs).items():
            assert state == "success", (name, self.api.task_states(*runs[name]), self.waits())

    def state(self, dag_id: str, run_id: str) -> str:
        """Of a run; empty while Airflow's API has no time for us, as where many of its runs begin."""
        with suppress(Retriable, httpx.TransportError):
            return self.api.run_state(dag_id, run_id)
        return ""

    def over(self, runs: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Waits until they have ended: link -> success or failed."""
        found: dict[str, str] = {}

        def ended() -> bool:
            found.update({name: self.state(*one) for name, one in runs.items()})
            return set(found.values()) <= {"success", "failed"}

        until(ended, 1.0, len(runs) * LIMIT)
        return found

    def run(self, *scenarios: str, **given: str) -> None:
        for runs in [self.start(scenario, **given) for scenario in scenarios]:
            self.ended(runs)

    def ask(self, statement: str, **values: Any) -> Any:
        return query(self.system, statement, **values)

    def sends(self) -> int:
        """How often bytes may have gone out to any system."""
        return int(self.ask("select coalesce(sum(sends), 0) from tieout.intent")[0][0])

    def waits(self) -> Any:
        return self.ask("select link, stage, reason, max(message) from tieout.dead_letter group by 1, 2, 3")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    home, folder = new_home(), tmp_path_factory.mktemp("files")
    write_folder(folder, ORDERS, DAYS)
    links = [load_link(file) for file in sorted(LINKS.glob("*.yaml"))]
    assert len(links) >= 3
    with ExitStack() as stack:
        stack.callback(end, home)
        pairs = [Pair(link, _own_sandbox(stack, tmp_path_factory.mktemp(link.name))) for link in links]

        def load(system: System) -> None:
            for pair in pairs:
                pair.load(folder)

        connections = {
            one.name: as_airflow(one) for pair in pairs for one in (pair.crm_connection, pair.ledger_connection)
        }
        assert len(connections) == 2 * len(pairs)
        system = bring_up(
            Places(ROOT, home), connections=lambda _: connections, with_sandbox=load,
            extra={"TIEOUT_PROJECT": str(_project(home))},
        )  # fmt: skip
        with system.api() as api:
            api.log_in()
            until(lambda: all(api.dag(f"reconciliation__{pair.link.name}") is not None for pair in pairs))
            assert api.import_errors() == []
            yield Company(system, api, folder, expected_northwind(folder), pairs)


def _own_sandbox(stack: ExitStack, folder: Path) -> str:
    process = SandboxProcess(folder)
    process.start()
    stack.callback(process.stop)
    return process.url


def _project(home: Path) -> Path:
    """The project with the pairs' link files in place of its own."""
    project = home / "project"
    shutil.copytree(ROOT / "include", project / "include", ignore=shutil.ignore_patterns("links"))
    shutil.copytree(LINKS, project / "include" / "links")
    (project / "expectations").symlink_to(ROOT / "expectations")
    return project


@pytest.mark.proves("a month is backfilled through Airflow, to the cent", scenario="backfill", pairs=PAIRS)
def test_a_month_is_backfilled_through_airflow_for_each_pair(company: Company) -> None:
    runs = {}
    for pair in company.pairs:
        dag_id = f"fiscal_period__{pair.link.name}"
        until(lambda name=dag_id: company.api.dag(name) is not None)  # type: ignore[misc]
        company.api.unpause(dag_id)
        runs[pair.link.name] = (dag_id, company.api.backfill(dag_id, FIRST, FIRST))
    company.ended(runs)
    wanted = _of_month(company, MONTH)
    for pair in company.pairs:
        assert {one.reference: one.net for one in pair.invoices()} == wanted, pair.link.name
        assert {one.day for one in pair.invoices()} == {DAYS[0]}


@pytest.mark.proves(
    "through Airflow, every process that posts is killed: nothing is doubled or lost", scenario="crash", pairs=PAIRS
)
def test_the_rest_is_billed_once_though_every_process_that_posts_is_killed(company: Company) -> None:
    for pair in company.pairs:
        pair.faults({**MAKES_INVOICES[pair.link.ledger_system], **SILENT})
    runs = company.start("quote_to_cash")
    struck = _struck(company)
    _leases_of_the_dead_are_over(company.system)
    for pair in company.pairs:
        pair.faults()
    _finished(company, runs)
    assert min(struck.values()) > 1, struck
    for pair in company.pairs:
        invoices = pair.invoices()
        assert len(invoices) == len({one.number for one in invoices}) == len(company.expected.orders), pair.link.name
        assert {one.reference: one.net for one in invoices} == company.expected.orders
        shown = pair.crm.shown(pair.crm_connection)
        assert shown == {one.reference: one.number for one in invoices}, "what the CRM shows"


@pytest.mark.proves("a second run through Airflow sends nothing", scenario="quote_to_cash", pairs=PAIRS)
def test_a_second_run_sends_nothing(company: Company) -> None:
    before, sent = {pair.link.name: pair.invoices() for pair in company.pairs}, company.sends()
    company.run("quote_to_cash")
    assert company.sends() == sent, company.waits()
    assert {pair.link.name: pair.invoices() for pair in company.pairs} == before


@pytest.mark.proves("a return through Airflow is credited once", scenario="returns", pairs=PAIRS, ties_out=True)
@pytest.mark.proves("balances and credit through Airflow", scenario="credit_sync", pairs=PAIRS, ties_out=True)
@pytest.mark.proves("prices and stock through Airflow", scenario="product_sync", pairs=PAIRS, ties_out=True)
@pytest.mark.proves(
    "both systems agree after every scenario ran through Airflow", scenario="reconciliation", pairs=PAIRS, ties_out=True
)
def test_payment_return_credit_and_products_have_their_effect_and_the_pair_ties_out(company: Company) -> None:
    details = [row for _, row in rows(company.folder / "order-details.csv", [])]
    # A line with a discount, which not every ledger has.
    back, paid = next(row for row in details if Decimal(row["discount"])), details[-1]["orderID"]
    for pair in company.pairs:
        (invoice,) = (one for one in pair.invoices() if one.reference == paid)
        pair.ledger.pay(pair.ledger_connection, invoice, Decimal("1.00"), today(pair.link).isoformat())
        pair.crm.send_back(pair.crm_connection, back["orderID"], back["productID"], Decimal(back["quantity"]))
    company.run("returns")
    for pair in company.pairs:
        ((_, net, left),) = pair.ledger.credited(pair.ledger_connection)
        assert (net, left) == (line_net(back), Decimal(0)), "credited once, and set against its invoice"
    company.run("quote_to_cash", "credit_sync", "product_sync")
    company.run("reconciliation", as_of=today(company.pairs[0].link).isoformat())
    owed = dict(company.expected.by_customer)
    owed[company.expected.customer_of[back["orderID"]]] -= line_net(back)
    owed[company.expected.customer_of[paid]] -= Decimal("1.00")
    names = {row["customerID"]: row["companyName"] for _, row in rows(company.folder / "customers.csv", [])}
    for pair in company.pairs:
        assert pair.crm.owing(pair.crm_connection) == {names[key]: amount for key, amount in owed.items()}
        _ties_out(company, pair.link.name)


# --- blows ------------------------------------------------------------------------------------------------------------


def _struck(company: Company) -> dict[str, int]:
    """Kills each pair's posting process once its ledger has made invoices that it has not told of.

    Returns:
        link -> how many of its invoices had gone out and were not confirmed.
    """
    left, struck = {pair.link.name: pair for pair in company.pairs}, {}
    give_up = time.monotonic() + len(left) * LIMIT
    while left:
        assert time.monotonic() < give_up, f"nothing was in flight for {', '.join(left)}: {company.waits()}"
        for name, pair in list(left.items()):
            in_flight = company.ask(
                "select worker from tieout.intent where link = :link and kind = 'invoice' and state = 'IN_FLIGHT'",
                link=name,
            )
            if in_flight and len(pair.invoices()) > _confirmed(company, name):
                pids = {int(row.worker.split(":")[2]) for row in in_flight}
                assert pids <= set(_deliverers(company.system)) and all(_kill(pid) for pid in pids)
                struck[name] = len(in_flight)
                del left[name]
        time.sleep(0.1)
    return struck


def _finished(company: Company, runs: dict[str, tuple[str, str]]) -> None:
    """Until every pair's runs have ended well and nothing of it is open: a person clears what failed, and the next hour
    brings another run."""
    for _ in range(MOST_TRIES):
        ended = company.over(runs)
        _leases_of_the_dead_are_over(company.system)
        left = {}
        for name, (dag_id, run_id) in runs.items():
            if ended[name] == "failed":
                states = {task: one["state"] for task, one in company.api.task_states(dag_id, run_id).items()}
                _clear(company.api, dag_id, run_id, [task for task, state in states.items() if state != "success"])
                left[name] = (dag_id, run_id)
            elif company.ask(_OPEN, link=name)[0][0]:
                left[name] = (dag_id, company.api.trigger(dag_id))
        if not left:
            return
        runs = left
    raise AssertionError(f"not finished after {MOST_TRIES} tries: {runs}, {company.waits()}")


_OPEN = (
    "select count(*) from tieout.intent where link = :link and state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN')"
)


def _confirmed(company: Company, link: str) -> int:
    sql = "select count(*) from tieout.intent where link = :link and kind = 'invoice' and state = 'CONFIRMED'"
    return int(company.ask(sql, link=link)[0][0])


# --- what has to be ---------------------------------------------------------------------------------------------------


def _of_month(company: Company, month: str) -> dict[str, Decimal]:
    days = {row["orderID"]: row["orderDate"] for _, row in rows(company.folder / "orders.csv", [])}
    return {order: net for order, net in company.expected.orders.items() if days[order].startswith(month)}


def _ties_out(company: Company, link: str) -> None:
    (report,) = company.ask(
        "select report_id, state from tieout.report where link = :link order by report_id desc limit 1", link=link
    )
    assert report.state == "tied"
    totals = company.ask("select area, a_amount, b_amount, unexplained from tieout.report_total "
                         "where report_id = :report", report=report.report_id)  # fmt: skip
    areas = {row.area: row for row in totals}
    assert {"invoices", "payments", "credit_memos", "balances"} <= areas.keys()
    assert {row.unexplained for row in totals} == {0}
    assert areas["invoices"].a_amount == areas["invoices"].b_amount > 0
    breaks = company.ask("select area, class, numbers from tieout.break where link = :link and cleared_on is null",
                         link=link)  # fmt: skip
    assert not breaks, breaks
