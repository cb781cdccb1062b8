"""Writes that somebody has to know of: what is under way, uncertain, held or refused, how old, whose, and what now.

Read-only, over all links; for pages, the command line and metrics. What a person may do about one is in people.py; one
delivery's own counts are in counts.py. Settled intents are not touched: READY to HELD have partial indexes, and a
REJECTED intent is found by the open dead letter of its record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy.engine import Connection

from tieout.delivery.states import State

#: What the counts tell of, in this order; and what a person is asked about.
COUNTED = (State.READY, State.CLAIMED, State.IN_FLIGHT, State.UNKNOWN, State.HELD, State.REJECTED)
ASKED = (State.UNKNOWN, State.HELD, State.REJECTED)
#: Rows of one page, at most.
MOST = 5_000

# The distinct (source, source_object), one index look-up each: with them intent_source finds a letter's intents.
_REJECTED = """
objects(source, source_object) as (
    (select source, source_object from tieout.intent order by 1, 2 limit 1)
    union all
    select next.source, next.source_object from objects o cross join lateral (
        select i.source, i.source_object from tieout.intent i
        where (i.source, i.source_object) > (o.source, o.source_object) order by 1, 2 limit 1) next),
rejected as (
    select distinct i.intent_id from tieout.dead_letter d
    join objects o on o.source = d.connection
    join tieout.intent i on i.source = o.source and i.source_object = o.source_object and i.source_id = d.source_id
        and i.link = d.link and i.state = 'REJECTED'
    where d.state = 'open' and d.stage in ('deliver', 'write_back') and not exists (
        select from tieout.intent later where later.source = i.source and later.source_object = i.source_object
            and later.source_id = i.source_id and later.link = i.link and later.kind = i.kind
            and later.target = i.target and later.revision > i.revision))
"""
# Four parts and not one list of states, so that each reads its partial index.
_WAITING = f"""
with recursive {_REJECTED},
waiting as (
    select i.* from tieout.intent i where i.state = 'READY'
    union all select i.* from tieout.intent i where i.state = 'UNKNOWN'
    union all select i.* from tieout.intent i where i.state in ('CLAIMED','IN_FLIGHT')
    union all select i.* from tieout.intent i where i.state = 'HELD'
    union all select i.* from tieout.intent i join rejected using (intent_id))
