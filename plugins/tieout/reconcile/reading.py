"""Reports as pages and files need them: the newest of each link, one with its figures, the trend, its items. Read-only.

Which breaks there are, by filter, is in finding.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, text

from tieout.model.tie_out import ClassSum, Head, Item, Roll, Signature, TieOut, Total
from tieout.reconcile import finding
from tieout.reconcile.finding import Filter

#: Links on the overview.
MOST_LINKS = 200
#: Days of a trend, and of the list of days.
TREND_DAYS = 60
#: Rows of a report's items that are fetched at a time.
FETCH = 5_000

_HEAD = ", ".join(Head.__dataclass_fields__)
_SIGNED = ", ".join(Signature.__dataclass_fields__)
_TOTAL = ", ".join(Total.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Day:
    """A point of a link's trend: of the newest report of a day."""

    as_of: date
    report_id: int
    state: str
    items: int
    new_items: int


def links(conn: Connection) -> list[str]:
    """Links that have a finished report."""
    # A step from link to link on the index: `distinct` would read every report that ever was.
    query = text(
        """
        with recursive found(link) as (
            (select link from tieout.report where state <> 'running' order by link limit 1)
            union all
            select (select r.link from tieout.report r where r.link > f.link and r.state <> 'running'
                    order by r.link limit 1) from found f where f.link is not null
        )
        select link from found where link is not null limit :most
        """
    )
    return list(conn.execute(query, {"most": MOST_LINKS}).scalars())


def newest(conn: Connection, link: str, as_of: date | None = None) -> Head | None:
    """The newest finished report of a link: of its newest day, or of `as_of`."""
    query = text(
        f"""
        select {_HEAD} from tieout.report
        where link = :link and state <> 'running' and (cast(:as_of as date) is null or as_of = :as_of)
        order by as_of desc, report_id desc limit 1
        """  # noqa: S608 - names of columns
    )
    row = conn.execute(query, {"link": link, "as_of": as_of}).one_or_none()
    return Head(**row._mapping) if row else None


def head(conn: Connection, report_id: int) -> Head | None:
    """One finished report."""
    query = text(f"select {_HEAD} from tieout.report where report_id = :id and state <> 'running'")  # noqa: S608
    row = conn.execute(query, {"id": report_id}).one_or_none()
    return Head(**row._mapping) if row else None


def of_run(conn: Connection, run_id: Any) -> Head | None:
    """The newest finished report that a sync run made."""
    query = text(
        f"select {_HEAD} from tieout.report where run_id = :run and state <> 'running' "  # noqa: S608
        "order by report_id desc limit 1"
    )
    row = conn.execute(query, {"run": run_id}).one_or_none()
    return Head(**row._mapping) if row else None


def tie_out(conn: Connection, of: Head) -> TieOut:
    """A report with its figures, the sign-offs and the other reports of its day."""
    bound = {"id": of.report_id, "link": of.link, "as_of": of.as_of}
    totals = [
        Total(**_whole(row))
        for row in conn.execute(
            text(f"select {_TOTAL} from tieout.report_total where report_id = :id order by area, currency"),  # noqa: S608
            bound,
        )
    ]
    scale = {(one.area, one.currency): one.scale for one in totals}
    return TieOut(
        of,
        totals,
        _classes(conn, of.report_id, scale),
        _rolls(conn, of.report_id, scale),
        [
            Signature(**row._mapping)
            for row in conn.execute(
                text(
                    f"select {_SIGNED} from tieout.sign_off where link = :link and as_of = :as_of "  # noqa: S608
                    "order by sign_off_id desc"
                ),
                bound,
            )
        ],
        [
            Head(**row._mapping)
            for row in conn.execute(
                text(
                    f"select {_HEAD} from tieout.report where link = :link and as_of = :as_of "  # noqa: S608
                    "and state <> 'running' order by report_id desc"
                ),
                bound,
            )
        ],
    )


def _classes(conn: Connection, report_id: int, scale: Mapping[tuple[str, str], int]) -> list[ClassSum]:
    query = text(
        "select area, currency, class as class_, count, amount, new_count, within_tolerance from tieout.report_class "
        "where report_id = :id order by area, currency, abs(amount) desc, class"
    )
    found = [_whole(row) for row in conn.execute(query, {"id": report_id})]
    return [ClassSum(**row, scale=_scale(scale, row)) for row in found]


def _rolls(conn: Connection, report_id: int, scale: Mapping[tuple[str, str], int]) -> list[Roll]:
    query = text(
        "select area, currency, opening_count, opening, new_count, new, cleared_count, cleared, changed, "
        "closing_count, closing from tieout.report_roll where report_id = :id order by area, currency"
    )
    found = [_whole(row) for row in conn.execute(query, {"id": report_id})]
    return [Roll(**row, scale=_scale(scale, row)) for row in found]


