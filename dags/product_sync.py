"""Product synchronisation: the ledger's items are the CRM's products, prices and stock.

Moves: items out of the ledger, with finance's price list; products and price book entries into the CRM, per currency;
discontinued products are deactivated there. What somebody changed in the CRM is put back and reported. Open quotes with
a price that is not today's any more are flagged.

When: by the schedule in the link's file, or by hand. One run judges every item that is new, changed or open, so a
missed run loses nothing and a run more does no harm.

If a task fails: its notice says what to do. Clear the failed task when that is done; it carries on where it stopped.
The run's page under "Tieout" shows counts, dead letters and Data Docs.

Owner: the owners named in the link's file. Airflow runs this file; all work is in tieout.scenarios.product_sync.
"""

from datetime import timedelta

from tieout.orchestration.dag_kit import Flow, Step, dags_for_links
from tieout.orchestration.step import Scenario

FLOW = Flow(
    scenario=Scenario(
        name="product_sync",
        module="tieout.scenarios.product_sync",
        reports=("transform", "deliver", "write_back", "summarise"),
    ),
    steps=(
        Step("extract", "Reads what changed in both systems; the ledger's items whole where their interval is over."),
        Step("check", "Runs the expectation suites over what was staged; failing rows become dead letters."),
        Step("transform", "Judges each item and makes intents: products, prices; puts back what the CRM changed."),
        Step(
            "deliver",
            "Writes the intents into the CRM, each exactly once, and reads them back.",
            longest=timedelta(hours=12),
        ),
        Step(
            "write_back",
            "Flags open quotes with an outdated price, also when some products failed.",
            after=("transform", "deliver"),
            even_if_failed=True,
            announces="products",
        ),
    ),
    closing=Step("summarise", "Closes the run's counts; fails when they do not close or a step failed."),
)

for dag in dags_for_links(FLOW, card=__doc__):
    globals()[dag.dag_id] = dag
