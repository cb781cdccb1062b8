"""The report of one period: what is dated in it on either side, and what every cent between the two is.

The same items, matches and differences as a day's report (items.py, match.py, differences.py), over what belongs to
the period and what that is joined to. Each difference counts in one period, its home: the period of the day on which
the two sides differ by it, else of the CRM's record. What is dated in this period on one side and in another one on the
other is a difference of component `period` and class `date`, with the amount that it moves. So A - B of a period is
the sum of its differences, and over all periods the moved amounts come to 0 and the rest to the whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.errors import Fatal
from tieout.model.identity import canonical_json
from tieout.model.tie_out import Total
from tieout.reconcile.words import money
from tieout.store import audit
from tieout.store.closing_tables import period_report as table

#: Rows fetched at a time when a report is hashed.
BATCH = 10_000


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """One row of `tieout.period_report`. `untied`: something stays unexplained; `hash` is None while it is running."""

    report_id: int
    link: str
    label: str
    first: date
    last: date
    known_at: datetime
    run_id: UUID
    rules_hash: str
    mapping_hash: str
    code_version: str
    state: Literal["running", "tied", "untied"]
    hash: str | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Line:
    """One difference of a period; amounts in 10^-scale."""

    area: str
    identity: str
    component: str
    class_: str
    currency: str
    scale: int
    amount: int
    within_tolerance: bool
    a_keys: Sequence[str]
    b_keys: Sequence[str]
    customer_name: str | None
    numbers: Sequence[str]
    explanation: str


class NoSuchPeriodReport(Fatal):
    """There is no such report; the message says what to do."""


_COLUMNS = [table.c[name] for name in PeriodReport.__dataclass_fields__]


def open_report(
    conn: Connection, link: str, label: str, days: tuple[date, date], known_at: datetime, run_id: UUID,
    rules_hash: str, mapping_hash: str, code_version: str,
) -> PeriodReport:  # fmt: skip
    """A new report of a period, without figures yet. `days`: its first and last one."""
    values = {
        "link": link, "label": label, "first": days[0], "last": days[1], "known_at": known_at, "run_id": run_id,
        "rules_hash": rules_hash, "mapping_hash": mapping_hash, "code_version": code_version,
    }  # fmt: skip
    return PeriodReport(*conn.execute(sa.insert(table).values(**values).returning(*_COLUMNS)).one())


def get(conn: Connection, report_id: int) -> PeriodReport:
    """The report of an id.

    Raises:
        NoSuchPeriodReport: there is none.
    """
    row = conn.execute(sa.select(*_COLUMNS).where(table.c.report_id == report_id)).one_or_none()
    if row is None:
        raise NoSuchPeriodReport(f"there is no period report {report_id}: `tieout period report` makes one")
    return PeriodReport(*row)


def newest(conn: Connection, link: str, label: str) -> PeriodReport | None:
    """The finished report that counts of a period; None where there is none."""
    query = (
        sa.select(*_COLUMNS)
        .where(table.c.link == link, table.c.label == label, table.c.state != "running")
        .order_by(table.c.report_id.desc())
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else PeriodReport(*row)


def totals(conn: Connection, report_id: int) -> list[Total]:
    """Every area and currency of a report."""
    rows = conn.execute(
        sa.text(
            "select area, currency, scale, a_count, b_count, a_amount, b_amount, explained, unexplained "
            "from tieout.period_report_total where report_id = :report order by area, currency"
        ),
        {"report": report_id},
    )
    return [Total(row[0], row[1], *(int(value) for value in row[2:])) for row in rows]


def lines(conn: Connection, report_id: int, most: int | None = None) -> list[Line]:
    """The differences of a report by area and currency, the largest first."""
    rows = conn.execute(
        sa.text(
            "select area, identity, component, class, currency, scale, amount, within_tolerance, a_keys, b_keys, "
            "customer_name, numbers, explanation from tieout.period_report_item where report_id = :report "
            "order by area, currency, abs(amount) desc, identity limit :most"
        ),
        {"report": report_id, "most": most},
    )
    return [Line(*row) for row in rows]


# --- making one -------------------------------------------------------------------------------------------------------


def place(conn: Connection, first: date, last: date) -> None:
    """Makes of `recon_difference` (differences.find, in the same transaction) the differences of one period."""
    values = {"first": first, "last": last}
    for statement in (*_DAYS, _HOME, "create index on recon_home (area, match_key)", "analyze recon_home", _ELSEWHERE):
        conn.execute(sa.text(statement), values)
    conn.execute(sa.text(_MOVED), values)


def write(conn: Connection, report: PeriodReport) -> PeriodReport:
    """Writes totals, documents and differences of a running report and finishes it. Audited.

    Returns:
        The report: tied only where nothing stays unexplained. From here on the database keeps it as it is.
    """
    values = {"report": report.report_id, "first": report.first, "last": report.last}
    for statement in (_TOTAL, _DOCUMENT, _ITEM, _EXPLAINED):
        conn.execute(sa.text(statement), values)
    unexplained = conn.execute(
        sa.text("select count(*) from tieout.period_report_total where report_id = :report and unexplained <> 0"),
        {"report": report.report_id},
    ).scalar_one()
    closed = conn.execute(
        sa.update(table)
        .where(table.c.report_id == report.report_id)
        .values(state="untied" if unexplained else "tied", hash=_hash(conn, report), finished_at=sa.func.now())
        .returning(*_COLUMNS)
    ).one()
    found = PeriodReport(*closed)
    detail = {"period": found.label, "first": found.first, "last": found.last, "known_at": found.known_at,
              "state": found.state, "hash": found.hash}  # fmt: skip
    event = audit.Event("tieout", "period_report.finished", f"period_report:{found.report_id}", detail, found.run_id)
    audit.append(conn, f"link:{found.link}", [event])
    return found


def _hash(conn: Connection, report: PeriodReport) -> str:
    """SHA-256 of what a report says, never of ids or times: the same facts under the same rules give the same."""
    digest = hashlib.sha256(canonical_json(["tieout period report 1", report.link, report.label,
                                            report.first.isoformat(), report.last.isoformat(),
                                            report.rules_hash]))  # fmt: skip
    for name, query in _FACTS.items():
        found = conn.execute(sa.text(query), {"report": report.report_id}, execution_options={"yield_per": BATCH})
        for row in found:
            digest.update(b"\n" + canonical_json([name, *(None if one is None else str(one) for one in row)]))
    return digest.hexdigest()


# Sorted by bytes: another server's language would give another order.
_FACTS = {
    "total": """
        select area, currency, scale, a_count, b_count, a_amount, b_amount, explained from tieout.period_report_total
        where report_id = :report order by area collate "C", currency collate "C" """,
    "item": """
        select identity, class, currency, amount from tieout.period_report_item
        where report_id = :report order by identity collate "C" """,
    "document": """
        select side, area, key, currency, scale, amount, day from tieout.period_report_document
        where report_id = :report order by side, area collate "C", key collate "C", currency collate "C" """,
}

# Every item that counts with the key that it is matched by in the end: what differs has that in `recon_left_*`.
_DAYS = (
    """
    create temp table recon_day on commit drop as
    with differing as (select distinct area, match_key from recon_group),
    items as (
        select 'a' as side, area, match_key, key, currency, scale, amount, day, label, customer_name from recon_a i
            where live and not exists (select from differing d where d.area = i.area and d.match_key = i.match_key)
        union all select 'a', area, match_key, key, currency, scale, amount, day, label, customer_name
            from recon_left_a where live
        union all select 'b', area, match_key, key, currency, scale, amount, day, label, customer_name from recon_b i
            where live and not exists (select from differing d where d.area = i.area and d.match_key = i.match_key)
        union all select 'b', area, match_key, key, currency, scale, amount, day, label, customer_name
            from recon_left_b where live)
    select * from items
    """,
    "create index on recon_day (area, match_key)",
    "analyze recon_day",
)

# Of each pair and currency the whole difference, its home, and what both sides come to inside and outside.
_HOME = """
create temp table recon_home on commit drop as
with by_day as (
    select area, match_key, currency, max(scale) as scale, day, bool_or(side = 'a') as of_a,
        sum(amount) filter (where side = 'a') as a, sum(amount) filter (where side = 'b') as b
    from recon_day group by area, match_key, currency, day),
