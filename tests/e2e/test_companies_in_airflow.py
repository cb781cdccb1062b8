"""Northwind and Maven, from CSV files through Airflow's scheduler into the ledger; Northwind with everything killed."""

from __future__ import annotations

import pytest

from tests.chaos.in_airflow import company_on_schedule, strike
from tests.e2e.company import company_up, ledger_invoices, link_of, opened, until
from tests.proofs.maven_arithmetic import expected_maven
from tests.proofs.northwind_arithmetic import expected_northwind
from tests.support.demo import end, new_home
from tests.support.shared import require_shared

pytestmark = [pytest.mark.long, pytest.mark.shared]


@pytest.mark.timeout(1200)
@pytest.mark.proves(
    "Northwind through Airflow with everything of it killed: nothing doubled, lost or different",
    scenario="crash",
    pair=("salesforce", "xero"),
)
def test_northwind_with_scheduler_dag_processor_and_tasks_killed_while_runs_meet() -> None:
    folder, link = require_shared("data", "northwind"), link_of("northwind")
    expected = expected_northwind(folder)
    with company_on_schedule(link, folder) as system:
        struck = strike(system, link, expected.orders)
    assert struck.kills >= 6
    assert (struck.duplicates, struck.losses, struck.differing, struck.other) == ([], [], [], [])


@pytest.mark.proves(
    "Maven's won deals are billed to the cent through Airflow", scenario="quote_to_cash", pair=("salesforce", "xero")
)
def test_maven_through_airflow() -> None:
    folder, link, home = require_shared("data", "maven_crm"), link_of("maven"), new_home()
    expected = expected_maven(folder)
    try:
        company = company_up(home, link, folder)
        with opened(company, "quote_to_cash__maven") as (api, dag_id):
            run_id = api.trigger(dag_id)
            until(lambda: api.run_state(dag_id, run_id) in ("success", "failed"))
            assert api.run_state(dag_id, run_id) == "success"
        posted = ledger_invoices(company, link)
    finally:
        end(home)
    assert len(posted) == len(expected.with_account)
    assert sum(one["SubTotal"] for one in posted) == expected.total_with_account
