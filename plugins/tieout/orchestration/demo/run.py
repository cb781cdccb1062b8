"""`make demo` and `make stop`, in order: bring the system up, load the CRM, run the DAG, show what became of it.

The runs go through Airflow's scheduler like any other; only the REST API is used to start and watch them.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType

from tieout.model.errors import BooksDoNotClose, ConfigurationFault, Retriable
from tieout.model.settings import load_settings
from tieout.orchestration.demo import data
from tieout.orchestration.demo.places import Places
from tieout.orchestration.demo.rest import AirflowApi
from tieout.orchestration.demo.show import Screen
from tieout.orchestration.demo.system import System, bring_up, run_module, take_down
from tieout.reconcile import lines, report_store
from tieout.reports.present import closing
from tieout.store import runs
from tieout.store.engine import connect

LINK = data.LINK
#: The scenarios in the order in which their first runs go: the others are about what the first one moved.
MAIN, OTHERS = "quote_to_cash", ("returns", "product_sync", "credit_sync")
#: What compares both systems when all that is done.
TIE_OUT = "reconciliation"
#: Seconds that a run may take, and between two looks at it.
LONGEST_RUN = 900.0
LOOK = 0.4
#: Seconds until the dag processor must have met the DAG.
LONGEST_PARSE = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the demo does. `days`: how many days of finance and sales, each followed by a run, after the first."""

    project: Path
    home: Path
    database_url: str | None
    days: int = 1


def plan_from_environment(days: int = 1) -> Plan:
    """TIEOUT_PROJECT, TIEOUT_HOME and TIEOUT_DATABASE_URL, as for every other command."""
    settings = load_settings()
    return Plan(settings.project.resolve(), settings.home.resolve(), settings.database_url, days)


def up(plan: Plan, screen: Screen) -> System:
    """The whole demo. What it started goes on running, also when a run failed: its tasks can be looked at and cleared.

    When a part does not start, and on Ctrl-C at any time, nothing is left running.

    Raises:
        ConfigurationFault: a part does not start.
        BooksDoNotClose: a run failed, or its counts or amounts do not close.
    """
    places = Places(plan.project, plan.home)
    with _terminated_as_interrupted():
        try:
            system = bring_up(
                places,
                connections=data.connections,
                given_database=plan.database_url,
                with_sandbox=_load_data,
                told=screen.line,
            )
            screen.line(f"Airflow answers at {system.url}")
            _runs(plan, system, screen)
            screen.line(f"Credit: {_credit(system)}")
        except BooksDoNotClose:
            screen.farewell(system.url, system.secrets.admin_password)
            raise
        except BaseException:
            screen.line("ending what was started")
            take_down(places)
            raise
    screen.farewell(system.url, system.secrets.admin_password)
    return system


def _runs(plan: Plan, system: System, screen: Screen) -> None:
    with system.api() as api:
        api.log_in()
        for scenario in (MAIN, *OTHERS, TIE_OUT):
            _open_dag(api, _dag_id(scenario), screen)
        run_once(system, api, screen, MAIN, "First run: everything is new")
        _meanwhile(system, screen, "returns-day")
        for scenario in OTHERS:
            run_once(system, api, screen, scenario, scenario.replace("_", " ").capitalize())
        for day in range(1, plan.days + 1):
            _meanwhile(system, screen, "next-day")
            run_once(system, api, screen, MAIN, f"Run after day {day}")
        tie_out_once(system, api, screen, datetime.now(UTC).date())


def _meanwhile(system: System, screen: Screen, what: str) -> None:
    done = run_module(system, "tieout.orchestration.demo.data", what, system.sandbox_url)
    for who, deeds in json.loads(done.stdout.splitlines()[-1]).items():
        screen.line(f"Meanwhile {who}: {', '.join(deeds) or 'nothing new'}")