pairs as (
    select area, match_key, currency, max(scale) as scale, coalesce(sum(a), 0) - coalesce(sum(b), 0) as whole,
        coalesce(sum(a) filter (where day between :first and :last), 0) as a_in,
        coalesce(sum(b) filter (where day between :first and :last), 0) as b_in,
        coalesce(sum(a) filter (where day not between :first and :last), 0) as a_out,
        coalesce(sum(b) filter (where day not between :first and :last), 0) as b_out,
        min(day) filter (where of_a) as a_day, min(day) as any_day
    from by_day group by area, match_key, currency)
select p.*, coalesce((select min(d.day) from by_day d where d.area = p.area and d.match_key = p.match_key
        and d.currency = p.currency and p.whole <> 0 and coalesce(d.a, 0) - coalesce(d.b, 0) = p.whole),
    a_day, any_day) as home
from pairs p
"""

# Differences that count in another period. One without an amount goes with the money of its pair.
_ELSEWHERE = """
delete from recon_difference r using recon_found f
where f.identity = r.identity and coalesce(
    (select home from recon_home h where h.area = f.area and h.match_key = f.match_key and h.currency = f.currency),
    (select min(home) from recon_home h where h.area = f.area and h.match_key = f.match_key))
    not between :first and :last
"""

_MOVED = f"""
insert into recon_difference (area, identity, component, class, currency, scale, amount, a_keys, b_keys, customer_name,
    fields, explanation)
