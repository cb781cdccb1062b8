"""The fiscal timetable in Airflow itself: serialised, scheduled twice over, backfilled, in a database of its own.

Every call is one that an operator can make. The DAGs (fiscal/probe.py) have tasks that need no executor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tieout.model.calendar import parse

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 180  # seconds for one command

Airflow = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("airflow")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TIEOUT"))},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "fiscal"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PYTHONPATH": str(ROOT / "plugins"),
        "FISCAL_PROBE_FILE": str(home / "told.json"),
        "COLUMNS": "400",
    }


@pytest.fixture(scope="module")
def airflow(environment: dict[str, str]) -> Airflow:
    """`airflow(...)` runs a command; the DAGs are parsed and serialised once."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "airflow"), *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False, cwd=ROOT
        )

    for arguments in (("db", "migrate"), ("dags", "reserialize")):
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
    assert "No data found" in run("dags", "list-import-errors").stdout
    return run


def runs(airflow: Airflow, dag_id: str) -> list[dict[str, Any]]:
    """The DAG's runs by the begin of their intervals."""
    done = airflow("dags", "list-runs", dag_id, "--output", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return sorted(found, key=lambda one: str(one["logical_date"]))


@pytest.fixture(scope="module")
def scheduled(airflow: Airflow) -> Airflow:
    """The scheduler has run, ended, and run again."""
    for _ in range(2):
        done = airflow("scheduler", "--num-runs", "6", "--skip-serve-logs")
        assert done.returncode == 0, done.stderr
    return airflow


def test_scheduler_makes_one_run_for_each_period_and_none_after_a_restart(scheduled: Airflow) -> None:
    found = runs(scheduled, "all_of_them")
    assert [one["run_id"] for one in found] == [
        "scheduled__FY2025-P01__2025-06-28T23:00:00+00:00",
        "scheduled__FY2025-P02__2025-08-02T23:00:00+00:00",
        "scheduled__REST__2026-01-01T00:00:00+00:00",
    ]
    assert [one["logical_date"] for one in found] == [
        "2025-05-31T23:00:00+00:00", "2025-06-28T23:00:00+00:00", "2025-08-02T23:00:00+00:00",
    ]  # fmt: skip
    assert {one["state"] for one in found} == {"success"}


def next_execution(airflow: Airflow, dag_id: str) -> str:
    done = airflow("dags", "next-execution", dag_id)
    return done.stdout + done.stderr


def test_without_catch_up_the_scheduler_runs_the_last_period_and_shows_the_next(scheduled: Airflow) -> None:
    months, zone = parse("months", {"kind": "months"}), ZoneInfo("Europe/London")
    now = months.period_of(datetime.now(zone).date())
    last = months.before(now)
    assert last is not None
    (run,) = runs(scheduled, "the_last")
    assert run["run_id"].startswith(f"scheduled__{last.label}__")
    shown = scheduled("dags", "next-execution", "the_last").stdout.strip().splitlines()[-1]
    assert datetime.fromisoformat(shown) == now.bounds(zone)[0]


def test_what_does_nothing_by_itself_has_a_backfill_with_one_run_for_each_period(scheduled: Airflow) -> None:
    airflow = scheduled
    assert runs(airflow, "backfilled") == []
    assert "No following schedule" in next_execution(airflow, "backfilled")
    dates = ("--from-date", "2025-06-01", "--to-date", "2025-08-31")
    dry = airflow("backfill", "create", "--dag-id", "backfilled", *dates, "--dry-run")
    begins = ["2025-05-31 23:00:00+00:00", "2025-06-30 23:00:00+00:00", "2025-07-31 23:00:00+00:00"]
    assert [begin in dry.stdout for begin in begins] == [True] * 3
    assert dry.stdout.count(":00:00+00:00 |") == 3
    done = airflow("backfill", "create", "--dag-id", "backfilled", *dates)
    assert done.returncode == 0, done.stderr
    found = runs(airflow, "backfilled")
    assert [one["logical_date"].replace("T", " ") for one in found] == begins
    assert {one["run_id"].split("__")[0] for one in found} == {"backfill"}, "Airflow names these runs itself"


@pytest.mark.parametrize(("first", "last", "said"), [
    ("2025-06-02", "2025-06-30", "No runs to create for Dag"),
    ("2025-08-31", "2025-06-01", "must not be after to_date"),
    ("2098-01-01", "2098-12-31", "Backfill cannot be executed for future dates"),
    (f"{datetime.now(ZoneInfo('Europe/London')):%Y-%m}-01", "2098-12-31", "No runs to create for Dag"),
])  # fmt: skip
def test_range_without_a_period_is_refused_by_airflow(airflow: Airflow, first: str, last: str, said: str) -> None:
    done = airflow("backfill", "create", "--dag-id", "the_last", "--from-date", first, "--to-date", last)
    assert done.returncode != 0
    assert said in " ".join((done.stdout + done.stderr).split())


def test_run_by_hand_is_for_the_last_period_that_is_over(airflow: Airflow, environment: dict[str, str]) -> None:
    code = (
        "import runpy, pendulum; space = runpy.run_path('tests/dags/fiscal/probe.py'); "
        "run = space['told'].test(logical_date=pendulum.datetime(2026, 7, 15)); print(run.state)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=LIMIT, cwd=ROOT,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(Path(environment["FISCAL_PROBE_FILE"]).read_text())
    assert told == ["2026-05-31T23:00:00+00:00", "2026-06-30T23:00:00+00:00"]
