"""Reports: opened, closed with the hash that is signed, found again. What is in one is written by record.py.

Of a day the newest finished report counts. Its roll-forward opens with the newest finished report of the newest earlier
day: a rerun of a day replaces that day's, it does not add to it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.engine import Connection

from tieout.model.errors import Fatal
from tieout.model.identity import canonical_json
from tieout.store import audit
from tieout.store.reconcile_tables import report as table

#: Rows fetched at a time when a report's items are hashed.
BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Report:
    """One row of `tieout.report`. `untied`: something stays unexplained; `hash` is None while it is running."""

    report_id: int
    link: str
    as_of: date
    known_at: datetime
    run_id: UUID
    previous_report_id: int | None
    rules_hash: str
    mapping_hash: str
    code_version: str
    state: Literal["running", "tied", "untied"]
    hash: str | None
    started_at: datetime
    finished_at: datetime | None


class NoSuchReport(Fatal):
    """There is no report of that id, or of that day; the message says what to do."""


_COLUMNS = [table.c[name] for name in Report.__dataclass_fields__]


def open_report(
    conn: Connection,
    link: str,
    as_of: date,
    known_at: datetime,
    run_id: UUID,
    rules_hash: str,
    mapping_hash: str,
    code_version: str,
) -> Report:
    """A new report of a day, without figures yet."""
    values = {
        "link": link, "as_of": as_of, "known_at": known_at, "run_id": run_id, "rules_hash": rules_hash,
        "mapping_hash": mapping_hash, "code_version": code_version,
        "previous_report_id": _id(before(conn, link, as_of)),
    }  # fmt: skip
    return Report(*conn.execute(sa.insert(table).values(**values).returning(*_COLUMNS)).one())


def get(conn: Connection, report_id: int) -> Report:
    """The report of an id.

    Raises:
        NoSuchReport: there is none.
    """
    row = conn.execute(sa.select(*_COLUMNS).where(table.c.report_id == report_id)).one_or_none()
    if row is None:
        raise NoSuchReport(f"there is no report {report_id}: `tieout reconcile show` lists a link's")
    return Report(*row)


def newest(conn: Connection, link: str, as_of: date | None = None) -> Report | None:
    """The finished report that counts of a day; of the newest day where none is named. None where there is none."""
    query = _finished(link).order_by(table.c.as_of.desc(), table.c.report_id.desc()).limit(1)
    if as_of is not None:
        query = query.where(table.c.as_of == as_of)
    row = conn.execute(query).one_or_none()
    return None if row is None else Report(*row)


def of_run(conn: Connection, run_id: UUID) -> Report | None:
    """The newest report that a sync run made, finished or not: what a step that is tried again asks first."""
    query = sa.select(*_COLUMNS).where(table.c.run_id == run_id).order_by(table.c.report_id.desc()).limit(1)
    row = conn.execute(query).one_or_none()
    return None if row is None else Report(*row)


def previous(conn: Connection, report: Report) -> Report | None:
    """The report that its roll-forward opens with; None for the first one."""
    return None if report.previous_report_id is None else get(conn, report.previous_report_id)


def before(conn: Connection, link: str, as_of: date) -> Report | None:
    """The newest finished report of the newest day before `as_of`; None where there is none."""
    query = _finished(link).where(table.c.as_of < as_of).order_by(table.c.as_of.desc(), table.c.report_id.desc())
    row = conn.execute(query.limit(1)).one_or_none()
    return None if row is None else Report(*row)


def days(conn: Connection, link: str, first: date, last: date) -> list[Report]:
    """The report that counts of each day from `first` to `last`, in order; days without one are left out."""
    query = (
        _finished(link)
        .where(table.c.as_of.between(first, last))
        .ext(distinct_on(table.c.as_of))
        .order_by(table.c.as_of, table.c.report_id.desc())
    )
    return [Report(*row) for row in conn.execute(query)]


def opens_with(conn: Connection, report: Report) -> Report:
    """The running report with the one that its roll-forward opens with, as things stand now.

    Another day's may have finished since it was opened.
    """
    row = conn.execute(
        sa.update(table)
        .where(table.c.report_id == report.report_id)
        .values(previous_report_id=_id(before(conn, report.link, report.as_of)))
        .returning(*_COLUMNS)
    ).one_or_none()
    if row is None:
        raise NoSuchReport(f"there is no report {report.report_id}")
    return Report(*row)


def finish(conn: Connection, report: Report) -> Report:
    """Closes a report: tied only where nothing stays unexplained. From here on the database keeps it as it is. Audited.

    Sign-offs of the day whose hash is another are suspended by the database in the same statement.
    """
    unexplained = conn.execute(
        sa.text("select count(*) from tieout.report_total where report_id = :report and unexplained <> 0"),
        {"report": report.report_id},
    ).scalar_one()
    closed = conn.execute(
        sa.update(table)
        .where(table.c.report_id == report.report_id)
        .values(
            state="untied" if unexplained else "tied", hash=facts_hash(conn, report), finished_at=sa.func.now()
        )
        .returning(*_COLUMNS)
    ).one()  # fmt: skip
    found = Report(*closed)
    detail = {"as_of": found.as_of, "state": found.state, "hash": found.hash}
    subject = f"report:{found.report_id}"
    audit.append(conn, f"link:{found.link}", [audit.Event("tieout", "report.finished", subject, detail, found.run_id)])
    return found


def facts_hash(conn: Connection, report: Report) -> str:
    """SHA-256 of what a report says: never of ids, times, or what an earlier report said.

    So a rerun that finds the same under the same rules has the same hash, and what was signed stays signed.
    """
    digest = hashlib.sha256(canonical_json(["tieout report 1", report.link, report.as_of.isoformat(),
                                            report.rules_hash]))  # fmt: skip
    for name, query in _FACTS.items():
        rows = conn.execute(sa.text(query), {"report": report.report_id}, execution_options={"yield_per": BATCH})
        for row in rows:
            digest.update(b"\n" + canonical_json([name, *map(_plain, row)]))
    return digest.hexdigest()


# Sorted by bytes: another server's language would give another order.
_FACTS = {
    "total": """
        select area, currency, scale, a_count, b_count, a_amount, b_amount, explained from tieout.report_total
        where report_id = :report order by area collate "C", currency collate "C" """,
    "class": """
        select area, currency, class, count, amount, within_tolerance from tieout.report_class
        where report_id = :report order by area collate "C", currency collate "C", class collate "C" """,
    "item": """
        select b.identity, i.class, i.currency, i.amount from tieout.report_item i join tieout.break b using (break_id)
        where i.report_id = :report order by b.identity collate "C" """,
}


def _plain(value: Any) -> str | None:
    return None if value is None else str(value)


def _finished(link: str) -> sa.Select[Any]:
    return sa.select(*_COLUMNS).where(table.c.link == link, table.c.state != "running")


def _id(report: Report | None) -> int | None:
    return None if report is None else report.report_id
