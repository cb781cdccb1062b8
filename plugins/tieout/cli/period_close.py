"""Closing fiscal periods from a shell: the report, the checklist, acts about its facts, the close, the recount."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.people import By
from tieout.cli.periods import Label
from tieout.cli.runs import Json, LinkName
from tieout.model.errors import BooksDoNotClose, ConfigurationFault
from tieout.model.settings import load_settings
from tieout.model.tie_out import shown
from tieout.reconcile import period_report
from tieout.reconcile.classes import CLASSES
from tieout.reports.present import moment
from tieout.scenarios import steps
from tieout.scenarios.periods import checklist, closing, control, recount
from tieout.scenarios.periods import report as period_reports
from tieout.scenarios.periods.acts import SUBJECTS, Act
from tieout.scenarios.periods.calendar import calendar_of, of_link
from tieout.scenarios.periods.checklist import Checklist
from tieout.scenarios.services import open_services
from tieout.store import periods

#: Differences that the report lists.
MOST_LINES = 100


def register(app: typer.Typer) -> None:
    """Adds the commands to the group `period`."""
    for name, command in (
        ("report", make_report), ("checklist", show_checklist), ("accept", accept), ("close", close),
        ("recount", count_again),
    ):  # fmt: skip
        app.command(name)(command)


def make_report(link: LinkName, label: Label, json: Json = False) -> None:
    """Makes the report of a period from what is staged, and reads the ledger's control account beside it."""
    with open_services(link) as services:
        period = calendar_of(services).period(label)
        run = UUID(steps.start(services, "period_report", interval=period.bounds(ZoneInfo(services.link.time_zone))))
        numbers = period_reports.make(services, period, run)
        read = control.read(services, period, run)
        numbers["control"] = {"account": read.account, "currency": read.currency, "control": read.control,
                              "subledger": read.subledger, "difference": read.difference}  # fmt: skip
        tied = numbers["state"] == "tied"
        steps.finish(services, run, "succeeded" if tied else "failed", numbers)
    if json:
        show.as_json(numbers)
    else:
        _show_report(numbers["report"])
        show.console.print(
            f"{read.account} is {shown(read.control, read.scale)} {read.currency} at the end of {read.last}, the open "
            f"documents come to {shown(read.subledger, read.scale)}", markup=False, soft_wrap=True,
        )  # fmt: skip
    if not tied:
        raise BooksDoNotClose(
            f"period report {numbers['report']} of {label}: the differences do not explain it in full"
        )


def show_checklist(link: LinkName, label: Label, json: Json = False) -> None:
    """Shows what keeps a period from being closed, fact by fact."""
    found = _checklist(link, label)
    if json:
        show.as_json(found.plain())
        return
    rows = [
        ("yes" if one.ok else "accepted" if one.accepted else "NO", one.title, one.found,
         f"{one.accepted.actor}: {one.accepted.note}" if one.accepted else one.remedy,
         f"fact:{one.name}" if not one.met and one.name in checklist.ACCEPTABLE else "")
        for one in found.facts
    ]  # fmt: skip
    show.table(f"Checklist of {label} of {link}", ("holds", "fact", "found", "what to do", "to accept"), rows)
    open_ = [(one.subject, shown(one.line.amount, one.line.scale), one.line.currency, CLASSES[one.line.class_].words,
              one.carried.note if one.carried else "", one.line.explanation) for one in found.breaks]  # fmt: skip
    if open_:
        show.table("Breaks", ("to carry forward", "amount", "currency", "class", "carried", "what differs"), open_,
                   ("amount",))  # fmt: skip
    over = [(one.subject, shown(one.before, one.scale), shown(one.now, one.scale), shown(one.change, one.scale),
             "" if one.percent is None else f"{one.percent} %", one.explained.note if one.explained else "")
            for one in found.variances if one.over]  # fmt: skip
    if over:
        columns = ("to explain", "before", "now", "change", "percent", "explained")
        show.table("Variances over the threshold", columns, over, columns[1:5])


