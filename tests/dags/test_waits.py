"""A task that meets a vendor's limit: it is deferred, goes on by itself, and not for ever."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from tieout.model.errors import AuthenticationFailed, RateLimited, Retriable
from tieout.orchestration.outcomes import LONGEST_WAIT
from tieout.orchestration.step import LONGEST_STAY, Scenario, StepTask

MODULE = "tests.dags.a_scenario_that_meets_limits"


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What the scenario's step raises, one at a time; then it works."""
    left: list[Exception] = []
    scenario = ModuleType(MODULE)

    @contextmanager
    def open_services(link: str, **_: Any) -> Iterator[str]:
        yield link

    def deliver(services: str, run_id: str) -> dict[str, str]:
        if left:
            raise left.pop(0)
        return {"link": services, "run": run_id}

    scenario.open_services, scenario.deliver = open_services, deliver  # type: ignore[attr-defined]  # made here
    monkeypatch.setitem(sys.modules, MODULE, scenario)
    return left


@pytest.fixture
def task() -> StepTask:
    return StepTask(
        task_id="deliver", link="acme", step="deliver", scenario=Scenario("s", MODULE, f"{MODULE}:open_services")
    )


CONTEXT: dict[str, Any] = {"ti": SimpleNamespace(xcom_pull=lambda task_ids: "run-1"), "outlet_events": {}}


def deferred(task: StepTask, **kwargs: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        task.go_on(CONTEXT, **kwargs) if kwargs else task.execute(CONTEXT)
    assert isinstance(caught.value.trigger, DateTimeTrigger)
    return caught.value


def wait_of(found: TaskDeferred) -> float:
    return float((found.trigger.moment - datetime.now(UTC)).total_seconds())


def test_a_used_up_day_gives_the_worker_back_and_the_step_goes_on(task: StepTask, errors: list[Exception]) -> None:
    errors.append(RateLimited("xero_demo: the day's calls are used up; 200 documents wait", retry_after=1200.0))
    found = deferred(task)
    assert 1190 < wait_of(found) <= 1200
    assert found.kwargs is not None
    again = getattr(task, found.method_name)(CONTEXT, event=None, **found.kwargs)
    assert again == {"link": "acme", "run": "run-1"}


def test_a_day_is_asked_again_each_hour_and_not_for_ever(task: StepTask, errors: list[Exception]) -> None:
    errors += [RateLimited("the day is used up", retry_after=80_000.0) for _ in range(3)]
    first = deferred(task)
    assert wait_of(first) <= LONGEST_WAIT
    assert first.kwargs is not None and deferred(task, **first.kwargs).kwargs == first.kwargs, "counted from the first"
    long_ago = (datetime.now(UTC) - LONGEST_STAY - timedelta(seconds=1)).isoformat()
    with pytest.raises(AirflowFailException, match="the day is used up"):
        task.go_on(CONTEXT, since=long_ago)


def test_other_errors_after_a_wait_have_their_own_verdict(task: StepTask, errors: list[Exception]) -> None:
    errors += [Retriable("the network went away"), AuthenticationFailed("refused")]
    since = datetime.now(UTC).isoformat()
    with pytest.raises(Retriable):
        task.go_on(CONTEXT, since=since)
    with pytest.raises(AirflowFailException, match="refused"):
        task.go_on(CONTEXT, since=since)
