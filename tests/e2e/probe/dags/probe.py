"""Probe of the DAG kit: steps that fail as the run's conf says, through airflow's own scheduler."""

from pathlib import Path

from tieout.orchestration.dag_kit import Flow, Step, dags_for_links
from tieout.orchestration.step import Scenario

FLOW = Flow(
    scenario=Scenario("quote_to_cash", "tests.e2e.probe.steps", services="tests.e2e.probe.steps:open_services"),
    steps=(
        Step("extract", "Waits once for a vendor."),
        Step("transform", "Fails once and then works."),
        Step("deliver", "Fails for good where the switch says so.", announces="ledger"),
        Step("write_back", "Runs also when deliver failed.", after=("transform", "deliver"), even_if_failed=True),
    ),
    closing=Step("summarise", "Ends the run."),
)

for dag in dags_for_links(FLOW, card=__doc__, folder=Path(__file__).parents[1] / "links"):
    globals()[dag.dag_id] = dag
