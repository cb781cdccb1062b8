"""Breaks as pages and files need them: chosen by filter, sorted, a page at a time; one with its records and history.

Read-only. A list is always one link's. What is chosen and sorted by stands in two indexes (break_live, break_gone), so
that 100,000 breaks are looked through without their rows; those of one page are then fetched. Pages are found by the
last row of the one before (keyset), so that the hundredth costs what the first does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from tieout.model.tie_out import AGE_BUCKETS, Attachment, HappenedTo, Item, SideRecord

#: `owner` of breaks that nobody owns.
NOBODY = "-"
#: Rows that are fetched at a time for a file.
FETCH = 5_000
#: Entries of a break's history that a page shows, newest first.
MOST_EVENTS = 500

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,50}")

#: The amount without its sign, in its unit: pounds, not pence. A power for each row would cost more than all the rest.
SIZE = "(abs(amount) / (cast('{1,10,100,1000,10000,100000,1000000}' as numeric[]))[scale + 1])"
#: name of a sorting -> (expression, its type, "asc" or "desc"). Nulls have a value, so that a keyset steps over them.
SORTS: Mapping[str, tuple[str, str, str]] = {
    "amount": (SIZE, "numeric", "desc"),
    "oldest": ("first_seen", "date", "asc"),
    "newest": ("first_seen", "date", "desc"),
    "customer": ("coalesce(customer_name, '')", "text", "asc"),
    "class": ("class", "text", "asc"),
    "due": ("coalesce(due_on, '9999-12-31'::date)", "date", "asc"),
    "owner": ("coalesce(owner, '')", "text", "asc"),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice of one link's breaks; an empty text leaves a field open.

    Attributes:
        state: one of break.state, `live` (not cleared), `unsettled` (somebody has to do something), or `cleared`.
        age: name of a bucket, in days up to `day`.
        over: least amount without its sign, in the unit of the amount (500 pounds, not pence).
        first_seen: only breaks that were first seen on this day: "new".
        text: part of the customer's name, or a document's number, or a customer's id, as it is.
        day: the newest report's: ages count up to it.
        after: sort value and id of the last row of the page before.
    """

    link: str
    day: date
    area: str = ""
    class_: str = ""
    currency: str = ""
    state: str = "live"
    owner: str = ""
    age: str = ""
    over: Decimal | None = None
    first_seen: date | None = None
    text: str = ""
    tolerance: str = ""
    sort: str = "amount"
    after: tuple[str, int] | None = None
    limit: int | None = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A page of breaks; `after` leads to the next one, None when this is the last."""

    items: Sequence[Item]
    after: tuple[str, int] | None


_COLUMNS = ", ".join("class as class_" if name == "class_" else name for name in Item.__dataclass_fields__)
#: Numbers and ids that a text may be: more than that is no search.
MOST_NUMBERED = 10_000


def page(conn: Connection, which: Filter) -> Found:
    """One page."""
    assert which.limit is not None
    rows = list(conn.execute(*_query(conn, replace(which, limit=which.limit + 1))))
    shown = [_item(row) for row in rows[: which.limit]]
    more = len(rows) > which.limit
    return Found(shown, (str(rows[which.limit - 1].sort_value), shown[-1].break_id) if more else None)


def every(conn: Connection, which: Filter, by_area: bool = False) -> Iterator[Item]:
    """All that the filter chooses, in its order, for a file; `by_area`: the areas one after the other."""
    query, bound = _query(conn, replace(which, limit=None, after=None), "area, currency, " if by_area else "")
    for row in conn.execution_options(yield_per=FETCH).execute(query, bound):
        yield _item(row)


def how_many(conn: Connection, which: Filter) -> int:
    """How many there are in all."""
    chosen, bound = _chosen(conn, replace(which, after=None), "break_id")
    query = text(f"select count(*) from ({chosen}) chosen")  # noqa: S608 - conditions of this module
    return int(conn.execute(query, bound).scalar_one())


@dataclass(frozen=True, slots=True)
class Choices:
    """What a list may be narrowed to: what the newest report has, and who owns something."""

    areas: Sequence[str]
    classes: Sequence[str]
    currencies: Sequence[str]
    owners: Sequence[str]


def choices(conn: Connection, link: str, report_id: int) -> Choices:
    """The choices of a link whose newest report this is."""
    rows = conn.execute(
        text("select area, class, currency from tieout.report_class where report_id = :id"), {"id": report_id}
    ).all()
    areas, classes, currencies = (sorted(set(values)) for values in zip(*rows, strict=True)) if rows else ([], [], [])
    return Choices(areas, classes, currencies, owners(conn, link))


def owners(conn: Connection, link: str) -> list[str]:
    """Who owns breaks of a link that are not cleared."""
    # A step from owner to owner on the index: `distinct` would read every break that somebody owns.
    query = text(
        """
        with recursive found(owner) as (
            (select owner from tieout.break where link = :link and cleared_on is null and owner is not null
             order by owner limit 1)
            union all
            select (select b.owner from tieout.break b where b.link = :link and b.cleared_on is null
                    and b.owner > f.owner order by b.owner limit 1) from found f where f.owner is not null
        )
        select owner from found where owner is not null limit 200
        """
    )
    return list(conn.execute(query, {"link": link}).scalars())


@dataclass(frozen=True, slots=True)
class Aged:
    """Live breaks of one currency by age: bucket -> (how many, net amount)."""

    currency: str
    scale: int
    buckets: Mapping[str, tuple[int, int]]


def ages(conn: Connection, link: str, day: date) -> list[Aged]:
    """How old a link's breaks are, for each currency."""
    borders = [last for _, _, last in AGE_BUCKETS if last is not None]
    query = text(
        """
        select currency, scale, width_bucket(greatest(:day - first_seen, 0), cast(:borders as int[])) as bucket,
               count(*) as count, sum(amount)::numeric as amount
        from tieout.break where link = :link and cleared_on is null group by 1, 2, 3 order by 1, 2, 3
        """
    )
    found: dict[tuple[str, int], dict[str, tuple[int, int]]] = {}
    bound = {"link": link, "day": day, "borders": [border + 1 for border in borders]}
    for row in conn.execute(query, bound):
        of = found.setdefault((row.currency, row.scale), {name: (0, 0) for name, _, _ in AGE_BUCKETS})
        of[AGE_BUCKETS[row.bucket][0]] = (int(row._mapping["count"]), int(row.amount))
    return [Aged(currency, scale, buckets) for (currency, scale), buckets in found.items()]


