"""Fiscal periods of Northwind through Airflow's scheduler: 24 periods of 4-4-5 backfilled from an empty store, killed
twice, plans approved by people, against plain arithmetic over the CSV files; what is run anew, and by which choice; and
what a backfill that cannot be says. Calendar months, without Airflow, are in tests/proofs/test_periods.py.

One system for all of it; the tests build on each other in their order.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos.in_airflow import (
    SLOW,
    TIME_OUT,
    _confirmed,
    _deliverers,
    _leases_of_the_dead_are_over,
    _restart,
    _scheduler_and_all_of_its,
    _tasks,
)
from tests.e2e.company import company_up, ledger_invoices, link_of, opened, query, until
from tests.e2e.period_pictures import take
from tests.proofs.northwind_arithmetic import Expected, expected_northwind, order_weeks
from tests.support.demo import end, new_home
from tests.support.shared import require_shared
from tieout.model.errors import Retriable
from tieout.orchestration.demo.rest import AirflowApi
from tieout.orchestration.demo.system import System

pytestmark = [
    pytest.mark.long,
    pytest.mark.shared,
    pytest.mark.timeout(1800),
    pytest.mark.proves(
        "24 periods of 4-4-5 through Airflow, killed twice, come to the cent; run again they post nothing",
        scenario="backfill",
        pair=("salesforce", "xero"),
    ),
]

LINK = "northwind"
DAG_ID = f"fiscal_period__{LINK}"
#: FY1996-P07 to FY1998-P06, by their first days; and the first three of them.
WHOLE = {"from_date": "1996-06-30T00:00:00Z", "to_date": "1998-06-30T00:00:00Z"}
THREE = {"from_date": "1996-06-30T00:00:00Z", "to_date": "1996-09-28T00:00:00Z"}
#: Seconds for what is left of 24 runs on a machine that others load, too.
LONGEST = 900
#: A period of more documents asks for an approval (include/links/northwind.yaml).
MOST_UNASKED = 60
ENVIRONMENT = {
    # Forks of a killed scheduler seem to hold its sockets: without a bound PostgreSQL would keep its locks.
    "PGOPTIONS": "-c idle_in_transaction_session_timeout=10s",
    # What a killed scheduler left behind is looked for so often, in seconds; by default each five minutes.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}


@dataclass
class Periods:
    """The system, and an operator in front of it."""

    system: System
    api: AirflowApi
    folder: Path
    expected: Expected
    approved: list[str] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)

    @property
    def http(self) -> httpx.Client:
        return self.api._client

    def backfill(self, **more: Any) -> httpx.Response:
        return self.http.post("/api/v2/backfills", json={"dag_id": DAG_ID, "max_active_runs": 4, **more})

    def runs(self, kind: str = "backfill") -> list[dict[str, Any]]:
        found = self.http.get(
            f"/api/v2/dags/{DAG_ID}/dagRuns", params={"limit": 100, "order_by": "logical_date", "run_type": kind}
        )
        return list(found.json()["dag_runs"])

    def waiting(self) -> list[dict[str, Any]]:
        found = self.http.get(f"/api/v2/dags/{DAG_ID}/dagRuns/~/hitlDetails", params={"response_received": False})
        return [one for one in found.json()["hitl_details"] if one["task_instance"]["state"] == "awaiting_input"]

    def answer(self, detail: dict[str, Any], option: str = "Approve") -> httpx.Response:
        ti = detail["task_instance"]
        path = f"/api/v2/dags/{DAG_ID}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/-1/hitlDetails"
        return self.http.patch(path, json={"chosen_options": [option], "params_input": {}})

    def approve_all(self) -> None:
        waiting = self.waiting()
        if waiting and not self.pictures:
            self._picture(waiting[0])
        for one in self.waiting():
            assert self.answer(one).status_code == 200
            self.approved.append(one["subject"])

    def _picture(self, detail: dict[str, Any]) -> None:
        """What the guide shows, into TIEOUT_PICTURES where that is set; and once on the plan's page it is approved."""
        (plan,) = self.ask("select max(plan_id) as id, max(run_id::text) as run from tieout.period_plan "
                           "where state = 'planned' and needs_approval and label = :label",
                           label=detail["subject"].split()[1].rstrip(":"))  # fmt: skip
        self.pictures.append(plan.id)
        if folder := os.environ.get("TIEOUT_PICTURES"):
            run_id = detail["task_instance"]["dag_run_id"]
            assert take(self.system.url, self.system.secrets.admin_password, DAG_ID, run_id, plan.id, Path(folder))
        # On the plan's page: Airflow's task goes on as if it had been answered there.
        page = self.http.get("/tieout/plan", params={"plan": plan.id}).text
        found = re.search(r'name="csrf" value="([0-9a-f]+)".*?name="seen" value="([0-9a-f]+)"', page, re.DOTALL)
        assert found is not None
        form = {"csrf": found[1], "plan": plan.id, "verdict": "approve", "seen": found[2]}
        assert self.http.post("/tieout/plan/decide", data=form).status_code == 303
        self.approved.append(detail["subject"])

    def over(self, states: tuple[str, ...] = ("success", "failed")) -> bool:
        """Every run of every backfill has ended; what waits for a person is approved."""
        with suppress(Retriable, httpx.TransportError):
            self.approve_all()
            return all(run["state"] in states for run in self.runs())
        return False

    def ask(self, statement: str, **values: Any) -> Any:
        return query(self.system, statement, **values)


