"""The DAGs as Airflow parses them: one for each link, the same tasks, nothing that waits without a bound."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

#: The task in which a person decides: no function of the scenario.
ASKS = "approve"
ROOT = Path(__file__).resolve().parents[2]


def _steps(dag: DAG) -> list[str]:
    """What the scenario's module says."""
    scenario = dag.dag_id.partition("__")[0]
    steps = ["start", *importlib.import_module(f"tieout.scenarios.{scenario}").STEPS]
    if scenario == "fiscal_period":
        steps.insert(steps.index("plan") + 1, ASKS)
    return steps


@pytest.fixture(scope="module")
def every_dag() -> dict[str, DAG]:
    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="module")
def dags(every_dag: dict[str, DAG]) -> dict[str, DAG]:
    """Those that are the steps of a scenario."""
    return {name: dag for name, dag in every_dag.items() if not name.startswith("webhooks__")}


def test_every_link_has_its_dag(every_dag: dict[str, DAG]) -> None:
    links = {file.stem for file in (ROOT / "include" / "links").glob("*.yaml")}
    assert links
    scenarios = {file.stem for file in (ROOT / "dags").glob("*.py")}
    assert set(every_dag) == {f"{scenario}__{link}" for scenario in scenarios for link in links}


def test_tasks_are_the_scenarios_steps_in_their_order(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        steps = _steps(dag)
        assert [task.task_id for task in dag.topological_sort()] == steps
        if "deliver" in steps:
            assert dag.get_task("write_back").upstream_task_ids == {"transform", "deliver"}
        assert dag.get_task("summarise").upstream_task_ids == set(steps) - {"summarise"}
        assert dag.get_task("summarise").trigger_rule == "all_done"


def test_every_wait_has_a_bound_and_every_task_notifies(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        # Northwind's file lets two of its periods be at work at once.
        most = 2 if dag.dag_id == "fiscal_period__northwind" else 1
        assert dag.dagrun_timeout is not None and dag.max_active_runs == most and not dag.catchup
        for task in dag.tasks:
            asks = task.task_id == ASKS
            assert task.retries == (0 if asks else 3)
            assert task.on_failure_callback, task.task_id
            assert (task.response_timeout if asks else task.execution_timeout) is not None, task.task_id


def test_the_card_is_the_documentation(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        assert dag.doc_md and dag.doc_md.startswith(dag.description or "-") and "include/links/" in dag.doc_md
        assert all(task.doc_md for task in dag.tasks)


def test_dag_files_are_short() -> None:
    for file in (ROOT / "dags").glob("*.py"):
        assert len(file.read_text().splitlines()) < 60, file.name


def test_deliver_tells_other_dags(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        scenario, _, link = dag.dag_id.partition("__")
        if scenario == "quote_to_cash":
            assert [asset.name for asset in dag.get_task("deliver").outlets] == [f"{link}/ledger"]


def test_webhooks_are_read_before_quote_to_cash_is_started_and_never_by_two_runs(every_dag: dict[str, DAG]) -> None:
    watching = {name: dag for name, dag in every_dag.items() if name.startswith("webhooks__")}
    assert watching
    for name, dag in watching.items():
        assert [task.task_id for task in dag.topological_sort()] == ["read", "quote_to_cash"]
        assert (dag.max_active_runs, dag.catchup) == (1, False) and dag.dagrun_timeout is not None
        starts = dag.get_task("quote_to_cash")
        assert (
            starts.trigger_dag_id == name.replace("webhooks__", "quote_to_cash__")
            and starts.trigger_dag_id in every_dag
        )
        # A run of quote-to-cash that is at work is waited for: the next look is after it.
        assert starts.wait_for_completion and starts.deferrable
        assert all(task.execution_timeout and task.on_failure_callback and task.doc_md for task in dag.tasks)
    assert getattr(every_dag["webhooks__demo"].schedule, "expression", None) == "*/5 * * * *"
    assert every_dag["webhooks__maven"].schedule is None


def test_parsing_brings_in_neither_pandas_nor_great_expectations() -> None:
    """In a process of its own: this one may have imported them for other tests."""
    code = (
        "import runpy, sys; runpy.run_path('dags/quote_to_cash.py'); "
        "print(sorted({'pandas', 'pyarrow', 'great_expectations', 'fastapi', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("switch", ["off", "on"])
def test_schedules_off_leave_periods_to_backfills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    from tieout.orchestration.dag_kit import Flow, Step, dags_for_links
    from tieout.orchestration.step import Scenario

    monkeypatch.setenv("TIEOUT_SCHEDULES", switch)
    (tmp_path / "good.yaml").write_text("name: good\nschedules: {quote_to_cash: '15 2 * * *'}\ncalendar: weeks_445\n")
    steps = (Step("extract", "x"),), Step("summarise", "y")
    (hourly,) = dags_for_links(Flow(Scenario("quote_to_cash", "no.such.module"), *steps), "Card.", tmp_path)
    by_period = Flow(Scenario("fiscal_period", "no.such.module"), *steps, by_period=True)
    (periods,) = dags_for_links(by_period, "Card.", tmp_path)
    assert (hourly.schedule is None) == (switch == "off")
    assert periods.timetable.periodic and not periods.catchup
    assert (periods.timetable.calendar.name, periods.timetable.by_itself) == ("weeks_445", switch == "on")


def test_a_broken_link_file_leaves_a_dag_that_says_so(tmp_path: Path) -> None:
    from tieout.orchestration.dag_kit import Flow, Step, dags_for_links
    from tieout.orchestration.step import Scenario

    (tmp_path / "bad.yaml").write_text("name: bad\ntime_zone: [\n")
    (tmp_path / "lost.yaml").write_text("name: lost\nschedules: {quote_to_cash: '@daily'}\ncalendar: nowhere\n")
    (tmp_path / "good.yaml").write_text("name: good\nschedules: {quote_to_cash: '15 2 * * *'}\ntime_zone: Asia/Tokyo\n")
    flow = Flow(Scenario("quote_to_cash", "no.such.module"), (Step("extract", "x"),), Step("summarise", "y"))
    bad, good, lost = dags_for_links(flow, "Card.", tmp_path)
    assert "This link cannot run" in (bad.doc_md or "") and bad.schedule is None
    assert "15 2 * * *" in repr(good.timetable) or good.schedule is not None
    assert str(good.timezone) == "Asia/Tokyo"
    assert "This link cannot run" in (lost.doc_md or "") and "no calendar 'nowhere'" in (lost.doc_md or "")
    assert lost.schedule is None
