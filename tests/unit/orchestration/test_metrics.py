"""Gauges of unsettled writes, through Airflow's own StatsD client to a real UDP listener."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
from sqlalchemy import Engine

from tests.support.delivery import intent, plan, run, run_until_settled
from tests.support.ledger import MemoryLedger, VirtualClock
from tieout.orchestration import metrics
from tieout.orchestration.step import Scenario, StepTask
from tieout.store.engine import connect

pytest.importorskip("statsd", reason="Airflow's StatsD client is not installed: `make setup` installs it")
SILENCE = 0.5  # seconds without a datagram after which all have come

Heard = Callable[[], dict[str, float]]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """A StatsD server: name -> value of the gauges that came since it was asked last."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(SILENCE)
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(listener.getsockname()[1]))

        def listen() -> dict[str, float]:
            found = {}
            try:
                while True:
                    name, _, value = listener.recv(65536).decode().partition(":")
                    assert value.endswith("|g"), value
                    found[name] = float(value.removesuffix("|g"))
            except TimeoutError:
                return found

        # As Airflow's task runner does at the start of a task's process.
        stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
        yield listen
    monkeypatch.undo()
    stats.initialize(factory=get_stats_factory(), export_legacy_names=True)


@pytest.fixture
def unsettled(engine: Engine) -> Engine:
    """One held, two refused, one uncertain, one ready."""
    ledger = MemoryLedger(VirtualClock())
    ledger.make("INV-1", b'{"number": "INV-1", "amount": 777}')
    plan(engine, [intent(1), *(intent(n, body={"refuse": "validation"}) for n in (2, 3))], ledger.clock)
    run_until_settled(engine, ledger)
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(4)], ledger.clock)
    run(engine, ledger)
    plan(engine, [intent(5)], ledger.clock)
    with engine.begin() as conn:
        conn.exec_driver_sql("update tieout.intent set updated_at = clock_timestamp() - interval '2 days'")
        conn.exec_driver_sql("update tieout.intent set sent_at = clock_timestamp() - interval '90 seconds'")
    return engine


def test_every_state_and_both_ages_are_heard_for_each_target(unsettled: Engine, heard: Heard) -> None:
    metrics.report(unsettled, "acme", ("books", "my.crm"))
    found = heard()
    ages = {name: found.pop(name) for name in list(found) if "oldest" in name}
    states = {"ready": 1, "claimed": 0, "in_flight": 0, "unknown": 1, "held": 1, "rejected": 2}
    assert found == {
        **{f"airflow.tieout.intents.{state}.acme.books": count for state, count in states.items()},
        **{f"airflow.tieout.intents.{state}.acme.my_crm": 0 for state in states},
    }
    assert 90 <= ages.pop("airflow.tieout.oldest_unknown_seconds.acme.books") < 180
    assert 172_800 <= ages.pop("airflow.tieout.oldest_held_seconds.acme.books") < 173_000
    assert set(ages.values()) == {0} and len(ages) == 2


def test_a_backend_that_keeps_tags_gets_them_as_tags(
    unsettled: Engine, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
    stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
    metrics.report(unsettled, "acme", ("books",))
    assert heard()["airflow.tieout.intents.rejected,link=acme,target=books"] == 2


@dataclass(frozen=True)
class _Side:
    name: str


@dataclass(frozen=True)
class _Services:
    engine: Engine
    crm: _Side = _Side("crm")
    ledger: _Side = _Side("books")


#: What `_opened` gives to the step; set by the test.
_given: list[_Services] = []


@contextmanager
def opened(link: str, connections: Any, on_secret: Any) -> Iterator[_Services]:
    yield _given[0]


def deliver(services: _Services, run_id: str) -> dict[str, Any]:
    return {"run": run_id}


def summarise(services: _Services, run_id: str) -> dict[str, Any]:
    raise ValueError("does not close")


class _Instance:
    def xcom_pull(self, task_ids: str) -> str:
        return "a-run"


def task(step: str, **more: Any) -> StepTask:
    scenario = Scenario("probe", __name__, f"{__name__}:opened", **more)
    return StepTask(task_id=step, scenario=scenario, link="acme", step=step)


def test_a_step_reports_when_it_ends_well_and_when_it_fails(unsettled: Engine, heard: Heard) -> None:
    _given[:] = [_Services(unsettled)]
    context = {"ti": _Instance()}
    assert task("deliver", reports=("deliver",))._step(context) == {"run": "a-run"}
    assert heard()["airflow.tieout.intents.held.acme.books"] == 1
    with pytest.raises(ValueError, match="does not close"):
        task("summarise", reports=("summarise",))._step(context)
    assert heard()["airflow.tieout.intents.unknown.acme.books"] == 1
    task("deliver")._step(context)
    assert heard() == {}


def test_a_store_that_is_gone_costs_the_metrics_and_no_more(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = connect(f"postgresql+psycopg://nobody@127.0.0.1:{closed.getsockname()[1]}/nothing")
        with caplog.at_level(logging.WARNING):
            metrics.report(gone, "acme", ("books",))
    assert "no metrics of link acme" in caplog.text
    assert heard() == {}