@pytest.fixture(scope="module")
def periods() -> Iterator[Periods]:
    folder, home = require_shared("data", "northwind"), new_home()
    try:
        system = company_up(home, link_of(LINK), folder, ENVIRONMENT, TIME_OUT)
        with system.api() as api:
            api.log_in()
            until(lambda: api.dag(DAG_ID) is not None)
            assert api.import_errors() == []
            yield Periods(system, api, folder, expected_northwind(folder))
    finally:
        end(home)


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"from_date": "1997-05-01T00:00:00Z", "to_date": "1996-05-01T00:00:00Z"}, 422, "must not be after to_date"),
        ({"from_date": "2088-01-01T00:00:00Z", "to_date": "2088-03-01T00:00:00Z"}, 422, "future dates"),
        ({"from_date": "1996-07-02T00:00:00Z", "to_date": "1996-07-20T00:00:00Z"}, 422, "No runs to create"),
        ({**WHOLE, "dag_id": "fiscal_period__nobody"}, 404, "Could not find dag fiscal_period__nobody"),
    ],
)
def test_a_backfill_that_cannot_be_makes_nothing(
    periods: Periods, asked: dict[str, Any], status: int, words: str
) -> None:
    refused = periods.backfill(**asked)
    assert (refused.status_code, words in refused.text) == (status, True), refused.text
    assert periods.runs() == []
    assert periods.http.get("/api/v2/backfills", params={"dag_id": DAG_ID}).json()["total_entries"] == 0


