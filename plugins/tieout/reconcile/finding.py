"""Breaks as pages and files need them: chosen by filter, sorted, a page at a time; one with its records and history.

Read-only. A list is always one link's: every index of `tieout.break` begins with it. Pages are found by the last row of
the one before (keyset), so that the hundredth costs what the first does.
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
#: Counting stops here: what is more is said as "more than".
MOST_COUNTED = 1_000_000

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,50}")

#: The amount without its sign, in its unit: what the index break_amount holds.
SIZE = "(abs(amount) * power(10::numeric, -scale))"
#: name of a sorting -> (expression, its type, "asc" or "desc"). Nulls have a value, so that a keyset can step over them.
SORTS: Mapping[str, tuple[str, str, str]] = {
    "amount": (SIZE, "numeric", "desc"),
    "oldest": ("first_seen", "date", "asc"),
    "newest": ("first_seen", "date", "desc"),
    "customer": ("coalesce(customer_name, '')", "text", "asc"),
    "class": ("class", "text", "asc"),
    "due": ("coalesce(due_on, 'infinity'::date)", "date", "asc"),
    "owner": ("coalesce(owner, '')", "text", "asc"),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice of one link's breaks; an empty text leaves a field open.

    Attributes:
        state: one of break.state, `live` (not cleared), or `cleared`.
        age: name of a bucket, in days up to `day`.
        over: least amount without its sign, in the unit of the amount (500 pounds, not pence).
        first_seen: only breaks that were first seen on this day: "new".
        text: part of the customer's name, or a document's number, or a record's id.
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


def page(conn: Connection, which: Filter) -> Found:
    """One page."""
    assert which.limit is not None
    rows = list(conn.execute(*_query(replace(which, limit=which.limit + 1))))
    shown = [_item(row) for row in rows[: which.limit]]
    more = len(rows) > which.limit
    return Found(shown, (str(rows[which.limit - 1].sort_value), shown[-1].break_id) if more else None)


def every(conn: Connection, which: Filter, by_area: bool = False) -> Iterator[Item]:
    """All that the filter chooses, in its order, for a file; `by_area`: the areas one after the other."""
    query, bound = _query(replace(which, limit=None, after=None), "area, currency, " if by_area else "")
    for row in conn.execution_options(yield_per=FETCH).execute(query, bound):
        yield _item(row)


def how_many(conn: Connection, which: Filter) -> int:
    """How many there are in all."""
    where, bound = _where(which)
    query = text(f"select count(*) from tieout.break where {where}")  # noqa: S608 - conditions of this module
    return int(conn.execute(query, bound).scalar_one())


def ids(conn: Connection, which: Filter, most: int) -> list[int]:
    """The ids of at most so many."""
    query, bound = _query(replace(which, limit=most, after=None))
    return [row.break_id for row in conn.execute(query, bound)]


@dataclass(frozen=True, slots=True)
class Count:
    """Live breaks of an area, class and currency."""

    area: str
    class_: str
    currency: str
    scale: int
    count: int
    amount: int


def counts(conn: Connection, link: str) -> list[Count]:
    """What there is to choose from, largest groups first."""
    query = text(
        """
        select area, class as class_, currency, scale, count(*) as count, sum(amount)::numeric as amount
        from tieout.break where link = :link and cleared_on is null group by 1, 2, 3, 4
        order by area, count(*) desc, class, currency
        """
    )
    return [Count(**{**row._mapping, "amount": int(row.amount)}) for row in conn.execute(query, {"link": link})]


def owners(conn: Connection, link: str) -> list[str]:
    """Who owns live breaks of a link."""
    query = text(
        "select distinct owner from tieout.break where link = :link and cleared_on is null and owner is not null "
        "order by owner limit 200"
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
        of[AGE_BUCKETS[row.bucket][0]] = (row.count, int(row.amount))
    return [Aged(currency, scale, buckets) for (currency, scale), buckets in found.items()]


def _query(which: Filter, first: str = "") -> tuple[Any, dict[str, Any]]:
    value, kind, direction = SORTS[which.sort]
    where, bound = _where(which)
    if which.after is not None:
        step = "<" if direction == "desc" else ">"
        # The sort's own column alone first: an index condition; the row comparison only breaks ties.
        where += (
            f" and {value} {step}= cast(:after_value as {kind})"
            f" and ({value} {step} cast(:after_value as {kind}) or break_id > :after_id)"
        )
        bound |= {"after_value": which.after[0], "after_id": which.after[1]}
    query = text(
        f"""
        select {_COLUMNS}, {value} as sort_value from tieout.break where {where}
        order by {first}{value} {direction}, break_id limit :limit
        """  # noqa: S608 - names and conditions of this module
    )
    return query, bound | {"limit": which.limit}


def _item(row: Any) -> Item:
    return Item(**{name: row._mapping[name] for name in Item.__dataclass_fields__})


def _where(which: Filter) -> tuple[str, dict[str, Any]]:
    conditions, bound = ["link = :link"], {"link": which.link}
    plain: dict[str, tuple[str, Any]] = {
        "area": ("area = :area", which.area),
        "class": ("class = :class", which.class_),
        "currency": ("currency = :currency", which.currency),
        "over": (f"{SIZE} >= :over", which.over),
        "first_seen": ("first_seen = :first_seen", which.first_seen),
    }
    for name, (condition, value) in plain.items():
        if value not in ("", None):
            conditions.append(condition)
            bound[name] = value
    conditions += _state(which, bound)
    if which.owner:
        conditions.append("owner is null" if which.owner == NOBODY else "owner = :owner")
        bound["owner"] = which.owner
    if which.tolerance:
        conditions.append("within_tolerance" if which.tolerance == "within" else "not within_tolerance")
    conditions += _age(which, bound)
    if which.text:
        conditions.append(_TEXT)
        bound |= {"text": which.text, "like": f"%{_escaped(which.text)}%"}
    return " and ".join(conditions), {name: value for name, value in bound.items() if value is not None}


#: A number or an id is looked up as it is, a name by a part of it.
_TEXT = (
    "(customer_name ilike :like or numbers @> array[cast(:text as text)] or customer_id = :text "
    "or exists (select from unnest(a_keys || b_keys) key where split_part(key, ':', 2) = :text))"
)


def _state(which: Filter, bound: dict[str, Any]) -> list[str]:
    if which.state == "cleared":
        return ["cleared_on is not null"]
    if which.state == "":
        return []
    if which.state == "live":
        return ["cleared_on is null"]
    bound["state"] = which.state
    # A closed one may be cleared too; the others never are (break_cleared), and the partial indexes have to know.
    return ["state = :state"] if which.state == "closed" else ["state = :state", "cleared_on is null"]


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
