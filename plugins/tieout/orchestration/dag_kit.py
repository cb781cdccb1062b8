"""A scenario's steps and a link become a DAG: `<scenario>__<link>`. The same for every scenario.

Only the sync run's id travels between tasks. Each task can be cleared and run again: what keeps that harmless is in
the scenario (identity of documents, delivery protocol), not here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Asset, BaseNotifier, BaseOperator, CronDataIntervalTimetable, Param, TriggerRule
from airflow.timetables.base import Timetable

from tieout.model.settings import PROJECT
from tieout.orchestration.links import LinkCard, link_cards
from tieout.orchestration.notices import DoublesNotice, FailureNotice, TieOutNotice
from tieout.orchestration.step import START, Scenario, StepTask

#: Tries after the first, for errors that a later try can mend; the delay is Airflow's default_task_retry_delay.
RETRIES = 3
LONGEST_RETRY_DELAY = timedelta(minutes=30)

#: A run that takes longer than this is ended as failed; the next one carries on with what is left.
LONGEST_RUN = timedelta(days=2)

#: Opening a run is one row in the store.
LONGEST_START = timedelta(minutes=10)

#: No run is before this day; backfills may start here.
FIRST_DAY = (2020, 1, 1)


@dataclass(frozen=True, slots=True)
class Step:
    """One task.

    Attributes:
        name: the scenario's function.
        what: one sentence, shown as the task's documentation.
        after: names of the steps it waits for; empty: the one listed before it.
        even_if_failed: it runs once all of `after` have ended and at least one of them succeeded.
        announces: tells other DAGs by an asset event `<link>/<announces>` when it has succeeded.
        longest: the time after which the task is ended.
        asks: a person decides on the run's plan (approval.py); it is no function of the scenario.
    """

    name: str
    what: str
    after: tuple[str, ...] = ()
    even_if_failed: bool = False
    announces: str | None = None
    longest: timedelta = timedelta(hours=4)
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A scenario as tasks.

    Attributes:
        closing: the step that ends every run: it fails when any other did not succeed.
        days: days that whoever starts a run may give, name -> one sentence; the scenario's `start` takes those given.
        texts, switches: further ones, a word each, or on and off.
        by_period: a run for each fiscal period of the link. With TIEOUT_SCHEDULES=off none is made by itself; the
            timetable is there nevertheless: without one nobody could ask for a backfill. Several may be at work at
            once, as the link says.
    """

    scenario: Scenario
    steps: tuple[Step, ...]
    closing: Step
    days: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    switches: Mapping[str, str] = field(default_factory=dict)
    by_period: bool = False


def dags_for_links(flow: Flow, card: str, folder: Path | None = None) -> Iterator[DAG]:
    """One DAG for each link file of the project.

    Args:
        flow: the steps.
        card: the DAG file's docstring, shown in the UI above what is the link's own.
        folder: of link files; default `include/links` of the project.
    """
    for link in link_cards(folder or PROJECT / "include" / "links"):
        yield dag_for_link(flow, link, card)


def dag_for_link(flow: Flow, link: LinkCard, card: str) -> DAG:
    """The DAG of one link; without a schedule where the link's file has a fault."""
    with DAG(
        dag_id=f"{flow.scenario.name}__{link.name}",
        description=card.strip().splitlines()[0],
        doc_md=f"{card}\n{link_paragraph(link)}",
        schedule=_timetable(flow, link),
        start_date=_first_day(flow, link),
        catchup=False,
        # Two runs at once do no harm (delivery protocol), and no good: they judge the same records.
        max_active_runs=link.periods.active_runs if flow.by_period else 1,
        dagrun_timeout=LONGEST_RUN + timedelta(hours=link.periods.answer_within_hours if flow.by_period else 0),
        tags=["tieout", flow.scenario.name, link.name],
        params=_params(flow),
        default_args={
            "owner": ", ".join(link.owners) or "tieout",
            "retries": RETRIES,
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": LONGEST_RETRY_DELAY,
            "on_failure_callback": [FailureNotice(link=link.name, channels=link.notify)],
        },
    ) as dag:
        _tasks(flow, link)
    return dag