def down(plan: Plan, screen: Screen) -> None:
    """Ends everything that a demo of this home has running."""
    ended = take_down(Places(plan.project, plan.home))
    screen.line(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def run_once(system: System, api: AirflowApi, screen: Screen, scenario: str, title: str) -> runs.Run:
    """One run of a scenario's DAG through the scheduler, watched to its end.

    Raises:
        BooksDoNotClose: it failed, or its summary does not add up.
        Retriable: it did not end in time.
    """
    ended = _watched(system, api, screen, scenario, title)
    if ended.run is not None:
        screen.summary(ended.run)
    rows = closing(ended.run.counts, ended.run.amounts) if ended.run is not None else []
    if not rows or not all(row["closes"] for row in rows):
        raise ended.fault(system, "its account does not close")
    return ended.well(system, screen)


def tie_out_once(system: System, api: AirflowApi, screen: Screen, day: date) -> runs.Run:
    """The reconciliation as of a day, through the scheduler; its page one is shown.

    Raises:
        BooksDoNotClose: it failed, or something stays unexplained.
        Retriable: it did not end in time.
    """
    title = "Reconciliation: do both systems agree?"
    ended = _watched(system, api, screen, TIE_OUT, title, as_of=day.isoformat())
    run = ended.well(system, screen)
    engine = connect(system.store_url)
    try:
        with engine.connect() as conn:
            report = report_store.of_run(conn, run.run_id)
            if report is None:
                raise ended.fault(system, "it made no report")
            screen.tie_out(report, lines.totals(conn, report.report_id), lines.classes(conn, report.report_id))
    finally:
        engine.dispose()
    return run


@dataclass(frozen=True, slots=True)
class _Ended:
    """A run of a DAG that came to its end; `run` is None where it never opened a sync run."""

    dag_id: str
    run_id: str
    state: str
    run: runs.Run | None

    def well(self, system: System, screen: Screen) -> runs.Run:
        """The sync run; raises BooksDoNotClose with the notices of what failed on the screen."""
        if self.state != "success" or self.run is None:
            screen.notices(system.places.logs / "airflow" / f"dag_id={self.dag_id}" / f"run_id={self.run_id}")
            raise self.fault(system, "not everything was done")
        return self.run

    def fault(self, system: System, why: str) -> BooksDoNotClose:
        """What to raise."""
        return BooksDoNotClose(
            f"the run {self.run_id} of {self.dag_id} ended as {self.state}: {why}; logs: {system.places.logs}"
        )


def _watched(system: System, api: AirflowApi, screen: Screen, scenario: str, title: str, **given: str) -> _Ended:
    screen.new_run(title)
    dag_id = _dag_id(scenario)
    run_id = api.trigger(dag_id, **given)
    end = time.monotonic() + LONGEST_RUN
    while (state := api.run_state(dag_id, run_id)) not in ("success", "failed"):
        screen.tasks(api.task_states(dag_id, run_id))
        if time.monotonic() > end:
            raise Retriable(
                f"{dag_id} {run_id} did not end within {LONGEST_RUN:.0f} s; logs are in {system.places.logs}"
            )
        time.sleep(LOOK)
    screen.tasks(api.task_states(dag_id, run_id))
    return _Ended(dag_id, run_id, state, _sync_run(system, scenario, run_id))


def _dag_id(scenario: str) -> str:
    return f"{scenario}__{LINK}"


def _open_dag(api: AirflowApi, dag_id: str, screen: Screen) -> None:
    end = time.monotonic() + LONGEST_PARSE
    while api.dag(dag_id) is None:
        if errors := api.import_errors():
            raise ConfigurationFault("a DAG file cannot be read:\n" + "\n".join(errors))
        if time.monotonic() > end:
            raise ConfigurationFault(f"Airflow does not find the DAG {dag_id} after {LONGEST_PARSE:.0f} s")
        time.sleep(LOOK)
    api.unpause(dag_id)
    screen.line(f"DAG {dag_id} is ready")


def _load_data(system: System) -> None:
    run_module(system, "tieout.orchestration.demo.data", "seed", system.sandbox_url)


def _credit(system: System) -> str:
    from tieout.scenarios.demo_credit import in_a_line

    engine = connect(system.store_url)
    try:
        with engine.connect() as conn:
            return in_a_line(conn, LINK)
    finally:
        engine.dispose()


def _sync_run(system: System, scenario: str, airflow_run_id: str) -> runs.Run | None:
    engine = connect(system.store_url)
    try:
        with engine.connect() as conn:
            newest = runs.latest(conn, LINK, scenario, limit=20)
    finally:
        engine.dispose()
    return next((run for run in newest if run.airflow_run_id == airflow_run_id), None)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: in order."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