def _query(conn: Connection, which: Filter, first: str = "") -> tuple[Any, dict[str, Any]]:
    value, _, direction = SORTS[which.sort]
    chosen, bound = _chosen(conn, which, f"break_id, area, currency, {value} as sort_value")
    order = f"{first}sort_value {direction}, break_id"
    query = text(
        f"""
        select {", ".join(f"b.{column}" for column in _COLUMNS.split(", "))}, chosen.sort_value
        from (select * from ({chosen}) found order by {order} limit :limit) chosen
        join tieout.break b using (break_id) order by {first.replace("area", "b.area").replace("curr", "b.curr")}
            chosen.sort_value {direction}, break_id
        """  # noqa: S608 - names and conditions of this module
    )
    return query, bound | {"limit": which.limit}


def _chosen(conn: Connection, which: Filter, columns: str) -> tuple[str, dict[str, Any]]:
    """The subquery of what the filter chooses: what is not cleared, what is, or both, each by its own index."""
    where, bound = _where(conn, which)
    parts = []
    if which.state != "cleared":
        parts.append("cleared_on is null")
    if which.state in ("cleared", "closed", ""):
        parts.append("cleared_on is not null")
    # Names and conditions of this module.
    queries = [f"select {columns} from tieout.break where {part} and {where}" for part in parts]  # noqa: S608
    return " union all ".join(queries), bound


def _item(row: Any) -> Item:
    return Item(**{name: row._mapping[name] for name in Item.__dataclass_fields__})


#: Values of `state` that are not one of break.state.
_SEVERAL = ("live", "unsettled", "cleared")


def _where(conn: Connection, which: Filter) -> tuple[str, dict[str, Any]]:
    conditions: list[str] = ["link = :link"]
    bound: dict[str, Any] = {"link": which.link}
    plain: dict[str, tuple[str, Any]] = {
        "area": ("area = :area", which.area),
        "class": ("class = :class", which.class_),
        "currency": ("currency = :currency", which.currency),
        "over": (f"{SIZE} >= :over", which.over),
        "first_seen": ("first_seen = :first_seen", which.first_seen),
        "state": ("state = :state", "" if which.state in _SEVERAL else which.state),
    }
    for name, (condition, value) in plain.items():
        if value not in ("", None):
            conditions.append(condition)
            bound[name] = value
    if which.state == "unsettled":
        conditions.append("state in ('open', 'with_preparer', 'with_reviewer')")
    if which.owner == NOBODY:
        conditions.append("owner is null")
    elif which.owner:
        conditions.append("owner = :owner")
        bound["owner"] = which.owner
    if which.tolerance:
        conditions.append("within_tolerance" if which.tolerance == "within" else "not within_tolerance")
    conditions += _age(which, bound)
    if which.text:
        conditions.append("(customer_name ilike :like or break_id = any(:numbered))")
        bound |= {"like": f"%{_escaped(which.text)}%", "numbered": _numbered(conn, which)}
    if which.after is not None:
        value, kind, direction = SORTS[which.sort]
        step = "<" if direction == "desc" else ">"
        conditions.append(
            f"({value} {step} cast(:after_value as {kind}) "
            f"or {value} = cast(:after_value as {kind}) and break_id > :after_id)"
        )
        bound |= {"after_value": which.after[0], "after_id": which.after[1]}
    return " and ".join(conditions), bound


