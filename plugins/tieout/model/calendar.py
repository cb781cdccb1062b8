"""Fiscal calendars: which period a day belongs to, and from which instant to which one a period lasts.

A calendar is a rule, or dates, from include/calendars/<name>.yaml (mapping/calendars.py reads the files). Every day of
the fiscal years FIRST_YEAR to LAST_YEAR, or of a custom calendar's own years, is in exactly one period. A day has no
time zone here; `Period.bounds` takes the link's. No file is read and nothing but pydantic is imported: DAG files and
the timetable use this.

Kinds, and the keys of each:

    months      year_starts: 1..12; year_named: ends | begins
    weeks       pattern: 4-4-5 | 4-5-4 | 5-4-4; year_ends: {weekday, month, rule: last | nearest}; year_named;
                week_53: number of the period that takes the 53rd week, default the last
    four_weeks  13 periods of 4 weeks; year_ends, year_named, week_53 as above
    custom      years: {2026: [{first, last, label}, ...]}; label may be left out

52/53-week years end by a rule (US Treasury Regulation 1.441-2): on the last <weekday> of a month, or on the <weekday>
that is nearest to the month's last day, which may lie in the next month. A year is named after the calendar year of
that month (`ends`), or after that of the month in which the year begins (`begins`).
"""

from __future__ import annotations

import calendar as months
import difflib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tieout.model.errors import ConfigurationFault

#: Fiscal years of the calendars that are rules: more than any books here go back or ahead, so that every loop ends.
FIRST_YEAR, LAST_YEAR = 1990, 2099

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: Weeks of the periods of a year of 52 weeks.
PATTERNS = {"4-4-5": (4, 4, 5) * 4, "4-5-4": (4, 5, 4) * 4, "5-4-4": (5, 4, 4) * 4}
THIRTEEN = (4,) * 13
#: What a link has that names no calendar. It needs no file; a file of that name is taken in its place.
DEFAULT = "calendar_months"
#: A label stands in run ids, addresses and file names.
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
DAY = timedelta(days=1)

#: Where in a definition something is wrong: keys and list positions from the outside in.
Place = tuple[str | int, ...]


