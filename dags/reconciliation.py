"""Reconciliation: CRM and ledger compared as of a day; every difference classified, and nothing left over.

Moves: nothing. Reads both systems' own records, invoices, tax, payments, credit notes, balances, prices, stock and
credit, and writes one report with its breaks. CRM less ledger is the sum of the differences, or the run fails and says
by how much.

When: by the schedule in the link's file, daily, or by hand. The day is the data interval's in the link's time zone, or
the one that is given; any past day again, also by backfill. A rerun of a day replaces its report, and suspends its
sign-offs when its figures are others.

If a task fails: its notice says what to do. Clear the failed task when that is done. A report that does not tie stays,
as untied; the run's page under "Tieout" and `tieout reconcile show` have its figures.

Owner: the owners named in the link's file. Airflow runs this file; all work is in tieout.scenarios.reconciliation.
"""

from tieout.orchestration.dag_kit import Flow, Step, dags_for_links
from tieout.orchestration.step import Scenario

FLOW = Flow(
    scenario=Scenario(name="reconciliation", module="tieout.scenarios.reconciliation"),
    steps=(
        Step("extract", "Reads what changed in both systems; documents whole where the link's interval is over."),
        Step("tie_out", "Matches, classifies, and writes the report with its breaks in one transaction."),
        Step("recount", "Counts closed fiscal periods anew, and says what moved in them since, and by whom."),
    ),
    closing=Step("summarise", "Closes the run with the report's figures; fails when something stays unexplained."),
    days={"as_of": "The report's day, in place of the data interval's; documents dated until then."},
)

for dag in dags_for_links(FLOW, card=__doc__):
    globals()[dag.dag_id] = dag
