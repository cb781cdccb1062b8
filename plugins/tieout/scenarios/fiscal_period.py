"""A fiscal period worked through anew: its documents read by their day, a plan, an approval, the posting, the account.

Nothing is posted that is not in the plan, and nothing of a plan that needs an approval before somebody gave it: the
database keeps that (migration 0009). Each step can be repeated: Airflow's tasks and the command line call the same
functions. The period is the one of the run's data interval, never of its id.

    start -> extract -> check -> plan -> (a person decides) -> apply -> write_back -> reconcile -> summarise
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text

from tieout.model.calendar import Calendar, Period
from tieout.model.errors import BooksDoNotClose, ConfigurationFault, Fatal
from tieout.model.link import Link
from tieout.model.tie_out import shown
from tieout.scenarios import checking, quote_to_cash, reconciliation, steps
from tieout.scenarios.extraction import Reads, extract_side
from tieout.scenarios.periods import days, planning, report, rereading
from tieout.scenarios.periods.calendar import calendar_of
from tieout.scenarios.quote_to_cash import READS, STOPPED
from tieout.scenarios.rules import load_rules
from tieout.scenarios.services import Services
from tieout.scenarios.steps import Numbers, OnStep, finish, step
from tieout.scenarios.subjects import Subject, subject_of
from tieout.store import period_plans, runs
from tieout.store.period_plans import Plan

NAME = "fiscal_period"
STEPS = ("extract", "check", "plan", "apply", "write_back", "reconcile", "summarise")
#: The steps after a person's decision.
AFTER_DECISION = ("apply", "write_back", "reconcile", "summarise")


class WaitsForApproval(Fatal):
    """A person has to decide on the plan; `plan` is it."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            f"period plan {plan.plan_id} of {plan.label} waits for an approval: {plan.approval_reason}; "
            f"`tieout period show-plan {plan.plan_id}` shows it, `tieout period approve` or `send-back` decides"
        )
        self.plan = plan


def start(
    services: Services,
    trigger: str = "cli",
    interval: tuple[datetime, datetime] | None = None,
    airflow_ids: tuple[str, str] | None = None,
    *,
    period: str | None = None,
    dry_run: bool = False,
) -> str:
    """Opens a run and returns its id.

    Args:
        interval: the bounds of the period.
        period: its label, in place of the interval.
        dry_run: read and plan, and post nothing.

    Raises:
        ConfigurationFault: no period is said, the calendar has none of that name or of these bounds, or it has not
            begun yet.
    """
    calendar, zone = calendar_of(services), ZoneInfo(services.link.time_zone)
    wanted = calendar.period(period) if period else _of_interval(calendar, services.link, interval)
    with services.engine.connect() as conn:
        now: datetime = conn.execute(text("select now()")).scalar_one()
    if wanted.first > now.astimezone(zone).date():
        raise ConfigurationFault(
            f"link {services.link.name}: period {wanted.label} begins on {wanted.first}: expected one that has begun; "
            "nothing was read and nothing is posted"
        )
    run_id = steps.start(services, NAME, trigger, wanted.bounds(zone), airflow_ids)
    asked = {"period": wanted.label, "first": wanted.first.isoformat(), "last": wanted.last.isoformat(),
             "dry_run": dry_run}  # fmt: skip
    step(services, run_id, "start", lambda _: asked)
    return run_id


def _of_interval(calendar: Calendar, link: Link, interval: tuple[datetime, datetime] | None) -> Period:
    zone = ZoneInfo(link.time_zone)
    if interval is None:
        raise ConfigurationFault(f"link {link.name}: the run has neither a data interval nor a period: name a period")
    found = calendar.period_of(interval[0].astimezone(zone).date())
    if tuple(found.bounds(zone)) != tuple(interval):
        begin, end = (bound.astimezone(zone) for bound in interval)
        raise ConfigurationFault(
            f"link {link.name}: {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {link.time_zone} is no period of its "
            f"calendar {calendar.name}; expected one such as {found.label}, from {found.first} to {found.last}: was "
            "the calendar or the time zone changed, or is the interval of another link? Nothing was read"
        )
    return found


def extract(services: Services, run_id: str) -> Numbers:
    """Reads the period's documents of both systems by their day, and what changed of everything else."""

    def work(run: UUID) -> Numbers:
        subject = subject_of(services)
        return _read(services, subject, _period(services, run), run, _others(subject))

    return step(services, run_id, "extract", work)