class OutOfCalendar(ConfigurationFault):
    """A day for which the calendar has no period."""


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """One fiscal period.

    Attributes:
        first, last: its days, both inclusive, in the link's time zone.
        label: `FY2026-P05`; unique in its calendar. Custom calendars may have labels of their own.
        year: the fiscal year's name.
        number: from 1 in its year.
    """

    first: date
    last: date
    label: str
    year: int
    number: int

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The instants [begin, end) in UTC: the first one of its first day in `zone`, and of the day after its last.

        Where a change of the clock skips midnight, the day begins with the change; where midnight comes twice, with the
        first. So the end of a period is always the begin of the next.
        """
        return _midnight(self.first, zone), _midnight(self.last + DAY, zone)


class _Definition(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Months(_Definition):
    """Calendar months; the fiscal year starts on the first of a month."""

    kind: Literal["months"]
    year_starts: Annotated[int, Field(ge=1, le=12)] = 1
    year_named: Literal["ends", "begins"] = "ends"


class YearEnd(_Definition):
    """The day on which a fiscal year of 52 or 53 weeks ends."""

    weekday: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    month: Annotated[int, Field(ge=1, le=12)]
    rule: Literal["last", "nearest"]

    def day(self, year: int) -> date:
        """The end of the fiscal year whose last month is `month` of the calendar year `year`."""
        end = date(year, self.month, months.monthrange(year, self.month)[1])
        last = end - timedelta(days=(end.weekday() - WEEKDAYS.index(self.weekday)) % 7)
        # A week is an odd number of days, so one of the two is always nearer.
        return last + timedelta(days=7) if self.rule == "nearest" and (end - last).days > 3 else last


class _WholeWeeks(_Definition):
    year_ends: YearEnd
    year_named: Literal["ends", "begins"] = "ends"


class Weeks(_WholeWeeks):
    """Four quarters of thirteen weeks, each of three periods."""

    kind: Literal["weeks"]
    pattern: Literal["4-4-5", "4-5-4", "5-4-4"]
    week_53: Annotated[int, Field(ge=1, le=12)] = 12


class FourWeeks(_WholeWeeks):
    """Thirteen periods of four weeks."""

    kind: Literal["four_weeks"]
    week_53: Annotated[int, Field(ge=1, le=13)] = 13


class Dates(_Definition):
    """One period of a custom calendar; without a label it is named as those of the other calendars are."""

    first: date
    last: date
    label: str | None = None


class Custom(_Definition):
    """The periods of each fiscal year, as the file has them."""

    kind: Literal["custom"]
    years: dict[int, tuple[Dates, ...]]


Definition = Months | Weeks | FourWeeks | Custom
KINDS: dict[str, type[Months | Weeks | FourWeeks | Custom]] = {
    "months": Months, "weeks": Weeks, "four_weeks": FourWeeks, "custom": Custom,
}  # fmt: skip


@dataclass(frozen=True)
class Calendar:
    """The periods of a legal entity. Made by `parse`; equal to another one that says the same under the same name."""

    name: str
    definition: Definition

    @cached_property
    def periods(self) -> tuple[Period, ...]:
        """All of them in order, without gap or overlap."""
        return tuple(_periods(self.definition))

    def plain(self) -> dict[str, Any]:
        """The definition as JSON can hold it: `parse(name, plain())` gives the same calendar."""
        return self.definition.model_dump(mode="json")

    def period_of(self, day: date) -> Period:
        """The period that has this day.

        Raises:
            OutOfCalendar: the calendar has no period for it.
        """
        at = bisect_right(self._firsts, day) - 1
        if at < 0 or day > self.periods[at].last:
            raise OutOfCalendar(
                f"calendar {self.name}: no period has the day {day}: it reaches from {self.periods[0].first} "
                f"({self.periods[0].label}) to {self.periods[-1].last} ({self.periods[-1].label})"
            )
        return self.periods[at]

    def period(self, label: str) -> Period:
        """The period of that label.

        Raises:
            ConfigurationFault: there is none; names the labels that come nearest.
        """
        if label in self._by_label:
            return self._by_label[label]
        raise ConfigurationFault(f"calendar {self.name}: no period is named {label!r}; {self._nearest(label)}")

    def between(self, first: date, last: date) -> tuple[Period, ...]:
        """The periods whose first day is in [first, last], in order; none when `last` is before `first`."""
        return self.periods[bisect_left(self._firsts, first) : bisect_right(self._firsts, last)]

    def after(self, period: Period) -> Period | None:
        """The next one, None after the calendar's last."""
        at = self._place(period) + 1
        return self.periods[at] if at < len(self.periods) else None

    def before(self, period: Period) -> Period | None:
        """The one before, None before the calendar's first."""
        at = self._place(period) - 1
        return self.periods[at] if at >= 0 else None

    def year(self, year: int) -> tuple[Period, ...]:
        """The periods of a fiscal year.

        Raises:
            OutOfCalendar: the calendar has no such year.
        """
        found = tuple(period for period in self.periods if period.year == year)
        if not found:
            years = f"FY{self.periods[0].year} to FY{self.periods[-1].year}"
            raise OutOfCalendar(f"calendar {self.name}: no fiscal year {year}: it has {years}")
        return found

    def _nearest(self, label: str) -> str:
        """What may have been meant, in words."""
        digits = re.search(r"(\d{2,4})\D+\d+$", label)
        years = (int(digits[1]), int(digits[1]) + 2000) if digits else ()
        meant = [period for period in self.periods if period.year in years]
        if meant:
            return f"fiscal year {meant[0].year} has {meant[0].label} to {meant[-1].label}"
        near = difflib.get_close_matches(label, self._by_label, n=3, cutoff=0.7)
        if near:
            return f"did you mean {' or '.join(sorted(near))}?"
        return f"it has {self.periods[0].label} to {self.periods[-1].label}"

    def _place(self, period: Period) -> int:
        at = bisect_left(self.periods, period)
        if at == len(self.periods) or self.periods[at] != period:
            raise ConfigurationFault(
                f"calendar {self.name}: {period.label} from {period.first} to {period.last} is no period of it; "
                "expected one of this calendar"
            )
        return at

    @cached_property
    def _firsts(self) -> tuple[date, ...]:
        return tuple(period.first for period in self.periods)

    @cached_property
    def _by_label(self) -> dict[str, Period]:
        return {period.label: period for period in self.periods}


