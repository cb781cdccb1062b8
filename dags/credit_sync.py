"""Credit: what each customer may owe, owes and has left goes from finance to the CRM.

Moves: accounts out of the CRM, invoices, credit notes and payments out of the ledger, limits out of the credit policy
that finance owns (`tieout credit`); credit limit, open balance, overdue amount, available credit, currency and rates
onto the CRM's accounts, where a validation rule of the order reads them.

When: by the schedule in the link's file, or by hand. One run judges every account and writes those that changed, so a
missed run loses nothing and a run more does no harm.

If a task fails: its notice says what to do. Clear the failed task when that is done; it carries on where it stopped.
The run's page under "Tieout" shows counts and open balances, dead letters and Data Docs.

Owner: the owners named in the link's file. Airflow runs this file; all work is in tieout.scenarios.credit_sync.
"""

from tieout.orchestration.dag_kit import Flow, Step, dags_for_links
from tieout.orchestration.step import Scenario

FLOW = Flow(
    scenario=Scenario(name="credit_sync", module="tieout.scenarios.credit_sync"),
    steps=(
        Step("extract", "Reads what changed in both systems since the last run, and stages it."),
        Step("check", "Runs the expectation suites over what was staged; failing rows become dead letters."),
        Step("transform", "Works out each customer's position and makes intents for those that changed."),
        Step("write_back", "Carries changed positions onto the CRM's accounts, each exactly once.", announces="crm"),
    ),
    closing=Step("summarise", "Closes the run's counts and balances; fails when they do not close or a step failed."),
)

for dag in dags_for_links(FLOW, card=__doc__):
    globals()[dag.dag_id] = dag
