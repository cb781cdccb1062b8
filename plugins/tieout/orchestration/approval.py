"""The task in which a person decides on the plan of a fiscal period: Airflow asks, our store keeps the answer.

Airflow shows the plan and takes the answer of whoever may answer there; nothing is posted by that. The store takes the
decision (store/period_plans.py, migration 0009): it knows the link's approvers, and the next task posts nothing that it
has not as approved. An answer that the store does not take is told, and the question is asked again.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import conf
from airflow.sdk.exceptions import AirflowFailException

from tieout.orchestration.step import START, Scenario

log = logging.getLogger(__name__)

#: Lines of a plan that the question shows; the plan's page has all of them.
SHOWN = 20
#: The manager with whom a person's id is not the name that the person signs in with.
_IDS_ARE_NUMBERS = "FabAuthManager"


class PlanApproval(ApprovalOperator):  # type: ignore[misc]  # airflow is not followed by mypy here
    """Waits for a decision on the newest plan of the run; passes by itself where none is needed.

    Args:
        scenario, link: as StepTask.
        within: a plan that nobody has decided on by then fails the task, and nothing is posted.
    """

    template_fields = ()  # a customer's name must never be a template
    ui_color = "#fdf3d8"

    def __init__(self, *, scenario: Scenario, link: str, within: timedelta, **kwargs: Any) -> None:
        # Nothing is tried again: an answer that did not come in time will not come by asking the clock once more.
        super().__init__(subject=f"The plan of a period of {link}", response_timeout=within, retries=0, **kwargs)
        self.scenario = scenario
        self.link = link

    def execute(self, context: Any) -> Any:
        """Asks, or passes. The result is the plan's id and state."""
        return self._ask(context, "")

    def _ask(self, context: Any, before: str) -> Any:
        from tieout.scenarios.periods import showing
        from tieout.store import period_plans

        with self.scenario.open(self.link) as services, services.engine.connect() as conn:
            plan = _plan(conn, context)
            if not plan.waits:
                log.info("plan %s of %s is %s: %s", plan.plan_id, plan.label, plan.state, plan.approval_reason)
                return {"plan": plan.plan_id, "state": plan.state}
            base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
            self.subject = f"{plan.link} {plan.label}: {plan.approval_reason}"
            self.body = before + showing.markdown(
                plan, period_plans.totals(conn, plan.plan_id), period_plans.lines(conn, plan.plan_id, limit=SHOWN),
                f"{base}/tieout/plan?plan={plan.plan_id}",
            )  # fmt: skip
        if not str(conf.get("core", "auth_manager", fallback="")).endswith(_IDS_ARE_NUMBERS):
            self.assigned_users = [{"id": name, "name": name} for name in plan.approvers] or None
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Hands the answer to the store; asks again where the store does not take it from this person."""
        from tieout.store import period_plans
        from tieout.store.period_plans import NotAllowed

        if "error" in event:
            raise AirflowFailException(
                f"nobody decided on the plan within {self.response_timeout}; nothing of it is posted: clear this task "
                "to ask again, or `tieout period send-back`"
            )
        answer = HITLOperator.execute_complete(self, context, event)
        who = (answer["responded_by_user"] or {}).get("name") or ""
        agreed = answer["chosen_options"][0] == self.APPROVE
        note = "" if agreed else f"rejected by {who} in Airflow"
        with self.scenario.open(self.link) as services:
            with services.engine.connect() as conn:
                plan = _plan(conn, context)
            if plan.waits and plan.made_at > answer["responded_at"]:
                return self._ask(context, "**The plan was made anew since it was answered.**\n\n")
            try:
                with services.engine.begin() as conn:
                    plan = period_plans.decide(conn, plan.plan_id, who, plan.hash, agreed=agreed, note=note)
            except NotAllowed as error:
                log.warning("the answer of %s is not taken: %s", who or "nobody", error)
                return self._ask(context, f"**The last answer was not taken: {error}.**\n\n")
        log.info("plan %s of %s is %s by %s", plan.plan_id, plan.label, plan.state, plan.decided_by)
        return {"plan": plan.plan_id, "state": plan.state, "by": plan.decided_by}


def _plan(conn: Any, context: Any) -> Any:
    from tieout.store import period_plans

    run_id = context["ti"].xcom_pull(task_ids=START)
    found = period_plans.of_run(conn, UUID(str(run_id))) if run_id else None
    if found is None:
        raise AirflowFailException("the run has no plan: clear its task plan")
    return found


def answer(dag_id: str, run_id: str, agreed: bool, who: str) -> None:
    """Has the task go on that waits for a decision which our store has taken: as its own answer would."""
    from airflow.models.hitl import HITLDetail, HITLUser
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent
    from airflow.utils import timezone
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    with create_session() as session:
        query = select(TaskInstance).where(
            TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == "approve"
        )
        task = session.scalar(query.with_for_update(of=TaskInstance))
        if task is None or task.state != TaskInstanceState.AWAITING_INPUT:
            return
        detail = session.scalar(select(HITLDetail).where(HITLDetail.ti_id == task.id).with_for_update(of=HITLDetail))
        if detail is None or detail.response_received:
            return
        detail.responded_by = HITLUser(id=who, name=who)
        detail.responded_at = timezone.utcnow()
        detail.chosen_options = ["Approve" if agreed else "Reject"]
        detail.params_input = {}
        handle_event_submit(TriggerEvent(detail.as_resume_event_payload()), task_instance=task, session=session)