def test_24_periods_of_445_from_an_empty_store_killed_twice_come_to_the_cent(periods: Periods) -> None:
    # Paused: the runs are there and wait.
    made = periods.backfill(**WHOLE, run_backwards=False)
    assert made.status_code == 200, made.text
    again = periods.backfill(**WHOLE)
    assert again.status_code == 409 and "already a running backfill" in again.text
    assert len(periods.runs()) == 24
    assert {run["state"] for run in periods.runs()} == {"queued"}
    assert periods.ask("select count(*) as n from tieout.sync_run")[0].n == 0
    periods.api.unpause(DAG_ID)
    # Tasks in the middle of posting are killed, and later the scheduler with all that it runs.
    faults = f"{periods.system.sandbox_url}/_sandbox/faults"
    httpx.post(faults, json={"seed": 1, "rules": [SLOW]}, timeout=30).raise_for_status()
    for share, blow in ((0.05, _tasks), (0.2, _scheduler_and_all_of_its)):
        posted = int(len(periods.expected.orders) * share)
        until(lambda least=posted: _confirmed(periods.system) >= least, 0.05)  # type: ignore[misc]
        # A task that delivers may have ended when the blow falls: then the next one is struck.
        until(lambda struck=blow: bool(_deliverers(periods.system)) and struck(periods.system) > 0, 0.05)  # type: ignore[misc]
        _restart(periods.system)
        _leases_of_the_dead_are_over(periods.system)
    httpx.delete(faults, timeout=30).raise_for_status()
    give_up = time.monotonic() + LONGEST
    while not _over_after_clearing(periods):
        assert time.monotonic() < give_up, [(run["dag_run_id"], run["state"]) for run in periods.runs()]
        time.sleep(1)
    _books_are_right(periods)
    # Every period of more than 60 orders was asked for, and no other.
    weeks = order_weeks(periods.folder, periods.expected)
    large = {label for label, orders in weeks.items() if len(orders) > MOST_UNASKED}
    asked = {row.label for row in periods.ask(
        "select distinct label from tieout.period_plan where link = :link and needs_approval", link=LINK)}  # fmt: skip
    assert large and asked == large
    assert len(periods.approved) >= len(large)
    # Each period has what the files have of its days, and the periods come to the whole.
    nets: dict[str, Decimal] = defaultdict(Decimal)
    for row in periods.ask(
        "select p.label, sum(l.after_minor) as minor from tieout.period_plan p join tieout.period_plan_line l "
        "using (plan_id) where p.link = :link and p.state = 'applied' and l.state = 'applied' group by 1", link=LINK
    ):  # fmt: skip
        nets[row.label] = Decimal(row.minor) / 100
    assert nets == {
        label: sum((periods.expected.orders[order] for order in orders), Decimal(0))
        for label, orders in weeks.items()
        if orders
    }
    assert sum(nets.values()) == periods.expected.total


def test_a_second_backfill_and_the_hourly_run_post_nothing_more(periods: Periods) -> None:
    intents = periods.ask("select count(*) as n from tieout.intent")[0].n
    _ended(periods)
    left = periods.backfill(**WHOLE, reprocess_behavior="none")
    assert left.status_code in (200, 422), left.text  # nothing is left to be made
    _ended(periods)
    before, began = _plans(periods), _starts(periods)
    again = periods.backfill(**THREE, reprocess_behavior="completed", run_backwards=True)
    assert again.status_code == 200, again.text
    with opened(periods.system, f"quote_to_cash__{LINK}") as (api, dag_id):
        run_id = api.trigger(dag_id)  # beside the backfill, on the same orders
        until(lambda: api.run_state(dag_id, run_id) in ("success", "failed"))
        assert api.run_state(dag_id, run_id) == "success"
    until(lambda: _plans(periods) >= before + 3 and periods.over())
    assert {run["state"] for run in periods.runs()} == {"success"}
    assert sorted(_anew(periods, began)) == [run["dag_run_id"] for run in periods.runs()[:3]]
    assert periods.ask(
        "select count(*) as n from tieout.intent where kind in ('invoice', 'customer', 'credit_memo', 'void')"
    )[0].n == periods.ask(
        "select count(distinct doc_uid) as n from tieout.intent "
        "where kind in ('invoice', 'customer', 'credit_memo', 'void')")[0].n  # fmt: skip
    assert periods.ask("select count(*) as n from tieout.intent")[0].n == intents
    _books_are_right(periods)