def _numbered(conn: Connection, which: Filter) -> list[int]:
    """Breaks whose documents or customer carry the text as it is: each by its own index."""
    query = text(
        """
        select break_id from tieout.break where link = :link and numbers @> array[cast(:text as text)]
        union select break_id from tieout.break where link = :link and customer_id = :text limit :most
        """
    )
    bound = {"link": which.link, "text": which.text, "most": MOST_NUMBERED}
    return list(conn.execute(query, bound).scalars())


def _age(which: Filter, bound: dict[str, Any]) -> list[str]:
    if not which.age:
        return []
    _, first, last = next(bucket for bucket in AGE_BUCKETS if bucket[0] == which.age)
    conditions = []
    if first:
        conditions.append("first_seen <= :seen_until")
        bound["seen_until"] = which.day - timedelta(days=first)
    if last is not None:
        conditions.append("first_seen >= :seen_from")
        bound["seen_from"] = which.day - timedelta(days=last)
    return conditions


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a break: what is shown of it, by field of the common model, and the records it was read from."""

    shown: Mapping[str, Any]
    records: Sequence[SideRecord]


@dataclass(frozen=True, slots=True)
class Whole:
    """One break with everything that is kept of it. `a`, `b`: None where that side has nothing."""

    item: Item
    identity: str
    first_report_id: int
    last_report_id: int
    fields: Sequence[str]
    a: Side | None
    b: Side | None
    history: Sequence[HappenedTo]
    attachments: Sequence[Attachment]
    updated_at: datetime


def whole(conn: Connection, break_id: int) -> Whole | None:
    """One break; None where there is none of this number."""
    query = text(
        f"select {_COLUMNS}, identity, first_report_id, last_report_id, fields, a, b, updated_at from tieout.break "  # noqa: S608
        "where break_id = :id"
    )
    row = conn.execute(query, {"id": break_id}).one_or_none()
    if row is None:
        return None
    return Whole(
        _item(row), row.identity, row.first_report_id, row.last_report_id, list(row.fields or ()),
        _side(conn, row.a), _side(conn, row.b), history(conn, break_id), attachments(conn, break_id),
        row.updated_at,
    )  # fmt: skip


def history(conn: Connection, break_id: int) -> list[HappenedTo]:
    """What happened to a break, newest first."""
    query = text(
        "select at, actor, event, report_id, detail from tieout.break_event where break_id = :id "
        "order by event_id desc limit :most"
    )
    return [HappenedTo(**row._mapping) for row in conn.execute(query, {"id": break_id, "most": MOST_EVENTS})]


def attachments(conn: Connection, break_id: int) -> list[Attachment]:
    """The evidence, oldest first."""
    query = text(
        "select attachment_id, break_id, name, media_type, octet_length(content) as size, sha256, added_by, added_at "
        "from tieout.break_attachment where break_id = :id order by attachment_id"
    )
    return [Attachment(**row._mapping) for row in conn.execute(query, {"id": break_id})]


def attached(conn: Connection, break_id: int, attachment_id: int) -> tuple[str, bytes] | None:
    """Name and content of one attachment."""
    query = text("select name, content from tieout.break_attachment where break_id = :id and attachment_id = :number")
    row = conn.execute(query, {"id": break_id, "number": attachment_id}).one_or_none()
    return (row.name, bytes(row.content)) if row else None


def _side(conn: Connection, side: Mapping[str, Any] | None) -> Side | None:
    if side is None:
        return None
    records = []
    for one in side.get("records") or ():
        record = SideRecord(
            str(one.get("system", "")), str(one.get("connection", "")), str(one.get("entity", "")),
            str(one.get("source_id", "")), one.get("version"),
        )  # fmt: skip
        records.append(replace(record, payload=_payload(conn, record)))
    return Side(side.get("shown") or {}, records)


def _payload(conn: Connection, record: SideRecord) -> Mapping[str, Any] | None:
    """The record as it came, in the version that the report saw; None where staging does not have it any more."""
    table = f"{record.system}_{record.entity}"
    if not _TABLE.fullmatch(table):
        return None
    name = f'staging."{table}_version"'
    if conn.execute(text("select to_regclass(:name)"), {"name": name}).scalar_one() is None:
        return None
    query = text(
        f"select _payload from {name} where _connection = :connection and _source_id = :id "  # noqa: S608 - as above
        "and (cast(:version as bigint) is null or _version = :version) order by _version desc limit 1"
    )
    bound = {"connection": record.connection, "id": record.source_id, "version": record.version}
    return conn.execute(query, bound).scalar_one_or_none()
