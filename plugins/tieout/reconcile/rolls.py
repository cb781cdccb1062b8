"""Roll-forward: opening + new - cleared + changed = closing, by area and currency, of a day and of a period.

A break in another currency than before is cleared in the one and new in the other: currencies never add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.errors import BooksDoNotClose
from tieout.reconcile import report_store
from tieout.reconcile.report_store import NoSuchReport, Report


@dataclass(frozen=True, slots=True)
class Roll:
    """One area and currency, amounts in the currency's minor units (or as the area's scale says)."""

    area: str
    currency: str
    opening_count: int = 0
    opening: int = 0
    new_count: int = 0
    new: int = 0
    cleared_count: int = 0
    cleared: int = 0
    changed: int = 0
    closing_count: int = 0
    closing: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """The roll-forward from the last day before the period to its last day.

    Attributes:
        opened_with: the report before the first day's; None where there is none.
        reports: of each day that has one, in order.
        rolls: what came and went in between stands in both `new` and `cleared`.
    """

    link: str
    first: date
    last: date
    opened_with: Report | None
    reports: tuple[Report, ...]
    rolls: tuple[Roll, ...]


_PARTS = tuple(Roll.__dataclass_fields__)
_BETWEEN = """
select coalesce(n.area, p.area) as area, coalesce(n.currency, p.currency) as currency,
    count(p.break_id) as opening_count, coalesce(sum(p.amount), 0) as opening,
    count(*) filter (where p.break_id is null) as new_count,
    coalesce(sum(n.amount) filter (where p.break_id is null), 0) as new,
    count(*) filter (where n.break_id is null) as cleared_count,
    coalesce(sum(p.amount) filter (where n.break_id is null), 0) as cleared,
    coalesce(sum(n.amount - p.amount), 0) as changed,
    count(n.break_id) as closing_count, coalesce(sum(n.amount), 0) as closing
from (
    select b.area, coalesce(i.currency, b.currency) as currency, i.break_id, i.amount
    from tieout.report_item i join tieout.break b using (break_id) where i.report_id = :previous) p
full join (
    select b.area, coalesce(i.currency, b.currency) as currency, i.break_id, i.amount
    from tieout.report_item i join tieout.break b using (break_id) where i.report_id = :report) n
    on n.break_id = p.break_id and n.currency = p.currency
group by 1, 2
"""
_WRITE = f"insert into tieout.report_roll (report_id, {', '.join(_PARTS)}) select :report, r.* from ({_BETWEEN}) r"  # noqa: S608 - constants of this module


def write(conn: Connection, report: Report) -> None:
    """Writes the roll-forward of a report that has its items: from the report that it opens with to itself."""
    conn.execute(sa.text(_WRITE), {"report": report.report_id, "previous": report.previous_report_id})


def of_report(conn: Connection, report: Report) -> list[Roll]:
    """The roll-forward that a report wrote."""
    rows = conn.execute(
        sa.text(f"select {', '.join(_PARTS)} from tieout.report_roll where report_id = :report order by 1, 2"),  # noqa: S608 - as above
        {"report": report.report_id},
    )
    return [_roll(tuple(row)) for row in rows]


def period(conn: Connection, link: str, first: date, last: date) -> Period:
    """The roll-forward of a period: the days' roll-forwards added up, each day by the report that counts now.

    Where a day was reconciled again after the next one was, the next one's own roll-forward opens with the old report;
    that day is rolled anew here, so that the period closes.

    Raises:
        NoSuchReport: no day of the period has a report.
        BooksDoNotClose: a day does not open with what the one before closed with.
    """
    reports = report_store.days(conn, link, first, last)
    if not reports:
        raise NoSuchReport(f"{link} has no reconciliation from {first} to {last}: `tieout reconcile run` makes one")
    before = report_store.before(conn, link, reports[0].as_of)
    added = {(roll.area, roll.currency): roll for roll in _day(conn, before, reports[0])}
    for earlier, report in pairwise(reports):
        _add(added, _day(conn, earlier, report), report)
    rolls = tuple(added[key] for key in sorted(added))
    return Period(link, first, last, before, tuple(reports), rolls)


def scales(conn: Connection, link: str) -> dict[tuple[str, str], int]:
    """(area, currency) -> the scale of its amounts."""
    rows = conn.execute(
        sa.text(
            "select area, currency, scale from tieout.break where link = :link union "
            "select t.area, t.currency, t.scale from tieout.report_total t join tieout.report r using (report_id) "
            "where r.link = :link"
        ),
        {"link": link},
    )
    return {(row.area, row.currency): row.scale for row in rows}


def _day(conn: Connection, earlier: Report | None, report: Report) -> list[Roll]:
    if report.previous_report_id == (earlier.report_id if earlier else None):
        return of_report(conn, report)
    rows = conn.execute(
        sa.text(_BETWEEN), {"report": report.report_id, "previous": earlier.report_id if earlier else None}
    )
    return [_roll(tuple(row)) for row in rows]


def _add(added: dict[tuple[str, str], Roll], day: Sequence[Roll], report: Report) -> None:
    """Adds a day; an area and currency that one of the two has not is nothing in it."""
    opens = {(roll.area, roll.currency): roll for roll in day}
    for key in added.keys() | opens.keys():
        so_far, roll = added.get(key, Roll(*key)), opens.get(key, Roll(*key))
        if (roll.opening_count, roll.opening) != (so_far.closing_count, so_far.closing):
            raise BooksDoNotClose(
                f"{report.link} {report.as_of}, {' '.join(key).strip()}: the day before closed with "
                f"{so_far.closing_count} breaks of {so_far.closing}, this one opens with "
                f"{roll.opening_count} of {roll.opening}"
            )
        added[key] = Roll(
            *key, so_far.opening_count, so_far.opening, so_far.new_count + roll.new_count, so_far.new + roll.new,
            so_far.cleared_count + roll.cleared_count, so_far.cleared + roll.cleared, so_far.changed + roll.changed,
            roll.closing_count, roll.closing,
        )  # fmt: skip


def _roll(row: Sequence[Any]) -> Roll:
    return Roll(row[0], row[1], *(int(number) for number in row[2:]))
