"""What people do with breaks and reports, in the group `tieout reconcile`: the same functions as the pages call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from sqlalchemy import Connection

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.people import By, Note
from tieout.cli.runs import Json, LinkName
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import load_settings
from tieout.model.tie_out import shown
from tieout.reconcile import attachments, people, report_store, rolls, sign_off
from tieout.reconcile.report_store import Report
from tieout.reconcile.rules import Rules, load_rules
from tieout.reconcile.sign_off import Role
from tieout.scenarios import fixes
from tieout.scenarios.mending import Fix
from tieout.scenarios.services import find_link, open_services

Breaks = Annotated[list[int], typer.Argument(help="Their ids: `tieout reconcile breaks` shows them.")]
BreakId = Annotated[int, typer.Argument(help="Its id: `tieout reconcile breaks` shows it.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The report's day; the newest by default.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to the group."""
    commands = (assign, note, reason, due, move, close, accept, attach, history, overdue, fix, sign, standing)
    for command in commands:
        app.command(command.__name__)(command)
    app.command("roll-forward")(roll_forward)


def assign(
    breaks: Breaks,
    by: By,
    to: Annotated[str | None, typer.Option(help="Whose it is to settle them; nobody's without it.")] = None,
    note: Note = "",
) -> None:
    """Gives breaks to an owner, all of them or none."""
    with store() as engine, engine.begin() as conn:
        _done(people.assign(conn, breaks, to, by, note=note), "assigned")


def note(breaks: Breaks, by: By, text: Annotated[str, typer.Option(help="What there is to say.")]) -> None:
    """Adds a note to breaks, cleared ones too."""
    with store() as engine, engine.begin() as conn:
        _done(people.note(conn, breaks, text, by), "noted")


def reason(breaks: Breaks, by: By, code: Annotated[str, typer.Option(help="One of the rules' reason codes.")]) -> None:
    """Gives breaks a reason code of the rules."""
    with store() as engine, engine.begin() as conn:
        allowed = _rules(conn, breaks).reason_codes
        _done(people.give_reason(conn, breaks, code, by, allowed=allowed), "given a reason")


def due(
    breaks: Breaks,
    by: By,
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day; none without it.")] = None,
) -> None:
    """Sets the day by which breaks are to be settled."""
    with store() as engine, engine.begin() as conn:
        _done(people.set_due(conn, breaks, on.date() if on else None, by), "changed")


def move(
    breaks: Breaks,
    by: By,
    to: Annotated[str, typer.Option(help="open, with_preparer or with_reviewer.")],
    note: Note = "",
) -> None:
    """Hands breaks on to the preparer or the reviewer, or back."""
    with store() as engine, engine.begin() as conn:
        _done(people.move(conn, breaks, to, by, note=note), to.replace("_", " "))


def close(breaks: Breaks, by: By, note: Note = "") -> None:
    """Closes what is with the reviewer, by another person than handed it over; what is still there is opened again."""
    with store() as engine, engine.begin() as conn:
        _done(people.move(conn, breaks, "closed", by, note=note), "closed")


def accept(
    breaks: Breaks,
    by: By,
    code: Annotated[str, typer.Option(help="Why: one of the rules' reason codes.")],
    note: Note = "",
) -> None:
    """Accepts breaks as they are, within the tolerance of their class; they stay in every report."""
    with store() as engine, engine.begin() as conn:
        rules = _rules(conn, breaks)
        done = people.accept(
            conn, breaks, code, by, allowed=rules.reason_codes, tolerance=people.tolerance(rules), note=note
        )
        _done(done, "accepted")


def attach(
    break_id: BreakId,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="At most 5 MiB.")],
    by: By,
) -> None:
    """Keeps a file with a break, as evidence."""
    with store() as engine, engine.begin() as conn:
        added = attachments.attach(conn, break_id, file.name, file.read_bytes(), by)
    typer.echo(f"kept as attachment {added.attachment_id}, sha256 {added.sha256}")


def history(break_id: BreakId, json: Json = False) -> None:
    """All that happened to a break, oldest first."""
    with store() as engine, engine.connect() as conn:
        found = people.get(conn, break_id)
        events = people.history(conn, break_id)
    if json:
        show.as_json([asdict(event) for event in events])
        return
    rows = [
        (f"{event.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", event.actor, event.event.replace("_", " "), event.report_id,
         ", ".join(f"{name} {value}" for name, value in event.detail.items()))
        for event in events
    ]  # fmt: skip
    title = f"Break {break_id}: {found.class_} of {shown(found.amount, found.scale)} {found.currency}"
    show.table(f"{title}, {found.state}", ("at (UTC)", "who", "what", "report", "detail"), rows)


def overdue(link: LinkName) -> None:
    """Breaks that should have been settled by now, the longest overdue first."""
    find_link(load_settings(), link)
    with store() as engine, engine.connect() as conn:
        found = people.overdue(conn, link, datetime.now(UTC).date())
    rows = [
        (one.break_id, one.area, one.class_, shown(one.amount, one.scale), one.currency, one.due_on, one.owner,
         one.state)
        for one in found
    ]  # fmt: skip
    columns = ("break", "area", "class", "amount", "currency", "due on", "owner", "state")
    show.table(f"Overdue in {link}", columns, rows, ("amount",))