def _read(services: Services, subject: Subject, period: Period, run: UUID, others: Reads) -> Numbers:
    """The period's documents by their day, and what changed of other entities."""
    numbers: Numbers = {
        side.name: dict(extract_side(services, side, run, others[name]))
        for name, side in (("crm", services.crm), ("ledger", services.ledger))
    }
    for name, found in rereading.reread(services, subject, period, run).items():
        numbers[name] |= found
    return numbers


def _others(subject: Subject) -> Reads:
    """What is read by its changes, as quote-to-cash does: customers, products, quotes, rates, settings."""
    return {
        "crm": [name for name in READS["crm"] if name not in (subject.entity, subject.lines)],
        "ledger": [name for name in READS["ledger"] if name not in rereading.LEDGER],
    }


def _checked(subject: Subject) -> Reads:
    others = _others(subject)
    return {"crm": [*others["crm"], subject.entity, subject.lines], "ledger": [*others["ledger"], *rereading.LEDGER]}


def check(services: Services, run_id: str) -> Numbers:
    """Runs the suites over what was staged; bad rows go into quarantine."""
    return step(
        services, run_id, "check", lambda run: checking.check(services, run, _checked(subject_of(services)))
    )  # fmt: skip


def plan(services: Services, run_id: str) -> Numbers:
    """Works out what is to be posted, and keeps it to be shown; posts nothing. Again, it replaces the run's plan."""

    def work(run: UUID) -> Numbers:
        made = planning.plan(
            services, load_rules(services), calendar_of(services), _period(services, run), run,
            dry=bool(_asked(services, run)["dry_run"]),
        )  # fmt: skip
        return _told(services, made)

    return step(services, run_id, "plan", work)


def apply(services: Services, run_id: str) -> Numbers:
    """Posts what was planned, exactly once; a dry run, and a plan that was sent back, post nothing.

    Raises:
        WaitsForApproval: nobody decided on the plan yet.
        RateLimited: as quote_to_cash.deliver.
    """

    def work(run: UUID) -> Numbers:
        made = plan_of(services, run)
        if made.waits:
            raise WaitsForApproval(made)
        if made.state in ("dry", "sent_back"):
            return {"plan": made.plan_id, "state": made.state}
        numbers: Numbers = dict(planning.apply(services, load_rules(services), calendar_of(services), made, run))
        return {"plan": made.plan_id, "state": "applied", **numbers,
                **quote_to_cash.deliver_and_settle(services, run, NAME)}  # fmt: skip

    return step(services, run_id, "apply", work)


def write_back(services: Services, run_id: str) -> Numbers:
    """Brings confirmed facts back to the CRM, where something was posted. Raises RateLimited as `apply`."""
    made = plan_of(services, UUID(run_id))
    if made.state != "applied":
        return step(services, run_id, "write_back", lambda _: {"plan": made.plan_id, "state": made.state})
    return quote_to_cash.write_back(services, run_id)


def reconcile(services: Services, run_id: str) -> Numbers:
    """Reads the period's documents of both systems once more, what was posted among them, and makes its report.

    Also of a dry run and of a plan that was sent back: then it says what there is to do.
    """

    def work(run: UUID) -> Numbers:
        period, subject = _period(services, run), subject_of(services)
        wanted = reconciliation.reads(services.link, subject.entity, days.AREAS)
        read = _read(services, subject, period, run, {
            "crm": set(wanted["crm"]) - {subject.entity, subject.lines},
            "ledger": set(wanted["ledger"]) - set(rereading.LEDGER),
        })  # fmt: skip
        return {**report.make(services, period, run), "read": read}

    return step(services, run_id, "reconcile", work)


