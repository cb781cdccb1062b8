"""Returns: what customers send back becomes credit notes of the ledger; status and numbers come back to the CRM.

Moves: approved returns of the CRM into credit notes, set against the invoices of their orders; their number, status,
total and open rest back onto the returns. Never more is credited than was billed.

When: by the schedule in the link's file, or by hand. One run judges every return that is new, changed or open, so a
missed run loses nothing and a run more does no harm.

If a task fails: its notice says what to do. Clear the failed task when that is done; it carries on where it stopped.
The run's page under "Tieout" shows counts, dead letters and Data Docs.

Owner: the owners named in the link's file. Airflow runs this file; all work is in tieout.scenarios.returns.
"""

from datetime import timedelta

from tieout.orchestration.dag_kit import Flow, Step, dags_for_links
from tieout.orchestration.step import Scenario

FLOW = Flow(
    scenario=Scenario(
        name="returns",
        module="tieout.scenarios.returns",
        reports=("transform", "deliver", "write_back", "summarise"),
    ),
    steps=(
        Step("extract", "Reads what changed in both systems since the last run, and stages it."),
        Step("check", "Runs the expectation suites over what was staged; failing rows become dead letters."),
        Step("transform", "Judges each return and makes intents: a credit note and its allocation."),
        Step(
            "deliver",
            "Posts the intents into the ledger, each exactly once, and reads back what they did.",
            longest=timedelta(hours=12),
        ),
        Step(
            "write_back",
            "Carries the credit notes back to the CRM's returns, also when some failed.",
            after=("transform", "deliver"),
            even_if_failed=True,
            announces="crm",
        ),
    ),
    closing=Step("summarise", "Closes the run's counts and amounts; fails when they do not close or a step failed."),
)

for dag in dags_for_links(FLOW, card=__doc__):
    globals()[dag.dag_id] = dag
