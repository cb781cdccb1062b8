"""Runs of fiscal periods from a shell: what would be posted is shown, a person decides, it is posted.

The DAG fiscal_period__LINK does the same in Airflow; docs/backfill.md is the operator's guide to both.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.people import By, Note
from tieout.cli.runs import Json, LinkName
from tieout.model.errors import ConfigurationFault
from tieout.reports.present import amount, words
from tieout.scenarios import fiscal_period
from tieout.scenarios.services import open_services
from tieout.store import period_plans, runs
from tieout.store.period_plans import Plan

Label = Annotated[str, typer.Argument(help="The period's label, such as FY2026-P05: `tieout calendar` lists them.")]
PlanId = Annotated[int, typer.Argument(help="The plan's id: `tieout period plans` shows it.")]
Seen = Annotated[str, typer.Option("--hash", help="The hash that was shown, or its first 12 characters.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to the group `period`."""
    app.command("plan")(make_plan)
    app.command("run")(run)
    app.command("plans")(list_plans)
    app.command("show-plan")(show_plan)
    app.command("approve")(approve)
    app.command("send-back")(send_back)


def make_plan(link: LinkName, period: Label, json: Json = False) -> None:
    """Reads a period's documents anew and shows what would be posted for it. Posts nothing."""
    with open_services(link) as services:
        numbers = fiscal_period.run(services, period, dry_run=True)
    _told(numbers, json)


def run(
    link: LinkName,
    period: Label,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only the plan: nothing of it can be posted.")] = False,
    json: Json = False,
) -> None:
    """Reads, plans and posts a period; ends with the plan where a person has to approve it first."""
    with open_services(link) as services:
        try:
            numbers = fiscal_period.run(services, period, dry_run=dry_run)
        except fiscal_period.WaitsForApproval as waits:
            _show(waits.plan, json)
            raise
    _told(numbers, json)


def list_plans(
    link: Annotated[str | None, typer.Option(help="Only this link.")] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that a person has to decide.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    json: Json = False,
) -> None:
    """Plans of fiscal periods, newest first."""
    with store() as engine, engine.connect() as conn:
        found = period_plans.latest(conn, link, waiting=waiting, limit=limit)
    if json:
        show.as_json([asdict(one) for one in found])
        return
    rows = [
        (one.plan_id, one.link, one.label, f"{one.made_at:%Y-%m-%d %H:%M}", "waits" if one.waits else words(one.state),
         one.records, one.decided_by or "", one.note or "")
        for one in found
    ]  # fmt: skip
    columns = ("plan", "link", "period", "made (UTC)", "state", "records", "decided by", "note")
    show.table("Plans of fiscal periods", columns, rows, ("records",))


def show_plan(plan_id: PlanId, json: Json = False) -> None:
    """A plan with its sums and lines, and its hash, which a decision has to name."""
    _show(_plan(plan_id), json)


def approve(plan_id: PlanId, by: By, seen: Seen, note: Note = "", json: Json = False) -> None:
    """Approves what was shown and posts it. A plan of an Airflow run is posted by that run: see docs/backfill.md."""
    _decide(plan_id, by, seen, note, agreed=True, json=json)


def send_back(
    plan_id: PlanId, by: By, seen: Seen, note: Annotated[str, typer.Option(help="Why.")], json: Json = False
) -> None:
    """Sends a plan back: nothing of it is ever posted; the period can be planned again."""
    _decide(plan_id, by, seen, note, agreed=False, json=json)


def _decide(plan_id: int, by: str, seen: str, note: str, *, agreed: bool, json: bool) -> None:
    with store() as engine, engine.begin() as conn:
        decided = period_plans.decide(conn, plan_id, by, seen, agreed=agreed, note=note)
        found = runs.get(conn, decided.run_id)
    typer.echo(f"plan {plan_id} of {decided.label} is {words(decided.state)} by {decided.decided_by}", err=json)
    if found is not None and found.airflow_run_id is not None:
        typer.echo(
            f"its run {found.airflow_run_id} of {found.airflow_dag_id} goes on in Airflow: answer its task approve "
            "there, or clear that task",
            err=json,
        )
        return
    with open_services(decided.link) as services:
        _told(fiscal_period.decided(services, str(decided.run_id)), json)


def _plan(plan_id: int) -> Plan:
    with store() as engine, engine.connect() as conn:
        found = period_plans.get(conn, plan_id)
    if found is None:
        raise ConfigurationFault(f"no period plan {plan_id}: `tieout period plans` shows them")
    return found


def _told(numbers: dict[str, Any], json: bool) -> None:
    if json:
        show.as_json(numbers)
        return
    _show(_plan(numbers["plan"]), json=False)
    if numbers["changed"]:
        show.console.print(f"{numbers['changed']} records changed since the plan and are left to the next one.")
    show.console.print(f"run {UUID(str(numbers['run_id']))}", markup=False)


def _show(plan: Plan, json: bool) -> None:
    with store() as engine, engine.connect() as conn:
        lines, totals = period_plans.lines(conn, plan.plan_id), period_plans.totals(conn, plan.plan_id)
    if json:
        show.as_json(asdict(plan) | {
            "totals": [asdict(one) for one in totals],
            "lines": [{**asdict(one.line), "state": one.state, "found": one.found} for one in lines],
        })  # fmt: skip
        return
    what = f"{plan.label} of {plan.link}, {plan.first} to {plan.last}"
    sums = [
        (words(one.action), one.currency, one.documents, *(amount(value, one.currency) for value in
         (one.before_minor, one.after_minor, one.held_minor)))
        for one in totals
    ]  # fmt: skip
    columns = ("what", "currency", "documents", "in the ledger", "then in the ledger", "held")
    show.table(f"Plan {plan.plan_id}: {what}", columns, sums, columns[2:])
    rows = [
        (one.line.source_number, words(one.line.action), one.line.customer or one.line.customer_id, one.line.document,
         one.line.currency, amount(one.line.before_minor, one.line.currency or ""),
         amount(one.line.after_minor, one.line.currency or ""), one.line.posting_date, one.line.credit_date,
         one.found or one.line.message or "", one.state)
        for one in lines
    ]  # fmt: skip
    names = ("record", "what", "customer", "document", "currency", "before", "after", "dated", "credited on", "why",
             "state")  # fmt: skip
    show.table("Lines", names, rows, ("before", "after"))
    for sentence in (
        f"{plan.records} records: {len(lines)} above, {plan.unchanged} as they should be, {plan.in_flight} under way; "
        f"{plan.new_customers} customers would be new in the ledger",
        f"state: {'waits for an approval' if plan.waits else words(plan.state)} ({plan.approval_reason})",
        f"hash {plan.hash}",
    ):
        show.console.print(sentence, markup=False, soft_wrap=True)
