"""The DAG kit through Airflow's real scheduler: waits, retries, failures, kills, clears. The scenario is a probe."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.demo import ROOT, end, new_home
from tieout.orchestration.demo import data
from tieout.orchestration.demo.places import Places
from tieout.orchestration.demo.rest import AirflowApi
from tieout.orchestration.demo.system import System, bring_up

pytestmark = pytest.mark.slow

DAG_ID = "quote_to_cash__acme"
LIMIT = 180  # seconds for one run


@pytest.fixture(scope="module")
def probe_system() -> Iterator[System]:
    """Airflow's services, sandbox and PostgreSQL with the probe's DAG instead of the project's."""
    home = new_home()
    try:
        yield bring_up(
            Places(ROOT, home),
            connections=data.connections,
            extra={
                "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "tests" / "e2e" / "probe" / "dags"),
                "TIEOUT_SCHEDULES": "on",
            },
        )
    finally:
        end(home)


@pytest.fixture(scope="module")
def api(probe_system: System) -> Iterator[AirflowApi]:
    """Logged in; the DAG is not paused, and the run that its schedule asks for at once is over."""
    with probe_system.api() as api:
        api.log_in()
        _until(lambda: api.dag(DAG_ID) is not None)
        assert api.import_errors() == []
        api.unpause(DAG_ID)
        _until(lambda: bool(api.run_ids(DAG_ID)))
        (run_id,) = api.run_ids(DAG_ID)
        assert finished(api, run_id)[0] == "success"
        yield api


@pytest.fixture(scope="module")
def scheduled(api: AirflowApi, probe_system: System) -> list[dict[str, Any]]:
    """What the scheduled run handed to the steps."""
    return marks(probe_system.places.home / "probe")


@pytest.fixture
def probe(scheduled: list[dict[str, Any]], probe_system: System) -> Path:
    """The folder of marks and switches, empty."""
    folder = probe_system.places.home / "probe"
    for file in folder.iterdir():
        file.unlink()
    return folder


def _until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not reached():
        assert time.monotonic() < end, "not reached in time"
        time.sleep(0.2)


def finished(api: AirflowApi, run_id: str) -> tuple[str, dict[str, str]]:
    _until(lambda: api.run_state(DAG_ID, run_id) in ("success", "failed"))
    return api.run_state(DAG_ID, run_id), {k: v["state"] for k, v in api.task_states(DAG_ID, run_id).items()}


def marks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "marks").read_text().splitlines()]


def steps(folder: Path) -> list[str]:
    return [mark["step"] for mark in marks(folder)]


def log_of(system: System, run_id: str, task: str) -> str:
    folder = system.places.logs / "airflow" / f"dag_id={DAG_ID}" / f"run_id={run_id}" / f"task_id={task}"
    return "\n".join(file.read_text() for file in sorted(folder.glob("*.log")))


def test_a_limit_is_waited_for_an_outage_retried_and_the_run_succeeds(
    api: AirflowApi, probe: Path, probe_system: System
) -> None:
    run_id = api.trigger(DAG_ID)
    assert finished(api, run_id)[0] == "success"
    assert steps(probe) == [
        "start", "extract", "extract", "transform", "transform", "deliver", "write_back", "summarise"
    ]  # fmt: skip
    tries = {name: task["try_number"] for name, task in api.task_states(DAG_ID, run_id).items()}
    assert (tries["extract"], tries["transform"]) == (1, 2), "a wait must not use up a try; a retry does"
    first = marks(probe)[0]
    assert (first["trigger"], first["crm"], first["dag_id"]) == ("manual", "salesforce", DAG_ID)
    assert first["host"] == f"{probe_system.sandbox_url}/salesforce"
    assert {mark["run_id"] for mark in marks(probe)[1:]} == {"0e0f0a0b-0000-4000-8000-000000000001"}


def test_fresh_tokens_are_masked_in_the_log(api: AirflowApi, probe: Path, probe_system: System) -> None:
    run_id = api.trigger(DAG_ID)
    finished(api, run_id)
    log = log_of(probe_system, run_id, "transform")
    assert "token: ***" in log
    assert "a-fresh-token-of-the-probe" not in log


def test_a_refused_login_fails_at_once_is_told_and_the_run_can_be_cleared(
    api: AirflowApi, probe: Path, probe_system: System
) -> None:
    (probe / "fail_deliver").touch()
    run_id = api.trigger(DAG_ID)
    state, tasks = finished(api, run_id)
    assert state == "failed"
    assert (tasks["deliver"], tasks["write_back"], tasks["summarise"]) == ("failed", "success", "failed")
    assert steps(probe).count("deliver") == 1, "what a retry cannot mend is not tried again"
    notice = log_of(probe_system, run_id, "deliver")
    assert "AuthenticationFailed: xero refuses the client id" in notice and "What to do: Open Admin" in notice
    assert "not everything was done: deliver is failed" in log_of(probe_system, run_id, "summarise")

    (probe / "fail_deliver").unlink()
    api.clear(DAG_ID, run_id, ["deliver"])
    state, tasks = finished(api, run_id)
    assert (state, set(tasks.values())) == ("success", {"success"})
    assert steps(probe)[-3:] == ["deliver", "write_back", "summarise"]


def test_a_killed_task_is_tried_again_by_itself(api: AirflowApi, probe: Path) -> None:
    (probe / "hang_deliver").touch()
    run_id = api.trigger(DAG_ID)
    _until(lambda: (probe / "marks").exists() and "deliver" in steps(probe))
    pid = next(mark["pid"] for mark in marks(probe) if mark["step"] == "deliver")
    (probe / "hang_deliver").unlink()
    os.kill(pid, signal.SIGKILL)
    state, _ = finished(api, run_id)
    assert state == "success"
    assert steps(probe).count("deliver") == 2


def test_the_scheduled_run_has_the_interval_of_the_cron_in_the_links_zone(scheduled: list[dict[str, Any]]) -> None:
    first = scheduled[0]
    assert first["trigger"] == "scheduled"
    start, end = (datetime.fromisoformat(bound).astimezone(ZoneInfo("Europe/Berlin")) for bound in first["interval"])
    assert (start.hour, start.minute, end.hour, end.minute) == (2, 15, 2, 15)
    assert (end.date() - start.date()).days == 1


def test_a_backfill_has_its_days_interval_and_knows_of_summer_time(api: AirflowApi, probe: Path) -> None:
    run_id = api.backfill(DAG_ID, "2026-03-30T00:00:00Z", "2026-03-30T12:00:00Z")
    assert finished(api, run_id)[0] == "success"
    first = marks(probe)[0]
    assert first["trigger"] == "backfill"
    # Clocks had gone forward in Berlin the night before: 02:15 is two hours ahead of UTC, not one.
    assert first["interval"] == ["2026-03-30T00:15:00+00:00", "2026-03-31T00:15:00+00:00"]
