"""The task that asks a person: what it shows, whose answer the store takes, and what it says when nobody answers.

Airflow's supervisor is not here: what the task would send it is written down instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput
from sqlalchemy.engine import Engine

from tests.unit.web.test_plans import made
from tieout.orchestration.approval import PlanApproval
from tieout.store import period_plans
from tieout.store.period_plans import Plan


class Asked:
    """One run's task and its plan, and the questions that it put."""

    def __init__(self, engine: Engine, plan: Plan, questions: list[dict[str, Any]]) -> None:
        self.engine, self.plan, self.questions = engine, plan, questions
        self.task = PlanApproval(task_id="approve", scenario=self, link="acme", within=timedelta(hours=72))  # type: ignore[arg-type]
        ti = SimpleNamespace(id="ti", xcom_pull=lambda task_ids: str(plan.run_id))
        self.context = {"ti": ti, "task_instance": ti}

    @contextmanager
    def open(self, link: str) -> Iterator[Any]:
        """In the place of the scenario's services: the store is all that the task needs."""
        assert link == "acme"
        yield SimpleNamespace(engine=self.engine)

    def answer(self, who: str, option: str = "Approve", at: datetime | None = None) -> Any:
        event = {"chosen_options": [option], "params_input": {}, "responded_at": at or datetime.now(UTC),
                 "responded_by_user": {"id": "3", "name": who}}  # fmt: skip
        return self.task.execute_complete(self.context, event)

    def state(self) -> str:
        with self.engine.connect() as conn:
            found = period_plans.get(conn, self.plan.plan_id)
        assert found is not None
        return found.state


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What goes to Airflow."""
    put: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: put.append(question))
    return put


@pytest.fixture
def asked(engine: Engine, questions: list[dict[str, Any]]) -> Asked:
    return Asked(engine, made(engine, approvers=("Anna",)), questions)


def test_it_waits_with_the_plan_in_sums_and_lines_and_the_way_to_its_page(asked: Asked) -> None:
    with pytest.raises(TaskAwaitingInput) as waits:
        asked.task.execute(asked.context)
    assert waits.value.timeout == timedelta(hours=72)
    (question,) = asked.questions
    assert question["subject"] == "acme FY2026-P02: always"
    assert question["options"] == ["Approve", "Reject"]
    assert "| create | GBP | 1 | 0.00 | 123.45 | 0.00 |" in question["body"]
    assert f"/tieout/plan?plan={asked.plan.plan_id})" in question["body"]


def test_only_an_approvers_answer_counts_and_the_others_are_told(asked: Asked) -> None:
    with pytest.raises(TaskAwaitingInput):
        asked.answer("Bob")
    assert asked.state() == "planned"
    assert "**The last answer was not taken: period plan" in asked.questions[-1]["body"]
    assert "Bob is not among those who may decide it: Anna" in asked.questions[-1]["body"]
    with pytest.raises(TaskAwaitingInput):
        asked.answer("")
    assert asked.answer("Anna") == {"plan": asked.plan.plan_id, "state": "approved", "by": "Anna"}
    assert asked.task.execute(asked.context) == {"plan": asked.plan.plan_id, "state": "approved"}


def test_a_rejection_sends_it_back_and_the_run_goes_on_to_say_so(asked: Asked) -> None:
    assert asked.answer("Anna", "Reject")["state"] == "sent_back"
    assert asked.state() == "sent_back"


def test_an_answer_to_an_earlier_plan_is_no_answer(asked: Asked) -> None:
    with pytest.raises(TaskAwaitingInput):
        asked.answer("Anna", at=asked.plan.made_at - timedelta(seconds=1))
    assert asked.state() == "planned" and "made anew" in asked.questions[-1]["body"]


def test_no_answer_in_time_fails_and_posts_nothing(asked: Asked) -> None:
    with pytest.raises(AirflowFailException, match="nobody decided on the plan within 3 days"):
        asked.task.execute_complete(asked.context, {"error": "timeout", "error_type": "timeout"})
    assert asked.state() == "planned"