"""  # noqa: S608 - constants of this module; values are bound
#: Since when: of an uncertain one since its last send, of the others since their last change.
_SINCE = "coalesce(case when w.state = 'UNKNOWN' then w.sent_at end, w.updated_at)"
_CHOSEN = """
    (%(states)s::text[] is null or w.state = any(%(states)s)) and (%(link)s::text is null or w.link = %(link)s)
    and (%(target)s::text is null or w.target = %(target)s) and (%(kind)s::text is null or w.kind = %(kind)s)
    and (%(owner)s::text is null or coalesce(w.owner, '') = %(owner)s)
    and (%(reason)s::text is null or w.reason = %(reason)s)
    and (%(text)s::text is null or w.natural_key ilike %(like)s or w.source_id ilike %(like)s
        or w.vendor_number ilike %(like)s or w.message ilike %(like)s)
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Intents of one link, target, kind, state and currency. `amount_minor`: their sum; None without a currency."""

    link: str
    target: str
    kind: str
    state: str
    currency: str | None
    count: int
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class Age:
    """The oldest intent of a link and target that is UNKNOWN or HELD, and since when it is."""

    link: str
    target: str
    state: str
    intent_id: int
    since: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Owned:
    """How many uncertain, held and refused writes somebody owns; `owner` is empty where nobody does."""

    owner: str
    unknown: int
    held: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Which:
    """A choice of writes; None leaves a field open. `text`: somewhere in number, record, message. `skip`: rows."""

    states: tuple[str, ...] = ASKED
    link: str | None = None
    target: str | None = None
    kind: str | None = None
    owner: str | None = None
    reason: str | None = None
    text: str | None = None
    skip: int = 0
    limit: int = 200


@dataclass(frozen=True, slots=True)
class Write:
    """One intent as a person meets it.

    Attributes:
        number: the natural key: the invoice's number, mostly.
        amount_minor: minor units of `currency`.
        since: of an uncertain one its last send, of the others their last change.
        next_look_up: when an uncertain one is looked up by itself, or a held one at the earliest; None: at once.
        candidates: the vendor's documents that the last look-up found under its number.
        posting_date: its date in the books: while it waits, the fiscal period of that day is not closed.
    """

    intent_id: int
    link: str
    target: str
    kind: str
    operation: str
    state: str
    source: str
    source_object: str
    source_id: str
    revision: int
    number: str
    currency: str | None
    amount_minor: int | None
    reason: str | None
    message: str | None
    owner: str | None
    sends: int
    since: datetime
    next_look_up: datetime | None
    vendor_id: str | None
    vendor_number: str | None
    candidates: tuple[str, ...]
    posting_date: date | None


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt: a send or a look-up, what came of it, and what was found."""

    attempt_id: int
    kind: str
    sent_at: datetime
    answered_at: datetime | None
    worker: str
    outcome: str | None
    http_status: int | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit trail; `actor` is a worker, or `person:` and a name."""

    at: datetime
    actor: str
    event: str
    detail: Mapping[str, Any]


def standings(conn: Connection, *, link: str | None = None) -> list[Standing]:
    """Counts and amounts by link, target, kind, state and currency."""
    rows = conn.exec_driver_sql(
        f"{_WAITING} select w.link, w.target, w.kind, w.state, w.currency, count(*) as many, "  # noqa: S608
        "sum(w.amount_minor)::numeric as amount_minor from waiting w where %(link)s::text is null or w.link = %(link)s "
        "group by 1, 2, 3, 4, 5 order by 1, 2, 3, array_position(%(order)s::text[], w.state), 5",
        {"link": link, "order": [str(state) for state in COUNTED]},
    )
    return [
        Standing(r.link, r.target, r.kind, r.state, r.currency, r.many, _whole(r.amount_minor))
        for r in rows
    ]  # fmt: skip


def ages(conn: Connection, *, link: str | None = None) -> list[Age]:
    """The oldest UNKNOWN and the oldest HELD of each link and target, oldest first."""
    rows = conn.exec_driver_sql(
        f"select distinct on (w.link, w.target, w.state) w.link, w.target, w.state, w.intent_id, {_SINCE} as since, "  # noqa: S608
        f"extract(epoch from clock_timestamp() - {_SINCE})::float8 as seconds from (select * from tieout.intent "
        "where state = 'UNKNOWN' union all select * from tieout.intent where state = 'HELD') w "
        f"where %(link)s::text is null or w.link = %(link)s order by w.link, w.target, w.state, {_SINCE}, w.intent_id",
        {"link": link},
    )
    return sorted((Age(*row) for row in rows), key=lambda age: (age.since, age.intent_id))


def owners(conn: Connection) -> list[Owned]:
    """Who owns how much of what a person is asked about; most first."""
    rows = conn.exec_driver_sql(
        f"{_WAITING} select coalesce(w.owner, '') as owner, "  # noqa: S608
        "count(*) filter (where w.state = 'UNKNOWN') as unknown, "
        "count(*) filter (where w.state = 'HELD') as held, count(*) filter (where w.state = 'REJECTED') as rejected "
        "from waiting w where w.state in ('UNKNOWN','HELD','REJECTED') group by 1 order by count(*) desc, 1"
    )
    return [Owned(*row) for row in rows]


def listing(conn: Connection, which: Which) -> list[Write]:
    """The chosen writes, those that wait longest first."""
    rows = conn.exec_driver_sql(
        f"{_WAITING} select {_COLUMNS} from waiting w {_LAST_LOOK} where {_CHOSEN} "  # noqa: S608
        f"order by {_SINCE}, w.intent_id limit %(limit)s offset %(skip)s",
        _values(which),
    )
    return [_write(row) for row in rows]


def how_many(conn: Connection, which: Which) -> int:
    """How many writes are chosen, whatever `skip` and `limit` say."""
    query = f"{_WAITING} select count(*) from waiting w where {_CHOSEN}"  # noqa: S608
    return int(conn.exec_driver_sql(query, _values(which)).scalar_one())


def get(conn: Connection, intent_id: int) -> Write | None:
    """One write by its id, whatever its state; None when there is none."""
    rows = conn.exec_driver_sql(
        f"select {_COLUMNS} from tieout.intent w {_LAST_LOOK} where w.intent_id = %(id)s",  # noqa: S608
        {"id": intent_id},
    )
    row = rows.one_or_none()
    return None if row is None else _write(row)


def tries(conn: Connection, intent_id: int) -> list[Try]:
    """All its attempts, first to last."""
    rows = conn.exec_driver_sql(
        "select attempt_id, kind, sent_at, answered_at, worker, outcome, http_status, detail from tieout.attempt "
        "where intent_id = %(id)s order by attempt_id",
        {"id": intent_id},
    )
    return [Try(*row) for row in rows]


def history(conn: Connection, intent_id: int) -> list[Event]:
    """What the audit trail has of it, first to last."""
    rows = conn.exec_driver_sql(
        "select at, actor, event, detail from tieout.audit_event where subject = %(subject)s order by seq",
        {"subject": f"intent:{intent_id}"},
    )
    return [Event(*row) for row in rows]


#: Beside those that are named so: an upsert whose record is one of ours alone (others name a record that is there, or
#: one without a crosswalk row), an allocation, for which a refund waits, what sets a refund against its credit note.
_CREATE_TOO = frozenset({"products.upsert", "credit_notes.allocate", "refunds.apply"})


def makes_a_document(operation: str) -> bool:
    """Whether the operation makes a document of the vendor's, so that accepting it makes a crosswalk row.

    By name, for there is no connector where people decide; a test holds it against every connector's declarations.
    """
    return operation.endswith(".create") or operation in _CREATE_TOO


_COLUMNS = f"""w.intent_id, w.link, w.target, w.kind, w.operation, w.state, w.source, w.source_object, w.source_id,
    w.revision, w.natural_key as number, w.currency, w.amount_minor, w.reason, w.message, w.owner, w.sends,
    {_SINCE} as since, w.not_before as next_look_up, w.vendor_id, w.vendor_number, look.candidates,
    look.found_id, w.posting_date"""
_LAST_LOOK = """
left join lateral (
    select a.detail -> 'candidates' as candidates, a.detail ->> 'vendor_id' as found_id from tieout.attempt a
    where a.intent_id = w.intent_id and a.outcome is not null order by a.attempt_id desc limit 1) look on true
"""


def _write(row: Any) -> Write:
    values = row._asdict()
    listed, one = values.pop("candidates") or [], values.pop("found_id")
    return Write(**values, candidates=tuple(listed or ([one] if one else ())))


def _values(which: Which) -> dict[str, Any]:
    escaped = (which.text or "").replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return {
        "states": list(which.states), "link": which.link, "target": which.target, "kind": which.kind,
        "owner": which.owner, "reason": which.reason, "text": which.text, "like": f"%{escaped}%",
        "skip": which.skip, "limit": min(which.limit, MOST),
    }  # fmt: skip


def _whole(amount: Any) -> int | None:
    return None if amount is None else int(amount)
