"""Plans of fiscal periods: kept as they were made, decided by people, applied once. The rules are in migration 0009.

What is planned is decided by scenarios/periods/planning.py.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from tieout.model.errors import Fatal
from tieout.model.identity import canonical_json
from tieout.store import audit
from tieout.store.documents import Parts
from tieout.store.engine import join_whole_tables
from tieout.store.period_plan_tables import period_plan, period_plan_line

Action = Literal["create", "change", "credit_and_rebill", "credit", "void", "cancel", "hold"]
State = Literal["planned", "approved", "sent_back", "replaced", "applied", "dry"]
ACTIONS: tuple[Action, ...] = ("create", "change", "credit_and_rebill", "credit", "void", "cancel", "hold")
#: Lines of one insert.
CHUNK = 5_000
#: Characters of a hash that name it well enough for a person to type.
SHORTEST_HASH = 12


class NotAllowed(Fatal):
    """The plan cannot be decided or applied so; the message says why, and what may be done."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of `tieout.period_plan_line` as it is planned; see the table for the words."""

    object: str
    source_id: str
    source_number: str | None
    action: Action
    customer_id: str | None
    vendor_customer_id: str | None
    customer: str | None
    document: str | None
    currency: str | None
    before_minor: int
    after_minor: int
    held_minor: int
    posting_date: date | None
    credit_date: date | None
    reason: str | None
    message: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A line as it is stored, with what became of it."""

    position: int
    line: Line
    state: Literal["planned", "applied", "changed"]
    found: str | None


@dataclass(frozen=True, slots=True)
class New:
    """A plan to be kept."""

    link: str
    label: str
    first: date
    last: date
    run_id: UUID
    dry: bool
    records: int
    unchanged: int
    in_flight: int
    new_customers: int
    needs_approval: bool
    approval_reason: str
    approvers: tuple[str, ...]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Plan:
    """One row of `tieout.period_plan`."""

    plan_id: int
    link: str
    label: str
    first: date
    last: date
    run_id: UUID
    made_at: datetime
    state: State
    hash: str
    records: int
    unchanged: int
    in_flight: int
    new_customers: int
    needs_approval: bool
    approval_reason: str
    approvers: list[str]
    decided_by: str | None
    decided_at: datetime | None
    decided_hash: str | None
    note: str | None
    applied_at: datetime | None

    @property
    def waits(self) -> bool:
        """Nothing of it may be posted before a person approves it."""
        return self.state == "planned" and self.needs_approval


@dataclass(frozen=True, slots=True)
class Total:
    """What the lines of one action come to in one currency. Minor units."""

    action: Action
    currency: str
    documents: int
    before_minor: int
    after_minor: int
    held_minor: int


_COLUMNS = [period_plan.c[name] for name in Plan.__dataclass_fields__]
_LINE = [period_plan_line.c[name] for name in Line.__dataclass_fields__]


def totals_of(lines: Sequence[Line]) -> list[Total]:
    """Sums by action and currency; two currencies are never added."""
    sums: dict[tuple[Action, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for line in lines:
        part = sums[line.action, line.currency or ""]
        for place, value in enumerate((1, line.before_minor, line.after_minor, line.held_minor)):
            part[place] += value
    order = {action: place for place, action in enumerate(ACTIONS)}
    return [Total(*key, *values) for key, values in sorted(sums.items(), key=lambda one: (order[one[0][0]], one[0][1]))]


def lines_hash(link: str, label: str, texts: Sequence[str]) -> str:
    """SHA-256 over everything that the lines say: that of canonical JSON {"label", "lines", "link"}.

    Args:
        texts: canonical JSON of each line.
    """
    start, end = canonical_json({"label": label}).decode(), canonical_json({"link": link}).decode()
    return hashlib.sha256(f'{start[:-1]},"lines":[{",".join(texts)}],{end[1:]}'.encode()).hexdigest()


def _text(line: Line) -> str:
    return canonical_json(_plain(line)).decode()


def _plain(line: Line) -> dict[str, Any]:
    """The line as JSON has it; there are many, and dataclasses.asdict would copy each value deeply."""
    values = {name: getattr(line, name) for name in Line.__dataclass_fields__}
    for name in ("posting_date", "credit_date"):
        if values[name] is not None:
            values[name] = values[name].isoformat()
    return values


def keep(conn: Connection, new: New) -> Plan:
    """Keeps a plan with its lines; what the same run planned before is replaced. Audited."""
    open_before = sa.and_(period_plan.c.run_id == new.run_id, period_plan.c.state.in_(("planned", "approved")))
    conn.execute(sa.update(period_plan).where(open_before).values(state="replaced"))
    values = {name: getattr(new, name) for name in New.__dataclass_fields__ if name not in ("dry", "lines")}
    texts = [_text(line) for line in new.lines]
    made = conn.execute(
        sa.insert(period_plan)
        .values(
            **{**values, "approvers": list(new.approvers)},
            state="dry" if new.dry else "planned",
            hash=lines_hash(new.link, new.label, texts),
        )
        .returning(*_COLUMNS)
    ).one()
    plan = Plan(**made._mapping)
    for start in range(0, len(texts), CHUNK):
        rows = f"[{','.join(texts[start : start + CHUNK])}]"
        conn.execute(_ADD_LINES, {"plan_id": plan.plan_id, "before": start, "rows": rows})
    detail = {"period": new.label, "hash": plan.hash, "state": plan.state, "needs_approval": plan.needs_approval,
              "totals": [asdict(one) for one in totals_of(new.lines)]}  # fmt: skip
    _note(conn, plan, "tieout", "period_plan.made", detail)
    return plan


_TYPES = {
    "before_minor": "bigint", "after_minor": "bigint", "held_minor": "bigint", "posting_date": "date",
    "credit_date": "date",
}  # fmt: skip
_NAMES = [*Line.__dataclass_fields__]
_ADD_LINES = sa.text(
    f"""
    insert into tieout.period_plan_line (plan_id, position, {", ".join(_NAMES)})
    select :plan_id, :before + place, {", ".join(_NAMES)} from rows from (json_to_recordset(cast(:rows as json))
        as ({", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in _NAMES)}))
        with ordinality as x({", ".join(_NAMES)}, place)
    """  # noqa: S608 - names come from the dataclass above
)


def get(conn: Connection, plan_id: int) -> Plan | None:
    """The plan; None when there is none of that id."""
    row = conn.execute(sa.select(*_COLUMNS).where(period_plan.c.plan_id == plan_id)).one_or_none()
    return None if row is None else Plan(**row._mapping)


def of_run(conn: Connection, run_id: UUID) -> Plan | None:
    """The newest plan of a run."""
    query = sa.select(*_COLUMNS).where(period_plan.c.run_id == run_id).order_by(period_plan.c.plan_id.desc()).limit(1)
    row = conn.execute(query).one_or_none()
    return None if row is None else Plan(**row._mapping)


def latest(conn: Connection, link: str | None = None, *, waiting: bool = False, limit: int = 100) -> Sequence[Plan]:
    """Plans, newest first; `waiting`: those that a person has to decide."""
    query = sa.select(*_COLUMNS).order_by(period_plan.c.plan_id.desc()).limit(limit)
    if link is not None:
        query = query.where(period_plan.c.link == link)
    if waiting:
        query = query.where(period_plan.c.state == "planned", period_plan.c.needs_approval)
    return [Plan(**row._mapping) for row in conn.execute(query)]


def lines(conn: Connection, plan_id: int, *, state: str | None = None, limit: int | None = None) -> Sequence[Kept]:
    """The lines of a plan in order; `state`: only those."""
    query = (
        sa.select(period_plan_line.c.position, period_plan_line.c.state, period_plan_line.c.found, *_LINE)
        .where(period_plan_line.c.plan_id == plan_id).order_by(period_plan_line.c.position).limit(limit)
    )  # fmt: skip
    if state is not None:
        query = query.where(period_plan_line.c.state == state)
    return [Kept(position, Line(*values), state_, found) for position, state_, found, *values in conn.execute(query)]


def totals(conn: Connection, plan_id: int) -> list[Total]:
    """As `totals_of`, from the stored lines."""
    rows = conn.execute(
        sa.text(
            "select action, coalesce(currency, '') as currency, count(*) as documents, "
            "cast(sum(before_minor) as bigint), cast(sum(after_minor) as bigint), cast(sum(held_minor) as bigint) "
            "from tieout.period_plan_line where plan_id = :id group by 1, 2"
        ),
        {"id": plan_id},
    )
    order = {action: place for place, action in enumerate(ACTIONS)}
    return sorted((Total(*row) for row in rows), key=lambda one: (order[one.action], one.currency))


def counts(conn: Connection, plan_id: int) -> dict[str, int]:
    """state of the lines -> how many."""
    rows = conn.execute(
        sa.text("select state, count(*) as n from tieout.period_plan_line where plan_id = :id group by 1"),
        {"id": plan_id},
    )
    return {row.state: row.n for row in rows}


def outcomes(conn: Connection, plan: Plan) -> dict[str, int]:
    """outcome (store/documents.py) -> how many of the plan's applied lines have it now."""
    rows = conn.execute(
        sa.text(
            "select d.outcome, count(*) as n from tieout.period_plan_line l "
            "join tieout.document d on d.link = :link and d.object = l.object and d.source_id = l.source_id "
            "where l.plan_id = :id and l.state = 'applied' group by 1 order by 1"
        ),
        {"link": plan.link, "id": plan.plan_id},
    )
    return {row.outcome: row.n for row in rows}


def decide(conn: Connection, plan_id: int, by: str, seen_hash: str, *, agreed: bool, note: str = "") -> Plan:
    """Writes that a person approved what they saw, or sent it back; audited. Saying the same again changes nothing.

    Args:
        seen_hash: the plan's hash as it was shown, or its first characters (SHORTEST_HASH).

    Raises:
        NotAllowed: no name, another hash, decided already, nothing to decide, or not one of the plan's approvers.
    """
    by, wanted = by.strip(), "approved" if agreed else "sent_back"
    if not by:
        raise NotAllowed("a decision needs the name of who makes it")
    locked = conn.execute(
        sa.select(*_COLUMNS).where(period_plan.c.plan_id == plan_id).with_for_update()
    ).one_or_none()  # fmt: skip
    if locked is None:
        raise NotAllowed(f"there is no period plan {plan_id}")
    found = Plan(**locked._mapping)
    given = seen_hash.strip().lower()
    if len(given) < SHORTEST_HASH or not found.hash.startswith(given):
        raise NotAllowed(f"period plan {plan_id}: this is not the hash of what it shows; look at it again")
    if found.decided_by == by and (found.state == wanted or (agreed and found.state == "applied")):
        return found
    if found.state != "planned":
        who = f" by {found.decided_by}" if found.decided_by else ""
        raise NotAllowed(f"period plan {plan_id} of {found.label} is {found.state}{who}: there is nothing to decide")
    if not agreed and not note.strip():
        raise NotAllowed(f"period plan {plan_id}: to send it back needs a reason")
    try:
        with conn.begin_nested():
            row = conn.execute(
                sa.update(period_plan)
                .where(period_plan.c.plan_id == plan_id)
                .values(
                    state=wanted,
                    decided_by=by,
                    decided_at=sa.func.clock_timestamp(),
                    decided_hash=found.hash,
                    note=note.strip() or None,
                )
                .returning(*_COLUMNS)
            ).one()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "42501":
            raise
        raise NotAllowed(str(error.orig).splitlines()[0]) from error
    decided = Plan(**row._mapping)
    _note(conn, decided, by, f"period_plan.{wanted}", {"period": found.label, "hash": found.hash, "note": note})
    return decided


def mark(conn: Connection, plan_id: int, source_ids: Collection[str]) -> None:
    """Writes in the transaction that adds their intents that these lines are applied.

    Raises:
        NotAllowed: the plan is not approved and has to be, or is not to be applied at all; or a line is done already,
            by another try that is at work. Nothing of the transaction may be kept.
    """
    statement = sa.text(
        "update tieout.period_plan_line set state = 'applied' "
        "where plan_id = :id and source_id = any(:ids) and state = 'planned'"
    )
    try:
        done = conn.execute(statement, {"id": plan_id, "ids": list(source_ids)}).rowcount
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "42501":
            raise
        raise NotAllowed(str(error.orig).splitlines()[0]) from error
    if done != len(source_ids):
        raise NotAllowed(f"period plan {plan_id}: another try applied some of its lines meanwhile; start it again")


def mark_changed(conn: Connection, plan_id: int, found: Mapping[str, str]) -> None:
    """Writes that these records (source id -> how they are judged now) are not as they were planned."""
    rows = [{"id": plan_id, "source": source, "found": words} for source, words in found.items()]
    if rows:
        conn.execute(
            sa.text(
                "update tieout.period_plan_line set state = 'changed', found = :found "
                "where plan_id = :id and source_id = :source and state = 'planned'"
            ),
            rows,
        )


def finish(conn: Connection, plan: Plan) -> None:
    """Writes that all of the plan is applied; audited. Called again, it changes nothing.

    Raises:
        DBAPIError: the database refuses a plan that is not approved and has to be.
    """
    statement = sa.update(period_plan).where(period_plan.c.plan_id == plan.plan_id, period_plan.c.state != "applied")
    if conn.execute(statement.values(state="applied", applied_at=sa.func.clock_timestamp())).rowcount:
        _note(conn, plan, "tieout", "period_plan.applied", {"period": plan.label, **counts(conn, plan.plan_id)})


@dataclass(frozen=True, slots=True)
class Dated:
    """Where a link's records and the ledger's invoices are staged, and under which columns they have their day."""

    link: str
    source: str  # connection of the CRM
    target: str  # connection of the ledger
    source_object: str  # the CRM's word for the records
    parts: Parts
    day: str
    number: str
    invoices: str
    invoice_day: str


def in_period(conn: Connection, where: Dated, first: date, last: date) -> dict[str, int]:
    """source id -> highest staging version, of the records that are dated in [first, last], or whose invoice is.

    The oldest come first, and of one day the lower number: the order in which they are judged and posted.
    Table and column names come from StagedEntity, never from data.
    """
    parts = where.parts
    join_whole_tables(conn)
    rows = conn.execute(
        sa.text(
            f"""
            with chosen as (
                select _source_id from staging.{parts.head}
                where _connection = :source and {where.day} between :first and :last
                union
                select i.source_id from staging.{where.invoices} v
                join tieout.intent i on i.target = v._connection and i.vendor_id = v._source_id
                where v._connection = :target and v.{where.invoice_day} between :first and :last and i.link = :link
                  and i.kind = 'invoice' and i.source = :source and i.source_object = :object)
            select h._source_id, greatest(h._version, coalesce(l.version, 0)) as version
            from chosen join staging.{parts.head} h on h._connection = :source and h._source_id = chosen._source_id
            left join (select {parts.parent_column} as parent, max(_version) as version from staging.{parts.lines} s
                join chosen on chosen._source_id = s.{parts.parent_column}
                where s._connection = :source group by 1) l on l.parent = h._source_id
            order by h.{where.day}, coalesce(h.{where.number}, h._source_id) collate "C", h._source_id collate "C"
            """  # noqa: S608 - names of StagedEntity
        ),
        {"link": where.link, "source": where.source, "target": where.target, "object": where.source_object,
         "first": first, "last": last},
    )  # fmt: skip
    return {row._source_id: row.version for row in rows}


def _note(conn: Connection, plan: Plan, by: str, what: str, detail: Mapping[str, Any]) -> None:
    event = audit.Event(by, what, f"period_plan:{plan.plan_id}", detail, plan.run_id)
    audit.append(conn, f"link:{plan.link}", [event])
