"""The audit trail: append-only chains of events in which each hash covers the one before.

The database refuses UPDATE, DELETE and TRUNCATE by a trigger (a guard against mistakes). Whoever can switch the trigger
off still has to make every later hash anew, and the head: `verify` shows what does not fit. What is worth an event is
decided by those who append.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.identity import canonical_json
from tieout.store.encoding import clean_text
from tieout.store.engine import dumps
from tieout.store.tables import audit_event, audit_head

#: `prev_hash` of a chain's first event.
GENESIS = "0" * 64
#: Events in one statement, and rows fetched at a time when a chain is checked.
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        actor: who: a person's name, `tieout`, a worker.
        event: what, in the past tense of a machine: `intent.created`, `alias.approved`.
        subject: of what: `intent:123`, `dead_letter:9`.
        detail: facts; Decimals, dates and UUIDs are kept as texts. No secrets.
        at: when, where the caller keeps time; the database's clock otherwise.
    """

    actor: str
    event: str
    subject: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    run_id: UUID | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place where a chain does not hold."""

    chain: str
    seq: int
    what: str


def append(conn: Connection, chain: str, events: Sequence[Event]) -> None:
    """Adds events to the chain's end, in order, in the caller's transaction; others wait until that ends."""
    if not events:
        return
    head = _locked_head(conn, chain)
    timed = all(event.at is not None for event in events)
    now = None if timed else conn.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    rows, previous = [], head.hash
    for seq, event in enumerate(events, start=head.seq + 1):
        row = {
            "chain": chain,
            "seq": seq,
            "at": event.at or now,
            "actor": clean_text(event.actor),
            "event": event.event,
            "subject": clean_text(event.subject),
            "run_id": event.run_id,
            "detail": _plain(event.detail),
        }
        row |= {"prev_hash": previous, "hash": _hash(previous, row)}
        previous = row["hash"]
        rows.append(row)
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        columns = {name: [row[name] for row in batch] for name in _TYPES}
        end = {"of": chain, "last": batch[-1]["seq"], "tip": batch[-1]["hash"]}
        conn.exec_driver_sql(_INSERT, {**columns, "detail": [dumps(detail) for detail in columns["detail"]], **end})


_TYPES = {
    "chain": "text", "seq": "bigint", "at": "timestamptz", "actor": "text", "event": "text", "subject": "text",
    "run_id": "uuid", "detail": "text", "prev_hash": "text", "hash": "text",
}  # fmt: skip
# One statement for a batch and the chain's new end: delivery appends several events for each intent.
_INSERT = f"""
with moved as (update tieout.audit_head set seq = %(last)s, hash = %(tip)s where chain = %(of)s)
insert into tieout.audit_event ({", ".join(_TYPES)})
select {", ".join("detail::jsonb" if name == "detail" else name for name in _TYPES)}
from unnest({", ".join(f"%({name})b::{type_}[]" for name, type_ in _TYPES.items())}) as t({", ".join(_TYPES)})
"""  # noqa: S608 - constants of this module; values are bound


def _locked_head(conn: Connection, chain: str) -> sa.Row[Any, Any]:
    """The chain's end, locked until the transaction ends; a chain that is new gets one."""
    query = "select seq, hash from tieout.audit_head where chain = %(chain)s for update"
    head = conn.exec_driver_sql(query, {"chain": chain}).one_or_none()
    if head is not None:
        return head
    conn.execute(
        sa.text("insert into tieout.audit_head (chain, seq, hash) values (:chain, 0, :hash) on conflict do nothing"),
        {"chain": chain, "hash": GENESIS},
    )
    return conn.exec_driver_sql(query, {"chain": chain}).one()


def verify(conn: Connection, chain: str) -> Broken | None:
    """Reads a whole chain and says where it is broken first; None when it holds. Memory stays flat."""
    rows = conn.execution_options(yield_per=BATCH).execute(
        sa.select(audit_event).where(audit_event.c.chain == chain).order_by(audit_event.c.seq)
    )
    seq, previous = 0, GENESIS
    for row in rows.mappings():
        seq += 1
        if row["seq"] != seq:
            return Broken(chain, seq, f"event {seq} is missing; the next one there is {row['seq']}")
        if row["prev_hash"] != previous:
            return Broken(chain, seq, "its prev_hash is not the hash of the event before")
        if row["hash"] != _hash(previous, dict(row)):
            return Broken(chain, seq, "its hash does not fit its content: it was changed")
        previous = row["hash"]
    head = conn.execute(sa.select(audit_head).where(audit_head.c.chain == chain)).mappings().one_or_none()
    if head is None:
        return Broken(chain, 0, "the chain has events and no head") if seq else None
    if (head["seq"], head["hash"]) != (seq, previous):
        return Broken(chain, seq + 1, f"the head says {head['seq']} events, {seq} are there: the end was cut off")
    return None


def chains(conn: Connection) -> list[str]:
    """The names of all chains, those that lost their head too."""
    named = sa.union(sa.select(audit_head.c.chain), sa.select(audit_event.c.chain)).order_by("chain")
    return list(conn.execute(named).scalars())


def _hash(previous: str, row: Mapping[str, Any]) -> str:
    content = {name: row[name] for name in ("chain", "seq", "actor", "event", "subject", "detail")}
    content["at"] = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    content["run_id"] = None if row["run_id"] is None else str(row["run_id"])
    return hashlib.sha256(previous.encode() + canonical_json(content)).hexdigest()


def _plain(value: Any) -> Any:
    """The value as JSON that is read back the same: numbers with a point would not be, so they become texts."""
    if isinstance(value, Mapping):
        return {clean_text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"an audit event cannot hold a {type(value).__name__}")
