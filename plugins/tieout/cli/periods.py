"""Fiscal periods of a link: their states beside the ledger's lock dates, closing begun and stopped, reopening by two.

Other commands of this group have files of their own: each adds itself to `app`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.people import By, Note
from tieout.cli.runs import Json, LinkName
from tieout.model.settings import load_settings
from tieout.reports.present import moment, words
from tieout.scenarios.periods import locks
from tieout.scenarios.periods.calendar import of_link
from tieout.scenarios.services import find_link
from tieout.store import periods

app = typer.Typer(help="Fiscal periods: states, locks, closing and reopening.", no_args_is_help=True)
Label = Annotated[str, typer.Argument(help="The period, such as FY2026-P05: `tieout period list LINK` shows them.")]


@app.command("list")
def list_periods(link: LinkName, json: Json = False) -> None:
    """The periods of a link: what each is here and in the ledger, and where the two say different things."""
    settings = load_settings()
    found, calendar = of_link(settings, link)
    with store() as engine, engine.connect() as conn:
        shown = locks.standing(conn, settings, found, calendar)
    if json:
        show.as_json(shown.plain())
        return
    rows = [
        (line.period.label, line.period.first, line.period.last, line.state, line.ledger,
         "" if line.changed_at is None else moment(line.changed_at), line.changed_by or "",
         "" if line.reopening is None else f"{line.reopening.reopening_id}: {line.reopening.asked_by} asks, "
         f"{line.reopening.reason}")
        for line in shown.lines
    ]  # fmt: skip
    columns = ("period", "first day", "last day", "here", "in the ledger", "since (UTC)", "by", "reopening")
    show.table(f"Periods of {link}, calendar {shown.calendar}", columns, rows)
    for sentence in (locks.in_words(shown.lock_dates), *(f"{finding}." for finding in shown.findings)):
        show.console.print(sentence, markup=False, soft_wrap=True)


@app.command("begin-closing")
def begin_closing(link: LinkName, label: Label, by: By, note: Note = "") -> None:
    """Says that a period is being closed; documents may still be dated in it."""
    period = of_link(load_settings(), link)[1].period(label)
    with store() as engine, engine.begin() as conn:
        periods.begin_closing(conn, link, period, by, note)
    typer.echo(f"{label} of {link} is closing")


@app.command("stop-closing")
def stop_closing(link: LinkName, label: Label, by: By, note: Note = "") -> None:
    """Says that a period is not being closed after all."""
    find_link(load_settings(), link)
    with store() as engine, engine.begin() as conn:
        periods.stop_closing(conn, link, label, by, note)
    typer.echo(f"{label} of {link} is open")


@app.command("reopen")
def reopen(link: LinkName, label: Label, by: By, reason: Annotated[str, typer.Option(help="Why.")]) -> None:
    """Asks to reopen a closed period; another person decides."""
    find_link(load_settings(), link)
    with store() as engine, engine.begin() as conn:
        made = periods.ask_to_reopen(conn, link, label, by, reason)
    typer.echo(
        f"reopening {made}: {label} of {link} stays closed until another person agrees: "
        f"`tieout period decide-reopening {made} --agree --by NAME`"
    )


@app.command("decide-reopening")
def decide_reopening(
    reopening_id: Annotated[int, typer.Argument(help="Its number: `tieout period list LINK` shows it.")],
    by: By,
    agree: Annotated[bool, typer.Option("--agree/--refuse", help="Open the period again, or leave it closed.")],
    note: Note = "",
) -> None:
    """Opens a period again that another person asked for, or refuses that; a refusal needs a note."""
    with store() as engine, engine.begin() as conn:
        decided = periods.decide_reopening(conn, reopening_id, by, agree, note)
    typer.echo(f"{decided.label} of {decided.link} {'is open again' if agree else 'stays closed'}")


@app.command("events")
def list_events(
    link: LinkName, label: Annotated[str | None, typer.Argument(help="Only this period.")] = None, json: Json = False
) -> None:
    """What happened to the periods of a link, newest first."""
    find_link(load_settings(), link)
    with store() as engine, engine.connect() as conn:
        found = periods.events(conn, link, label)
    if json:
        show.as_json([asdict(one) for one in found])
        return
    rows = [
        (moment(one.at), one.label, words(one.event), one.actor,
         ", ".join(f"{words(name)} {value}" for name, value in one.detail.items() if value not in (None, "")))
        for one in found
    ]  # fmt: skip
    show.table(f"What happened to the periods of {link}", ("at (UTC)", "period", "what", "who", "more"), rows)