def _params(flow: Flow) -> dict[str, Param]:
    words = ["null", "string"]
    return {
        **{name: Param(None, type=words, format="date", description=what) for name, what in flow.days.items()},
        **{name: Param(None, type=words, description=what) for name, what in flow.texts.items()},
        **{name: Param(False, type="boolean", description=what) for name, what in flow.switches.items()},
    }


def _tasks(flow: Flow, link: LinkCard) -> None:
    tasks = {
        START: StepTask(
            task_id=START,
            scenario=flow.scenario,
            link=link.name,
            step=START,
            days=tuple(flow.days),
            doc_md="Opens the sync run and keeps its id for the other tasks.",
            execution_timeout=LONGEST_START,
        )
    }
    before = START
    for step in flow.steps:
        tasks[step.name] = _asking(flow, link, step) if step.asks else _task(flow, link, step)
        for name in step.after or (before,):
            tasks[name] >> tasks[step.name]
        before = step.name
    closing = StepTask(
        task_id=flow.closing.name,
        scenario=flow.scenario,
        link=link.name,
        step=flow.closing.name,
        doc_md=flow.closing.what,
        execution_timeout=flow.closing.longest,
        trigger_rule=TriggerRule.ALL_DONE,
        closes=tuple(tasks),
        on_success_callback=_told_at_the_end(flow, link),
    )
    list(tasks.values()) >> closing


def _task(flow: Flow, link: LinkCard, step: Step) -> StepTask:
    return StepTask(
        task_id=step.name,
        scenario=flow.scenario,
        link=link.name,
        step=step.name,
        doc_md=step.what,
        execution_timeout=step.longest,
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS if step.even_if_failed else TriggerRule.ALL_SUCCESS,
        outlets=[announcement(link.name, step.announces)] if step.announces else [],
    )


def _asking(flow: Flow, link: LinkCard, step: Step) -> BaseOperator:
    from tieout.orchestration.approval import PlanApproval  # the operator's module is large, and few DAGs need it

    return PlanApproval(
        task_id=step.name,
        scenario=flow.scenario,
        link=link.name,
        doc_md=step.what,
        within=timedelta(hours=link.periods.answer_within_hours),
    )


def _first_day(flow: Flow, link: LinkCard) -> pendulum.DateTime:
    if not flow.by_period:
        return pendulum.datetime(*FIRST_DAY, tz=link.time_zone)
    first = link.calendar.periods[0].first
    return pendulum.datetime(first.year, first.month, first.day, tz=link.time_zone)


def _told_at_the_end(flow: Flow, link: LinkCard) -> list[BaseNotifier]:
    """Who a run that ended well has something to say to."""
    if flow.scenario.name == "reconciliation":
        return [TieOutNotice(link=link.name, channels=link.notify, always=link.always_told)]
    if flow.by_period:
        return []
    return [DoublesNotice(link=link.name, channels=link.notify)]


def announcement(link: str, what: str) -> Asset:
    """The asset whose events say that `what` of a link is up to date."""
    return Asset(name=f"{link}/{what}", uri=f"x-tieout://{link}/{what}", group="tieout")


def _timetable(flow: Flow, link: LinkCard) -> CronDataIntervalTimetable | Timetable | None:
    if flow.by_period:
        return None if link.fault else _by_period(link)
    return cron_of(link, flow.scenario.name)


def cron_of(link: LinkCard, flow: str) -> CronDataIntervalTimetable | None:
    """When the link's file has the flow run; None: by hand only."""
    cron = getattr(link.schedule, flow, None)
    if not cron or link.fault or not _by_themselves():
        return None
    return CronDataIntervalTimetable(cron, timezone=link.time_zone)


def _by_themselves() -> bool:
    """The demo starts its runs itself: an hour's run beside them would blur what each of them did."""
    return os.environ.get("TIEOUT_SCHEDULES") != "off"


def _by_period(link: LinkCard) -> Timetable:
    from tieout.orchestration.fiscal_timetable import FiscalPeriodTimetable

    return FiscalPeriodTimetable(link.calendar, link.time_zone, by_itself=_by_themselves())


def link_paragraph(link: LinkCard) -> str:
    """What a DAG's card says of its own link."""
    fault = f"\n\n**This link cannot run:** `{link.fault}`" if link.fault else ""
    return f"\nLink **{link.name}**, defined in `include/links/{link.file.name}`.{fault}\n"