select h.area, encode(sha256(convert_to(h.area || '|period|' || coalesce(s.a_keys[1], s.b_keys[1]) || '|' || h.currency,
        'UTF8')), 'hex'),
    'period', 'date', h.currency, h.scale, m.amount, s.a_keys, s.b_keys, s.customer_name, '["period"]',
    upper(left(s.documents, 1)) || substr(s.documents, 2) || coalesce(' of ' || s.customer_name, '') || ': '
        || {money("h.a_in", "h.scale", "h.currency")} || ' in the CRM and '
        || {money("h.b_in", "h.scale", "h.currency")} || ' in the ledger are dated in this period, '
        || {money("h.a_out", "h.scale", "h.currency")} || ' and ' || {money("h.b_out", "h.scale", "h.currency")}
        || ' in others; that moves ' || {money("m.amount", "h.scale", "h.currency")} || ' into this one.'
from recon_home h
cross join lateral (
    select h.a_in - h.b_in - case when h.home between :first and :last then h.whole else 0 end as amount) m
cross join lateral (
    select coalesce(array_agg(distinct key) filter (where side = 'a'), '{{}}') as a_keys,
        coalesce(array_agg(distinct key) filter (where side = 'b'), '{{}}') as b_keys,
        max(customer_name) as customer_name,
        string_agg(distinct coalesce(label, key) || ' dated ' || day, ', ') as documents
    from recon_day d where d.area = h.area and d.match_key = h.match_key and d.currency = h.currency) s
where m.amount <> 0
"""  # noqa: S608 - our own text

_TOTAL = """
insert into tieout.period_report_total
    (report_id, area, currency, scale, a_count, b_count, a_amount, b_amount, explained)
select :report, area, currency, max(scale), count(distinct key) filter (where side = 'a'),
    count(distinct key) filter (where side = 'b'), coalesce(sum(amount) filter (where side = 'a'), 0),
    coalesce(sum(amount) filter (where side = 'b'), 0), 0
from (select 'a' as side, * from recon_a where live union all select 'b', * from recon_b where live) both_sides
where day between :first and :last group by area, currency
"""
DOCUMENTS = """
select side, area, key, currency, max(scale)::smallint as scale, sum(amount)::bigint as amount, min(day) as day,
    max(label) as label, max(customer_name) as customer_name
from (select 'a' as side, * from recon_a where live union all select 'b', * from recon_b where live) both_sides
where day between :first and :last group by side, area, key, currency
"""
_DOCUMENT = f"""
insert into tieout.period_report_document
    (report_id, side, area, key, currency, scale, amount, day, label, customer_name)
select :report, d.* from ({DOCUMENTS}) d
"""  # noqa: S608 - our own text
_ITEM = """
insert into tieout.period_report_item (report_id, area, identity, component, class, currency, scale, amount,
    within_tolerance, a_keys, b_keys, customer_name, numbers, explanation)
select :report, area, identity, component, class, currency, scale, amount, within_tolerance, a_keys, b_keys,
    customer_name, numbers, explanation from recon_difference
"""
# A difference in an area and currency of which no side was counted stays unexplained: the report cannot tie by it.
_EXPLAINED = """
insert into tieout.period_report_total as t
    (report_id, area, currency, scale, a_count, b_count, a_amount, b_amount, explained)
select :report, area, currency, max(scale), 0, 0, 0, 0, sum(amount) from recon_difference group by area, currency
on conflict (report_id, area, currency) do update set explained = excluded.explained
"""


def plain(report: PeriodReport, found: Sequence[Total]) -> dict[str, Any]:
    """What a step tells of a report: report, state, hash and totals, amounts in minor units."""
    return {
        "report": report.report_id, "period": report.label, "state": report.state, "hash": report.hash,
        "totals": [
            {"area": one.area, "currency": one.currency, "scale": one.scale, "a_amount": one.a_amount,
             "b_amount": one.b_amount, "explained": one.explained, "unexplained": one.unexplained}
            for one in found
        ],
    }  # fmt: skip