def accept(
    link: LinkName,
    label: Label,
    subject: Annotated[str, typer.Argument(help="As the checklist names it: break:..., variance:... or fact:...")],
    by: By,
    note: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """Carries a break forward, explains a variance, or accepts an exception: for just what the checklist found."""
    acts: dict[str, Act] = {prefix: act for act, prefix in SUBJECTS.items()}
    act = acts.get(subject.partition(":")[0] + ":")
    if act is None:
        raise ConfigurationFault(f"{subject}: expected a subject that begins with {', '.join(acts)}")
    found = _checklist(link, label)
    with store() as engine, engine.begin() as conn:
        made = closing.accept(conn, found, act, subject, by, note)
    typer.echo(f"act {made}: {subject} of {label} is {act.replace('_', ' ')}")


def close(link: LinkName, label: Label, by: By) -> None:
    """Closes a period whose checklist holds; another person than the one who began closing it."""
    with open_services(link, actor=by) as services:
        event = closing.close(services, label, by)
    typer.echo(f"{label} of {link} is closed (event {event})")


def count_again(
    link: LinkName, label: Annotated[str | None, typer.Argument(help="Only this period.")] = None, json: Json = False
) -> None:
    """Counts the closed periods of a link anew from what is staged: what moved since they were closed, and by whom."""
    with open_services(link) as services:
        with services.engine.connect() as conn:
            closed = [one for one in periods.closed(conn, link) if label in (None, one.label)]
        if not closed:
            raise ConfigurationFault(f"link {link} has no closed period{f' {label}' if label else ''}")
        run = UUID(steps.start(services, "period_report"))
        made = [recount.recount(services, closing.of_state(one), run) for one in closed]
        numbers = {"closed": [{"period": one.label, "moved": one.moved, "said": one.in_words} for one in made]}
        steps.finish(services, run, "succeeded", numbers)
        with services.engine.connect() as conn:
            moved = {one.label: recount.told(conn, one.recount_id) for one in made}
    if json:
        show.as_json(numbers)
        return
    for one in made:
        show.console.print(one.in_words, markup=False, soft_wrap=True)
        rows = [
            ("CRM" if each.side == "a" else "ledger", each.area, each.label or each.key,
             "" if each.before is None else shown(each.before, each.scale),
             "" if each.after is None else shown(each.after, each.scale), each.currency,
             moment(each.since) if each.since else "", each.actor, each.how)
            for each in moved[one.label]
        ]  # fmt: skip
        if rows:
            columns = ("side", "area", "document", "before", "now", "currency", "since (UTC)", "by", "what")
            show.table(f"What moved in {one.label}", columns, rows, ("before", "now"))


def _checklist(link: str, label: str) -> Checklist:
    settings = load_settings()
    found, calendar = of_link(settings, link)
    period = calendar.period(label)
    with store() as engine, engine.connect() as conn:
        return checklist.evaluate(conn, settings, found, period, calendar.before(period))


def _show_report(report_id: int) -> None:
    with store() as engine, engine.connect() as conn:
        report = period_report.get(conn, report_id)
        totals, lines = period_report.totals(conn, report_id), period_report.lines(conn, report_id, MOST_LINES)
    rows = [
        (one.area, one.currency, one.a_count, one.text(one.a_amount), one.b_count, one.text(one.b_amount),
         one.text(one.a_amount - one.b_amount), one.text(one.explained), one.text(one.unexplained))
        for one in totals
    ]  # fmt: skip
    columns = ("area", "currency", "CRM", "CRM amount", "ledger", "ledger amount", "difference", "explained",
               "unexplained")  # fmt: skip
    show.table(f"{report.label} of {report.link}, {report.first} to {report.last}: {report.state}", columns, rows,
               columns[2:])  # fmt: skip
    if lines:
        show.table(
            "Differences", ("area", "class", "amount", "currency", "what differs"),
            [(one.area, CLASSES[one.class_].words, shown(one.amount, one.scale), one.currency, one.explanation)
             for one in lines], ("amount",),
        )  # fmt: skip
    show.console.print(f"period report {report.report_id}, hash {report.hash}", markup=False, soft_wrap=True)
