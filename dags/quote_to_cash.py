"""Quote to cash: won deals and activated orders of the CRM become invoices in the ledger.

Moves: accounts, products, quotes, orders and won opportunities out of the CRM; customers, invoices, credit notes and
voids into the ledger; invoice number, status, amounts due and paid, and paid dates back into the CRM.

When: by the schedule in the link's file, or by hand. One run judges every billable record of the link, so a missed
run loses nothing and a run more does no harm.

If a task fails: its notice says what to do. Clear the failed task when that is done; it carries on where it stopped.
The run's page under "Tieout" shows counts and amounts, dead letters and Data Docs.

Owner: the owners named in the link's file. Airflow runs this file; all work is in tieout.scenarios.quote_to_cash.
"""

from datetime import timedelta

from tieout.orchestration.dag_kit import Flow, Step, dags_for_links
from tieout.orchestration.step import Scenario

FLOW = Flow(
    scenario=Scenario(
        name="quote_to_cash",
        module="tieout.scenarios.quote_to_cash",
        reports=("deliver", "write_back", "summarise"),
    ),
    steps=(
        Step("extract", "Reads what changed in both systems since the last run, and stages it."),
        Step("check", "Runs the expectation suites over what was staged; failing rows become dead letters."),
        Step("transform", "Judges each billable record and makes intents: customers, invoices, credits, voids."),
        Step("deliver", "Posts the intents, each exactly once.", announces="ledger", longest=timedelta(hours=12)),
        Step(
            "write_back",
            "Carries confirmed numbers, status and payments back into the CRM, also when some postings failed.",
            after=("transform", "deliver"),
            even_if_failed=True,
            announces="crm",
        ),
    ),
    closing=Step("summarise", "Closes the run's counts and amounts; fails when they do not close or a step failed."),
)

for dag in dags_for_links(FLOW, card=__doc__):
    globals()[dag.dag_id] = dag
