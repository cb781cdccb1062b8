"""Fiscal period: what both systems have dated in one period, read anew, planned, approved, posted.

Moves: as quote-to-cash, for the orders and won deals that are dated in the period, and those whose invoice is: new
customers, invoices, changes, credit notes and voids into the ledger; numbers and status back into the CRM. Records that
did not change are judged too, so a corrected mapping or tax code is planned as a change.

When: after each period of the link's fiscal calendar; for past periods by a backfill (the Backfill dialog, `airflow
backfill create`, REST): one run for each period that begins in the range. With `dry_run` it ends with the plan.

A person decides on the plan where the link's `periods: approval:` says so: the task approve waits under Required
Actions, and the plan's page under "Tieout" shows every line. Nothing is posted before.

If a task fails: its notice says what to do. Clear the failed task when that is done; nothing is posted twice. A record
that changed since its plan was approved is left to the next plan. A period whose report does not tie fails its run.

Owner: the owners named in the link's file. Airflow runs this file; all work is in tieout.scenarios.fiscal_period.
"""

from datetime import timedelta

from tieout.orchestration.dag_kit import Flow, Step, dags_for_links
from tieout.orchestration.step import Scenario

FLOW = Flow(
    scenario=Scenario(
        name="fiscal_period", module="tieout.scenarios.fiscal_period", reports=("apply", "write_back", "summarise")
    ),
    steps=(
        Step("extract", "Reads the period's documents of both systems by their day, and what changed of the rest."),
        Step("check", "Runs the expectation suites over what was staged; failing rows become dead letters."),
        Step("plan", "Works out what would be posted, by action and amount, and keeps it. Posts nothing."),
        Step("approve", "Waits for a person's decision on the plan; passes where none is needed.", asks=True),
        Step("apply", "Posts what was planned, exactly once.", announces="ledger", longest=timedelta(hours=12)),
        Step("write_back", "Carries confirmed numbers, status and payments back into the CRM.", announces="crm"),
        Step("reconcile", "Reads both systems once more and makes the period's report: CRM less ledger, explained."),
    ),
    closing=Step("summarise", "Closes the run with what became of each line of the plan."),
    texts={"period": "A period's label, in place of the period of the data interval."},
    switches={"dry_run": "Read and plan; nothing of this run can be posted."},
    by_period=True,
)

for dag in dags_for_links(FLOW, card=__doc__):
    globals()[dag.dag_id] = dag