#: The default, for a project without a file of that name.
CALENDAR_MONTHS = Calendar(DEFAULT, Months(kind="months"))


def parse(name: str, data: Mapping[str, Any]) -> Calendar:
    """The calendar of a mapping of plain data: what a YAML or JSON file holds.

    Args:
        name: the calendar's, the stem of its file.

    Raises:
        ConfigurationFault: a line for each fault, `calendar NAME: place: what is wrong`.
    """
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigurationFault(f"calendar {name}: kind: expected {', '.join(KINDS)}, found {kind!r}")
    try:
        definition = KINDS[kind].model_validate(dict(data))
        found = list(problems(definition))
    except ValidationError as error:
        found = [(fault["loc"], f"{fault['msg']}, found {fault['input']!r}") for fault in error.errors()]
    if found:
        raise ConfigurationFault(
            "\n".join(f"calendar {name}: {'.'.join(map(str, place))}: {what}" for place, what in found)
        )
    return Calendar(name, definition)


def problems(definition: Definition) -> Iterator[tuple[Place, str]]:
    """(place, what is wrong) for what types alone cannot find: years without periods, gaps, overlaps, labels."""
    if not isinstance(definition, Custom):
        return
    years = sorted(definition.years)
    if not years:
        yield ("years",), "expected at least one fiscal year, found none"
    for before, year in pairwise(years):
        if year != before + 1:
            yield ("years", str(year)), f"fiscal year {before} is followed by {year}: {before + 1} has no periods"
    labels: dict[str, Place] = {}
    due: date | None = None
    for year in years:
        if not definition.years[year]:
            yield ("years", str(year)), f"fiscal year {year} has no periods"
        for at, dates in enumerate(definition.years[year]):
            place: Place = ("years", str(year), at)
            label = dates.label or _label(year, at + 1)
            yield from ((place, what) for what in _faults(label, dates, due))
            if label in labels:
                yield place, f"{label} is there twice"
            labels[label] = place
            due = dates.last + DAY if dates.last < date.max else None


def _faults(label: str, dates: Dates, due: date | None) -> Iterator[str]:
    if not LABEL.fullmatch(label):
        yield f"a label is up to 40 letters, digits, '.', '_' and '-', found '{label}'"
    if dates.last < dates.first:
        yield f"{label} ends on {dates.last}, before its first day {dates.first}: it would be empty"
    if due and dates.first != due:
        what = f"{'a gap' if dates.first > due else 'an overlap'} of {abs((dates.first - due).days)} day(s)"
        yield f"{label} starts on {dates.first}: {what}; expected {due}, the day after the period before"


def _periods(definition: Definition) -> Iterator[Period]:
    if isinstance(definition, Custom):
        for year in sorted(definition.years):
            for number, dates in enumerate(definition.years[year], 1):
                yield Period(dates.first, dates.last, dates.label or _label(year, number), year, number)
        return
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        starts = _starts(definition, year)
        for number, (first, next_first) in enumerate(pairwise(starts), 1):
            yield Period(first, next_first - DAY, _label(year, number), year, number)


def _starts(definition: Months | Weeks | FourWeeks, year: int) -> Sequence[date]:
    """First days of the year's periods, and of the year after it."""
    if isinstance(definition, Months):
        begins = year - 1 if definition.year_named == "ends" and definition.year_starts > 1 else year
        return [date(begins + at // 12, at % 12 + 1, 1)
                for at in range(definition.year_starts - 1, definition.year_starts + 12)]  # fmt: skip
    ends = year + 1 if definition.year_named == "begins" and definition.year_ends.month < 12 else year
    first = definition.year_ends.day(ends - 1) + DAY
    weeks = list(PATTERNS[definition.pattern] if isinstance(definition, Weeks) else THIRTEEN)
    if (definition.year_ends.day(ends) - first).days + 1 > 7 * sum(weeks):
        weeks[definition.week_53 - 1] += 1
    return [first + timedelta(weeks=past) for past in accumulate(weeks, initial=0)]


def _label(year: int, number: int) -> str:
    return f"FY{year}-P{number:02}"


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
