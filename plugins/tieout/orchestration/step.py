"""One step of a scenario as an Airflow task: finds the function, gives it services and the run's id, judges errors.

The scenario's modules are imported when the task runs, never when the DAG file is parsed.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NoReturn

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from tieout.orchestration.connections import get_connection, keep_secret
from tieout.orchestration.outcomes import Reaction, StepsFailed, judge

log = logging.getLogger(__name__)

#: The first task's id; its result is the run's id.
START = "start"

#: How long one task may wait for a vendor's limit, all waits together.
LONGEST_STAY = timedelta(hours=26)

#: Airflow's run types in the words of `sync_run.trigger`.
#: Only webhooks__<link> starts runs of another DAG.
TRIGGERS = {
    "scheduled": "scheduled", "manual": "manual", "backfill": "backfill", "asset_triggered": "webhook",
    "operator_triggered": "webhook",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """Where a scenario's functions are, as import paths: nothing is imported to make one.

    Attributes:
        name: as in `sync_run.scenario` and in the DAG's id.
        module: has `start` and a function for each step.
        services: `module:function`, a context manager that takes the link's name, connections, on_secret.
        reports: steps after which the gauges of metrics.py are sent; the services then have engine, crm and ledger.
    """

    name: str
    module: str
    services: str = "tieout.scenarios.services:open_services"
    reports: tuple[str, ...] = ()

    def function(self, step: str) -> Callable[..., Any]:
        """The scenario's function of that name."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), step)
        return found

    def open(self, link: str) -> Any:
        """The context manager with all that a step needs, on Airflow's connections."""
        module, _, function = self.services.partition(":")
        opener = getattr(importlib.import_module(module), function)
        return opener(link, connections=get_connection, on_secret=keep_secret)


class StepTask(BaseOperator):  # type: ignore[misc]  # airflow is not followed by mypy here
    """Runs one function of a scenario.

    Args:
        scenario, link: what and for whom.
        step: the function's name.
        closes: task ids whose success this task vouches for: it fails when one of them did not succeed.
        days: params of the run that are days; others go to the scenario's `start` as they are.
    """

    template_fields: Sequence[str] = ()
    ui_color = "#eef4fb"

    def __init__(
        self,
        *,
        scenario: Scenario,
        link: str,
        step: str,
        closes: Sequence[str] = (),
        days: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.link = link
        self.step = step
        self.closes = tuple(closes)
        self.days = tuple(days)

    def execute(self, context: Any) -> Any:
        """The step's numbers (the run's id for the first step), kept as the task's XCom."""
        return self.go_on(context)

    def go_on(self, context: Any, event: Any = None, since: str | None = None) -> Any:
        """The same, also after a wait for a vendor's limit: every step carries on where it stopped.

        Args:
            event: the trigger's, not needed.
            since: when the first of these waits began, in ISO format.
        """
        failed = unsuccessful(context, self.closes) if self.closes else ""
        try:
            result = self._start(context) if self.step == START else self._step(context)
        except Exception as error:  # noqa: BLE001 - every error gets its verdict; none is swallowed
            # What does not close after a failed step is that step's consequence, not another fault.
            raise_verdict(StepsFailed(f"{failed}; {error}") if failed else error, since)
        if failed:
            raise_verdict(StepsFailed(failed))
        return result

    def _start(self, context: Any) -> str:
        run = context["dag_run"]
        bounds = (run.data_interval_start, run.data_interval_end)
        given = {
            name: date.fromisoformat(value) if name in self.days else value
            for name, value in (context.get("params") or {}).items()
            if value
        }
        with self.scenario.open(self.link) as services:
            run_id = self.scenario.function(START)(
                services,
                TRIGGERS.get(str(getattr(run.run_type, "value", run.run_type)), "manual"),
                None if None in bounds else bounds,
                (run.dag_id, run.run_id),
                **given,
            )
        return str(run_id)

    def _step(self, context: Any) -> dict[str, Any]:
        run_id = context["ti"].xcom_pull(task_ids=START)
        if run_id is None:
            raise StepsFailed("the run never started: see the task start")
        log.info("%s of %s for link %s, sync run %s", self.step, self.scenario.name, self.link, run_id)
        with self.scenario.open(self.link) as services:
            try:
                numbers: dict[str, Any] = self.scenario.function(self.step)(services, run_id)
            finally:
                if self.step in self.scenario.reports:
                    _report(services, self.link)
        log.info("%s: %s", self.step, numbers)
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra = {"link": self.link, "sync_run": run_id}
        return numbers


def _report(services: Any, link: str) -> None:
    from tieout.orchestration import metrics  # with the store, which a DAG file does not import

    metrics.report(services.engine, link, (services.crm.name, services.ledger.name))


def unsuccessful(context: Any, task_ids: Sequence[str]) -> str:
    """Which of the run's other tasks did not succeed, in words; empty when all did."""
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=list(task_ids), run_ids=[ti.run_id])
    bad = {task: state for task, state in sorted(states.get(ti.run_id, {}).items()) if str(state) != "success"}
    if not bad:
        return ""
    return "not everything was done: " + ", ".join(f"{task} is {state}" for task, state in bad.items())


def raise_verdict(error: Exception, since: str | None = None) -> NoReturn:
    """Raises what Airflow understands in place of `error`: always raises.

    A wait is deferred: no worker is held, and the triggerer has the task go on by itself.
    """
    verdict = judge(error)
    if verdict.reaction is Reaction.RETRY:
        raise error
    now = datetime.now(UTC)
    first = datetime.fromisoformat(since) if since else now
    if verdict.reaction is Reaction.WAIT and now - first < LONGEST_STAY:
        moment = now + timedelta(seconds=verdict.after)
        log.warning("%s; the task gives its worker back and goes on at %s", error, moment.isoformat(timespec="seconds"))
        raise TaskDeferred(
            trigger=DateTimeTrigger(moment), method_name=StepTask.go_on.__name__, kwargs={"since": first.isoformat()}
        ) from error
    raise AirflowFailException(f"{type(error).__name__}: {error}") from error
