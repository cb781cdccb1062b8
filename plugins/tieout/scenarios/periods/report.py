"""Makes the report of one period from what is staged; reads no system, and touches no break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from tieout.model.calendar import Period
from tieout.reconcile import differences, items, match, period_report, record
from tieout.reconcile.period_report import PeriodReport
from tieout.reconcile.rules import Rules, load_rules, rules_hash
from tieout.scenarios import reconciliation
from tieout.scenarios.periods import days, scope
from tieout.scenarios.services import Services
from tieout.scenarios.steps import Numbers
from tieout.store import runs


def make(services: Services, period: Period, run_id: UUID, known_at: datetime | None = None) -> Numbers:
    """The report of a period, in one transaction; a newer one replaces an older one for readers.

    Args:
        run_id: the sync run that makes it.
        known_at: as both systems were staged at this instant; None: now.

    Returns:
        report (its id), period, state (tied, untied), hash, totals [{area, currency, scale, a_amount, b_amount,
        explained, unexplained}].
    """
    rules = load_rules(services.settings.include).for_link(services.link)
    at = known_at or reconciliation.clock(services)
    counted = count(services, period, at)
    with services.engine.begin() as conn:
        fill(conn, counted)
        report = period_report.open_report(
            conn, services.link.name, period.label, (period.first, period.last), at, run_id,
            rules_hash(rules, services.link), services.mapping_hash, runs.current_code_version(),
        )  # fmt: skip
        report = _compare(conn, counted.books, rules, report)
        found = period_report.totals(conn, report.report_id)
    return period_report.plain(report, found)


@dataclass(frozen=True, slots=True)
class Counted:
    """Both sides of a period; `frames`: (of the CRM, of the ledger) for each group of areas."""

    books: days.PeriodBooks
    frames: Sequence[tuple[Any, Any]]


def count(services: Services, period: Period, at: datetime) -> Counted:
    """Counts both sides of a period as they were staged at an instant."""
    with services.engine.begin() as conn:
        found = scope.find(conn, services, period, at)
    books = days.PeriodBooks(services, period.last, at, scope=found)
    return Counted(books, days.items(books))


def fill(conn: Connection, counted: Counted) -> None:
    """Puts them into the tables of items (reconcile/items.py), for the rest of the transaction."""
    items.create(conn)
    for number, side in enumerate(items.SIDES):
        for one in counted.frames:
            items.fill(conn, side, one[number])
    items.ready(conn)


def _compare(conn: Connection, books: days.PeriodBooks, rules: Rules, report: PeriodReport) -> PeriodReport:
    link = books.services.link
    match.match(conn, link.name, rules, link.reconciliation.days, books.known_at)
    record.create_differences(conn)
    differences.find(conn, rules, reconciliation.context(conn, books))
    period_report.place(conn, report.first, report.last)
    return period_report.write(conn, report)