def test_only_the_period_whose_run_failed_is_run_again_by_reprocess_failed(periods: Periods) -> None:
    intents, runs = periods.ask("select count(*) as n from tieout.intent")[0].n, _sync_runs(periods)
    _ended(periods)
    # An operator gives a backfill of the first period a label that there is not: its run fails, and reads nothing.
    first = {"from_date": WHOLE["from_date"], "to_date": WHOLE["from_date"]}
    wrong = periods.backfill(**first, reprocess_behavior="completed", dag_run_conf={"period": "FY1998-P14"})
    assert wrong.status_code == 200, wrong.text
    until(lambda: periods.runs()[0]["state"] == "failed")
    bad = periods.runs()[0]["dag_run_id"]
    folder = periods.system.places.logs / "airflow" / f"dag_id={DAG_ID}" / f"run_id={bad}" / "task_id=start"
    log = "\n".join(file.read_text() for file in folder.glob("*.log"))
    assert "no period is named 'FY1998-P14'; fiscal year 1998 has FY1998-P01 to FY1998-P12" in log
    assert _sync_runs(periods) == runs
    _ended(periods)
    began = _starts(periods)
    # Without parameters the run would keep the wrong one; empty ones take its place.
    mended = periods.backfill(**WHOLE, reprocess_behavior="failed", dag_run_conf={})
    assert mended.status_code == 200, mended.text
    until(lambda: bad in _anew(periods, began) and periods.over())
    assert _anew(periods, began) == [bad]
    assert {run["state"] for run in periods.runs()} == {"success"}
    assert _sync_runs(periods) == runs + 1
    (row,) = periods.ask("select label, state from tieout.period_plan order by plan_id desc limit 1")
    assert (row.label, row.state) == ("FY1996-P07", "applied")
    assert periods.ask("select count(*) as n from tieout.intent")[0].n == intents


def test_a_dry_run_posts_nothing_and_asks_nobody(periods: Periods) -> None:
    made = periods.http.post(
        f"/api/v2/dags/{DAG_ID}/dagRuns",
        json={"logical_date": None, "conf": {"period": "FY1998-P03", "dry_run": True}},
    )
    run_id = made.json()["dag_run_id"]
    until(lambda: periods.api.run_state(DAG_ID, run_id) in ("success", "failed"))
    assert periods.api.run_state(DAG_ID, run_id) == "success"
    (row,) = periods.ask("select label, state from tieout.period_plan order by plan_id desc limit 1")
    assert (row.label, row.state) == ("FY1998-P03", "dry")
    assert periods.runs("scheduled") == []  # schedules are off, and the DAG was never paused again


def _ended(periods: Periods) -> None:
    """Airflow looks from time to time whether all runs of a backfill have ended; before, there can be no other one."""
    until(lambda: not _active(periods))


def _plans(periods: Periods) -> int:
    return int(periods.ask("select count(*) as n from tieout.period_plan")[0].n)


def _sync_runs(periods: Periods) -> int:
    return int(periods.ask("select count(*) as n from tieout.sync_run")[0].n)


def _starts(periods: Periods) -> dict[str, str | None]:
    return {run["dag_run_id"]: run["start_date"] for run in periods.runs()}


def _anew(periods: Periods, before: dict[str, str | None]) -> list[str]:
    """The runs that have begun anew since `_starts`."""
    return [name for name, began in _starts(periods).items() if began and began != before.get(name)]


def _active(periods: Periods) -> bool:
    found = periods.http.get("/api/v2/backfills", params={"dag_id": DAG_ID}).json()["backfills"]
    return any(one["completed_at"] is None for one in found)


def _over_after_clearing(periods: Periods) -> bool:
    """All runs ended well; one that failed is cleared, as an operator would."""
    if not periods.over():
        return False
    failed = [run for run in periods.runs() if run["state"] == "failed"]
    for run in failed:
        tasks = periods.api.task_states(DAG_ID, run["dag_run_id"])
        bad = [name for name, task in tasks.items() if task["state"] in ("failed", "upstream_failed")]
        periods.api.clear(DAG_ID, run["dag_run_id"], bad)
    return not failed


def _books_are_right(periods: Periods) -> None:
    invoices = ledger_invoices(periods.system, link_of(LINK))
    assert {one["Reference"]: one["SubTotal"] for one in invoices} == periods.expected.orders
    assert len(invoices) == len(periods.expected.orders)
    assert len({one["InvoiceNumber"] for one in invoices}) == len(invoices)
