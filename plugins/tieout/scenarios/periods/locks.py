"""The link's fiscal periods beside the ledger's own lock dates: what is open, closing, closed, and where they differ.

Tieout's states keep Tieout out of a period; the ledger's lock dates keep everybody out. Tieout reads them and never
sets them. Here: reading both. The states are store/periods.py, what planners make of them is billing.posting_date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from tieout.mapping.load import load_system
from tieout.model.calendar import Calendar, Period
from tieout.model.link import Link
from tieout.model.settings import Settings
from tieout.scenarios.rules import LOCK_DATES, lock_dates
from tieout.store import periods
from tieout.store.periods import PeriodState, Reopening

#: Periods before the present one that are shown where nothing says which; one after it is shown too.
BACK = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One period. `ledger`: locked, partly locked or open there; `reopening`: the one that waits for another person."""

    period: Period
    state: str
    changed_at: datetime | None
    changed_by: str | None
    ledger: str
    reopening: Reopening | None

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "label": self.period.label, "first": self.period.first, "last": self.period.last, "state": self.state,
            "changed_at": self.changed_at, "changed_by": self.changed_by, "ledger": self.ledger,
            "reopening": None if self.reopening is None else asdict(self.reopening),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """A link's periods by first day.

    Attributes:
        today: the present day in the link's time zone.
        lock_dates: rules.LOCK_DATES -> day up to which the ledger is locked, as it was read last.
        findings: where our states and the ledger's lock dates differ, a sentence each.
    """

    link: str
    calendar: str
    today: date
    lock_dates: Mapping[str, date]
    lines: Sequence[Line]
    findings: Sequence[str]

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "link": self.link, "calendar": self.calendar, "today": self.today, "lock_dates": dict(self.lock_dates),
            "periods": [line.plain() for line in self.lines], "findings": list(self.findings),
        }  # fmt: skip


def standing(conn: Connection, settings: Settings, link: Link, calendar: Calendar) -> Standing:
    """The periods from BACK before the present one (earlier, where one of them has a state) to the one after it."""
    mapping = load_system(settings.include / "mappings", link.ledger_system)["organisation"]
    locks = lock_dates(conn, link.ledger, mapping)
    now: datetime = conn.execute(text("select now()")).scalar_one()
    today = now.astimezone(ZoneInfo(link.time_zone)).date()
    states = {one.label: one for one in periods.states(conn, link.name)}
    waiting = {one.label: one for one in periods.reopenings(conn, link.name, undecided=True)}
    until = max(locks.values(), default=None)
    lines = [_line(period, states.get(period.label), until, waiting) for period in _shown(calendar, today, states)]
    return Standing(link.name, calendar.name, today, locks, lines, findings(lines, until, today))


def findings(lines: Sequence[Line], until: date | None, today: date) -> list[str]:
    """Where the link's periods and the ledger's lock (up to `until`) say different things, a sentence each.

    Args:
        lines: by first day.
    """
    found = (left_open(lines, until), left_unclosed(lines, until), locked_ahead(until, today))
    return [one for one in found if one]


def left_open(lines: Sequence[Line], until: date | None) -> str | None:
    """What is closed here and can still be changed in the ledger."""
    unlocked = [line for line in lines if line.state == "closed" and line.ledger != "locked"]
    if not unlocked:
        return None
    how = "not locked at all" if until is None else f"locked up to {until} only"
    return (
        f"{_named(unlocked)} closed here, and the ledger is {how}: whoever may enter documents there can still "
        f"change it; set the ledger's lock date to {unlocked[-1].period.last}"
    )


def left_unclosed(lines: Sequence[Line], until: date | None) -> str | None:
    """What is locked in the ledger and not closed here."""
    unclosed = [line for line in lines if line.state != "closed" and line.ledger == "locked"]
    if not unclosed:
        return None
    return (
        f"{_named(unclosed)} not closed here, and the ledger is locked up to {until}: nothing can be posted there; "
        "close what is finished, or have the ledger unlocked"
    )


def locked_ahead(until: date | None, today: date) -> str | None:
    """A lock date that is not past: nothing of today can be posted."""
    if until is None or until < today:
        return None
    return (
        f"the ledger is locked up to {until}, and today is {today}: nothing dated up to then can be posted; have the "
        "ledger's lock date set to a day that is past"
    )


def _named(lines: Sequence[Line]) -> str:
    if len(lines) == 1:
        return f"{lines[0].period.label} is"
    return f"{len(lines)} periods from {lines[0].period.label} to {lines[-1].period.label} are"


def _shown(calendar: Calendar, today: date, states: Mapping[str, PeriodState]) -> list[Period]:
    """In order of days; a period that the calendar does not have any more is shown as it was kept."""
    present = first = calendar.period_of(today)
    for _ in range(BACK):
        first = calendar.before(first) or first
    last = calendar.after(present) or present
    kept = [Period(one.first, one.last, one.label, one.last.year, 0) for one in states.values()]
    days = [first.first, last.first, *(one.first for one in kept)]
    shown = {one.label: one for one in kept} | {one.label: one for one in calendar.between(min(days), max(days))}
    return sorted(shown.values())


def _line(period: Period, state: PeriodState | None, until: date | None, waiting: Mapping[str, Reopening]) -> Line:
    ledger = "open" if until is None or until < period.first else "locked" if until >= period.last else "partly locked"
    if state is None:
        return Line(period, "open", None, None, ledger, None)
    return Line(period, state.state, state.changed_at, state.changed_by, ledger, waiting.get(period.label))


def in_words(locks: Mapping[str, date]) -> str:
    """The ledger's lock dates in one sentence."""
    if not locks:
        return "The ledger has no lock date, as it was read last."
    dates = ", ".join(f"{LOCK_DATES[name]} {day}" for name, day in sorted(locks.items()))
    return f"The ledger's own: {dates}, as it was read last."