def fix(
    breaks: Breaks,
    by: By,
    reason: Annotated[str, typer.Option(help="Why; the approver reads it.")],
    kind: Annotated[
        str | None,
        typer.Option(help="resend, relink, void_duplicate or write_off; what the class proposes by default."),
    ] = None,
    record: Annotated[
        str | None, typer.Option(help="To relink a break that names no record of the CRM: its id or number.")
    ] = None,
) -> None:
    """Proposes what mends breaks, for another person to approve by `tieout rollback approve`. Nothing is done yet."""
    if kind is not None and kind not in get_args(Fix):
        raise ConfigurationFault(f"no fix {kind!r}; expected one of {', '.join(get_args(Fix))}")
    with store() as engine, engine.connect() as conn:
        link = _link_of(conn, breaks)
    wanted = cast("Fix | None", kind)  # it was looked at above
    with open_services(link) as services:
        made = fixes.propose(services, breaks, by=by, reason=reason, kind=wanted, record=record)
    rows = [
        (item.break_id, item.vendor_number, "nothing" if item.action == "none" else item.action.replace("_", " "),
         item.why)
        for item in made.items
    ]  # fmt: skip
    show.table(f"Proposal {made.proposal_id}", ("break", "document", "to be done", "why"), rows)
    typer.echo(f"another person approves it: `tieout rollback show {made.proposal_id}`")


def sign(
    link: LinkName,
    by: By,
    role: Annotated[str, typer.Option("--as", help="preparer or reviewer.")],
    seen: Annotated[str, typer.Option("--hash", help="The hash that was shown, or its first 12 characters.")],
    as_of: Day = None,
    note: Note = "",
) -> None:
    """Signs the report of a day as it was seen. Preparer and reviewer are two people."""
    if role not in get_args(Role):
        raise ConfigurationFault(f"no role {role!r}; expected preparer or reviewer")
    with store() as engine, engine.begin() as conn:
        report = _report(conn, link, as_of)
        made = sign_off.sign(conn, report.report_id, role, by, seen, note)  # type: ignore[arg-type] # checked above
    typer.echo(f"{link} as of {made.as_of} is signed by {made.person} as {made.role}")


def standing(link: LinkName, as_of: Day = None, json: Json = False) -> None:
    """Who signed the report of a day, and what changed where a signature does not hold any more."""
    with store() as engine, engine.connect() as conn:
        report = _report(conn, link, as_of)
        found = sign_off.standing(conn, link, report.as_of)
        changed = sign_off.changes_since(conn, found.suspended[0]) if found.suspended else None
    if json:
        show.as_json({**asdict(found), "complete": found.complete, "changed": asdict(changed) if changed else None})
        return
    signed = [one for one in (found.preparer, found.reviewer) if one is not None]
    rows = [
        (one.role, one.person, f"{one.signed_at.astimezone(UTC):%Y-%m-%d %H:%M}",
         "holds" if one.suspended_by is None else f"suspended by report {one.suspended_by}", one.note)
        for one in (*signed, *found.suspended)
    ]  # fmt: skip
    show.table(f"Sign-off of {link} as of {report.as_of}", ("role", "person", "at (UTC)", "standing", "note"), rows)
    if changed is not None and not found.complete:
        lines_ = [
            (one.break_id, one.what, one.area, one.after_class or one.before_class,
             *("" if amount is None else shown(amount, one.scale) for amount in (one.before, one.after)),
             one.after_currency or one.before_currency, one.customer_name)
            for one in changed.changes
        ]  # fmt: skip
        columns = ("break", "what", "area", "class", "signed", "now", "currency", "customer")
        show.table(f"{changed.count} changed since it was signed", columns, lines_, ("signed", "now"))
    typer.echo(f"report {report.report_id}, {report.state}, hash {report.hash}")


def roll_forward(
    link: LinkName,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The period's first day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The period's last day.")],
    json: Json = False,
) -> None:
    """Opening, new, cleared, changed and closing of the breaks over a period, by area and currency."""
    find_link(load_settings(), link)
    with store() as engine, engine.connect() as conn:
        found = rolls.period(conn, link, first.date(), last.date())
        scales = rolls.scales(conn, link)
    if json:
        show.as_json(asdict(found))
        return
    amounts = ("opening", "new", "cleared", "changed", "closing")
    rows = [
        (one.area, one.currency, one.opening_count, one.new_count, one.cleared_count, one.closing_count,
         *(shown(getattr(one, name), scales[one.area, one.currency]) for name in amounts))
        for one in found.rolls
    ]  # fmt: skip
    columns = ("area", "currency", "breaks before", "came", "went", "breaks after", *amounts)
    opened = f"opens with report {found.opened_with.report_id}" if found.opened_with else "opens with nothing"
    show.table(f"Breaks of {link} from {found.first} to {found.last}, {opened}", columns, rows, columns[2:])


def _done(count: int, what: str) -> None:
    typer.echo(f"{count} {what}" if count else "nothing changed: it was so before")


def _link_of(conn: Connection, ids: Sequence[int]) -> str:
    links = {people.get(conn, break_id).link for break_id in ids}
    if len(links) != 1:
        raise ConfigurationFault(f"these breaks are of {len(links)} links; expected one")
    return links.pop()


def _rules(conn: Connection, ids: Sequence[int]) -> Rules:
    """The rules as the link of these breaks has them."""
    settings = load_settings()
    return load_rules(settings.include).for_link(find_link(settings, _link_of(conn, ids)))


def _report(conn: Connection, link: str, as_of: datetime | None) -> Report:
    find_link(load_settings(), link)
    day: date | None = as_of.date() if as_of else None
    report = report_store.newest(conn, link, day)
    if report is None:
        of_day = f" of {day}" if day else ""
        raise ConfigurationFault(f"link {link} has no report{of_day}: `tieout reconcile run {link}` makes one")
    return report