def _scale(scale: Mapping[tuple[str, str], int], row: Mapping[str, Any]) -> int:
    """A class or a roll without a total of its own has nothing left: then there is no amount to show either."""
    return scale.get((row["area"], row["currency"]), 2)


def _whole(row: Any) -> dict[str, Any]:
    """Sums come as numeric; they are whole."""
    return {name: value if isinstance(value, str) else int(value) for name, value in row._mapping.items()}


def trend(conn: Connection, link: str, days: int = TREND_DAYS) -> list[Day]:
    """The newest report of each of the last days that have one, oldest first."""
    query = text(
        """
        select r.as_of, r.report_id, r.state, coalesce(c.items, 0) as items, coalesce(c.new_items, 0) as new_items
        from (select distinct on (as_of) as_of, report_id, state from tieout.report
              where link = :link and state <> 'running' order by as_of desc, report_id desc limit :days) r
        left join lateral (select sum(count)::bigint as items, sum(new_count)::bigint as new_items
              from tieout.report_class where report_id = r.report_id) c on true
        order by r.as_of
        """
    )
    return [Day(**row._mapping) for row in conn.execute(query, {"link": link, "days": days})]


def variance(conn: Connection, of: Head) -> dict[tuple[str, str], Total]:
    """(area, currency) -> the figures of the report that came before; empty where there is none."""
    if of.previous_report_id is None:
        return {}
    query = text(f"select {_TOTAL} from tieout.report_total where report_id = :id")  # noqa: S608
    found = [Total(**_whole(row)) for row in conn.execute(query, {"id": of.previous_report_id})]
    return {(one.area, one.currency): one for one in found}


def standing(conn: Connection, links_: Sequence[tuple[str, date]]) -> dict[tuple[str, date], list[Signature]]:
    """(link, day) -> its valid sign-offs."""
    query = text(
        f"select {_SIGNED} from tieout.sign_off where suspended_at is null "  # noqa: S608
        "and (link, as_of) in (select * from unnest(cast(:links as text[]), cast(:days as date[]))) "
        "order by sign_off_id"
    )
    found: dict[tuple[str, date], list[Signature]] = defaultdict(list)
    bound = {"links": [link for link, _ in links_], "days": [day for _, day in links_]}
    for row in conn.execute(query, bound):
        found[row.link, row.as_of].append(Signature(**row._mapping))
    return dict(found)


_ITEM_COLUMNS = ", ".join(
    {
        "class_": "i.class as class_",
        "currency": "coalesce(i.currency, b.currency) as currency",
        "amount": "i.amount",
    }.get(name, f"b.{name}")
    for name in Item.__dataclass_fields__
)


def items(conn: Connection, report_id: int, limit: int | None = None) -> Iterator[Item]:
    """The breaks that a report lists, by area, currency and size; class and amount as the report has them.

    Who looks after a break, and its state, are as they are now.
    """
    query = text(
        f"""
        select {_ITEM_COLUMNS} from tieout.report_item i join tieout.break b using (break_id)
        where i.report_id = :id order by b.area, coalesce(i.currency, b.currency), abs(i.amount) desc, b.break_id
        limit :most
        """  # noqa: S608 - names of columns
    )
    rows = conn.execution_options(yield_per=FETCH).execute(query, {"id": report_id, "most": limit})
    for row in rows:
        yield Item(**row._mapping)


def largest(conn: Connection, of: Head, count: int) -> list[Item]:
    """The largest breaks of a report that are above their tolerance and wait for somebody, as they are now."""
    latest = newest(conn, of.link)
    if latest is not None and latest.report_id == of.report_id:
        return list(
            finding.page(conn, Filter(of.link, of.as_of, state="unsettled", tolerance="above", limit=count)).items
        )
    query = text(
        f"""
        select {_ITEM_COLUMNS} from tieout.report_item i join tieout.break b using (break_id)
        where i.report_id = :id and not b.within_tolerance and b.state not in ('accepted', 'closed')
        order by abs(i.amount) * power(10::numeric, -b.scale) desc, b.break_id limit :most
        """  # noqa: S608 - names of columns
    )
    return [Item(**row._mapping) for row in conn.execute(query, {"id": of.report_id, "most": count})]


def days_beside(conn: Connection, of: Head) -> tuple[date | None, date | None]:
    """The days before and after that have a finished report."""
    query = text(
        """
        select (select as_of from tieout.report where link = :link and as_of < :day and state <> 'running'
                order by as_of desc limit 1) as earlier,
               (select as_of from tieout.report where link = :link and as_of > :day and state <> 'running'
                order by as_of limit 1) as later
        """
    )
    row = conn.execute(query, {"link": of.link, "day": of.as_of}).one()
    return row.earlier, row.later
