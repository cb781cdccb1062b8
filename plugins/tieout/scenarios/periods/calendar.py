"""The fiscal calendar of a link: for a step of a run, and as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from tieout.mapping.load import load_calendar
from tieout.model.calendar import Calendar, Period
from tieout.model.link import Link
from tieout.model.settings import Settings
from tieout.scenarios.services import Services, find_link


@dataclass(frozen=True, slots=True)
class Line:
    """A period as people read it.

    Attributes:
        begin, end: the instants [begin, end) in UTC.
        current: it has the instant that was asked for.
    """

    period: Period
    begin: datetime
    end: datetime
    current: bool

    @property
    def weeks(self) -> int | None:
        """How many weeks it has; None where they are not whole."""
        return None if self.period.days % 7 else self.period.days // 7


def calendar_of(services: Services) -> Calendar:
    """The link's calendar, as its file says it now.

    Raises:
        ConfigurationFault: there is none of that name, or it does not hold; with file:line.
    """
    return load_calendar(services.settings.include, services.link.calendar)


def of_link(settings: Settings, name: str) -> tuple[Link, Calendar]:
    """A link and its fiscal calendar by the link's name, where there are no services.

    Raises:
        ConfigurationFault: there is no such link or calendar, or it does not hold; with file:line.
    """
    link = find_link(settings, name)
    return link, load_calendar(settings.include, link.calendar)


def year_of(calendar: Calendar, zone: ZoneInfo, now: datetime) -> int:
    """The fiscal year of this instant; the calendar's first or last for one outside of it."""
    first, last = calendar.periods[0], calendar.periods[-1]
    return calendar.period_of(min(max(now.astimezone(zone).date(), first.first), last.last)).year


def lines(calendar: Calendar, zone: ZoneInfo, year: int, now: datetime) -> Sequence[Line]:
    """The periods of a fiscal year.

    Raises:
        OutOfCalendar: the calendar has no such year.
    """
    bounds = [(period, *period.bounds(zone)) for period in calendar.year(year)]
    return [Line(period, begin, end, begin <= now < end) for period, begin, end in bounds]