def summarise(services: Services, run_id: str) -> Numbers:
    """Closes the run with what became of the plan: `partial` where something of it waits for a person or a vendor.

    Raises:
        BooksDoNotClose: the period's report leaves a difference unexplained; it stays, as untied.
        Fatal: a suite stopped what the ledger answered; everything posted is recorded.
    """
    run = UUID(run_id)
    made = plan_of(services, run)
    numbers = {**_asked(services, run), **_told(services, made), **_became(services, made)}
    done = steps.written(services, run)
    broken = [name for name in STEPS[:-1] if "ended" not in done.get(name, {})]
    stopped = (done.get("apply", {}).get("numbers") or {}).get(STOPPED)
    if stopped:
        numbers[STOPPED] = stopped
    dry = made.state == "dry"
    waits = not dry and (
        made.state != "applied" or numbers["changed"] or numbers["open"] or numbers["lines"].get("hold", 0)
    )
    tied = done.get("reconcile", {}).get("numbers") or {}
    numbers |= {"report": tied.get("report"), "report_state": tied.get("state"), "report_hash": tied.get("hash")}
    untied = tied.get("state") == "untied"
    finish(services, run, "failed" if untied else "partial" if waits or broken or stopped else "succeeded", numbers)
    if untied:
        open_ = [one for one in tied["totals"] if one["unexplained"]]
        raise BooksDoNotClose(
            f"link {services.link.name}, {made.label}: the report of the period leaves unexplained "
            + ", ".join(f"{one['area']} {shown(one['unexplained'], one['scale'])} {one['currency']}" for one in open_)
            + "; everything posted is recorded; the report stays as untied: it is a fault of the reconciliation"
        )
    if stopped:
        raise Fatal(
            f"link {services.link.name}, {made.label}: everything posted is recorded and written back, but the "
            f"ledger's answers failed their check: {stopped}"
        )
    return numbers


def run(
    services: Services,
    period: str,
    *,
    dry_run: bool = False,
    trigger: str = "cli",
    on_step: OnStep | None = None,
) -> Numbers:
    """All steps in a row; see steps.run_all and start.

    Raises:
        WaitsForApproval: the plan was made; `decided` goes on once somebody approved it or sent it back.
    """
    run_id = start(services, trigger, period=period, dry_run=dry_run)
    last = STEPS.index("plan") + 1
    steps.run_all(services, run_id, [(name, globals()[name]) for name in STEPS[:last]], on_step)
    made = plan_of(services, UUID(run_id))
    if made.waits:
        raise WaitsForApproval(made)
    return decided(services, run_id, on_step)


def decided(services: Services, run_id: str, on_step: OnStep | None = None) -> Numbers:
    """The steps after the decision, in a row; of a plan that was sent back they post nothing and close the run."""
    return steps.run_all(services, run_id, [(name, globals()[name]) for name in AFTER_DECISION], on_step)


def plan_of(services: Services, run: UUID) -> Plan:
    """The newest plan of a run.

    Raises:
        ConfigurationFault: it has none.
    """
    with services.engine.connect() as conn:
        found = period_plans.of_run(conn, run)
    if found is None:
        raise ConfigurationFault(f"run {run} has no plan: its step `plan` did not end; do that step (again)")
    return found


def _told(services: Services, made: Plan) -> Numbers:
    """The plan in numbers: what the step tells, and what the run is closed with."""
    with services.engine.connect() as conn:
        totals = period_plans.totals(conn, made.plan_id)
    lines: dict[str, int] = {}
    for one in totals:
        lines[one.action] = lines.get(one.action, 0) + one.documents
    amounts: dict[str, dict[str, int]] = {}
    for one in totals:
        if one.currency:
            part = amounts.setdefault(one.currency, {})
            part[one.action] = one.held_minor if one.action == "hold" else one.after_minor
    return {
        "plan": made.plan_id, "state": made.state, "hash": made.hash, "records": made.records,
        "unchanged": made.unchanged, "in_flight": made.in_flight, "new_customers": made.new_customers,
        "needs_approval": made.needs_approval, "approval_reason": made.approval_reason, "decided_by": made.decided_by,
        "lines": lines, "totals": [asdict(one) for one in totals], "amounts": amounts,
    }  # fmt: skip


def _became(services: Services, made: Plan) -> dict[str, Any]:
    """What became of the plan's lines: `applied`, `changed` since the plan, `open`: its documents under way."""
    with services.engine.connect() as conn:
        states = period_plans.counts(conn, made.plan_id)
        outcomes = period_plans.outcomes(conn, made)
    return {"applied": states.get("applied", 0), "changed": states.get("changed", 0),
            "open": outcomes.get("pending", 0), "outcomes": outcomes}  # fmt: skip


def _asked(services: Services, run: UUID) -> Numbers:
    """What the run was started for."""
    numbers: Numbers = steps.written(services, run)["start"]["numbers"]
    return numbers


def _period(services: Services, run: UUID) -> Period:
    """The run's period, by its interval.

    Raises:
        ConfigurationFault: the calendar was changed since the run was started.
    """
    with services.engine.connect() as conn:
        found = runs.get(conn, run)
    if found is None or found.interval_start is None or found.interval_end is None:
        raise ConfigurationFault(f"there is no run {run} of a fiscal period")
    return _of_interval(calendar_of(services), services.link, (found.interval_start, found.interval_end))
