"""Fiscal calendars: the periods of a link or of a file, with the instants at which they begin and end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from tieout.cli import show
from tieout.cli.runs import Json
from tieout.mapping.load import load_calendar
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import load_settings
from tieout.scenarios.periods.calendar import lines, year_of
from tieout.scenarios.services import find_link


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("calendar")(calendar)


def calendar(
    link: Annotated[str | None, typer.Argument(help="The link, as its file in include/links is named.")] = None,
    file: Annotated[
        str | None, typer.Option(help="A calendar of include/calendars instead, its instants as days in UTC.")
    ] = None,
    year: Annotated[int | None, typer.Option(help="The fiscal year; without it, the present one.")] = None,
    json: Json = False,
) -> None:
    """The fiscal periods of a link: label, days, weeks, and the instants in UTC; * marks the present one."""
    if (link is None) == (file is None):
        raise ConfigurationFault("name a link, or a calendar with --file: one of the two; `tieout links` shows them")
    settings = load_settings()
    chosen = find_link(settings, link) if link else None
    zone = ZoneInfo(chosen.time_zone if chosen else "UTC")
    found = load_calendar(settings.include, chosen.calendar if chosen else str(file))
    now = datetime.now(UTC)
    shown = year if year is not None else year_of(found, zone, now)
    periods = lines(found, zone, shown, now)
    if json:
        show.as_json(
            [
                {"label": one.period.label, "first": one.period.first, "last": one.period.last, "weeks": one.weeks,
                 "days": one.period.days, "begin": one.begin, "end": one.end, "current": one.current}
                for one in periods
            ]
        )  # fmt: skip
        return
    rows = [
        (one.period.label + "*" * one.current, one.period.first, one.period.last, one.weeks, one.period.days,
         f"{one.begin:%Y-%m-%d %H:%M}", f"{one.end:%Y-%m-%d %H:%M}")
        for one in periods
    ]  # fmt: skip
    columns = ("period", "first day", "last day", "weeks", "days", "begin, UTC", "end, UTC")
    whose = f" of {chosen.name}" if chosen else ""
    title = f"Fiscal year {shown}{whose}: calendar {found.name}, days in {zone.key}"
    show.table(title, columns, rows, ("weeks", "days"))
