"""Planning: intents are added, each document once, and replaced while nothing of them was sent.

What is to be posted is decided by scenarios; when it is posted by deliver.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from tieout.delivery import families, letters
from tieout.delivery.bodies import digest, named_in
from tieout.delivery.clock import Clock, system_clock
from tieout.delivery.states import Change, Journal, State, apply
from tieout.delivery.uncertain import makes_a_document
from tieout.model.errors import Retriable
from tieout.store import periods
from tieout.store.engine import dumps

#: Intents in one statement.
CHUNK = 5_000
_SEPARATOR = "\x1f"


class ClosedPeriod(Retriable):
    """A document is dated in a period of the link that is closed: planned anew it is held, or dated in an open one."""


@dataclass(frozen=True, slots=True)
class NewIntent:
    """What is to be done in a target, exactly once.

    Attributes:
        link: name of the link; target: connection name of the system that is written.
        doc_uid: identity of the document (model/identity.py).
        kind: customer, invoice, credit_memo, allocation, void, write_back.
        operation: the connector's word: `contacts.create`, `invoices.create` ...
        revision: business revision, from 1; a later one waits until the earlier is settled.
        source, source_object, source_id: the record it comes from; source is a connection name.
        natural_key: what a look-up searches for.
        idempotency_key: for the vendor's own guard.
        body: the frozen bytes; may hold `{{vendor_id:<doc_uid>}}`.
        depends_on: doc_uids in the same target that must be in the crosswalk first; those that the body names count
            without being said.
        currency, amount_minor: what is counted; None where the document has no amount.
        frozen: facts that must not change later: rate, rate date, mapping hash.
        entity: the crosswalk's word for the document that a creating operation makes: account, invoice, credit_memo.
        owner: who acts when it is held.
        source_system, source_entity: system and common entity of the source record (`salesforce`, `order`): its staging
            table, by which a dead letter is shown and replayed. Empty: the source's and the object's names.
        priority: 0 is batch work; higher is claimed and sent first.
        posting_date: the document's date in the books, in the link's time zone: that of an invoice that is voided. None
            where it has none there: a customer, a write-back, a draft that is deleted.
    """

    link: str
    target: str
    doc_uid: str
    kind: str
    operation: str
    revision: int
    source: str
    source_object: str
    source_id: str
    natural_key: str
    idempotency_key: str
    body: bytes = field(repr=False)
    entity: str
    depends_on: tuple[str, ...] = ()
    currency: str | None = None
    amount_minor: int | None = None
    frozen: Mapping[str, Any] = field(default_factory=dict)
    owner: str = "finance"
    source_system: str = ""
    source_entity: str = ""
    priority: int = 0
    posting_date: date | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` did, by doc_uid. `conflicting`: the same doc_uid is there with another body and stays as it is."""

    new: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    conflicting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Superseded:
    """What `supersede` did. `refused`: old doc_uids that the vendor may have; their successors were not added."""

    added: Added
    cancelled: tuple[str, ...]
    refused: tuple[str, ...]


_PLAIN = {
    "link": "text",
    "target": "text",
    "doc_uid": "text",
    "kind": "text",
    "operation": "text",
    "entity": "text",
    "revision": "int",
    "source": "text",
    "source_object": "text",
    "source_id": "text",
    "source_system": "text",
    "source_entity": "text",
    "natural_key": "text",
    "idempotency_key": "text",
    "body": "bytea",
    "currency": "text",
    "amount_minor": "bigint",
    "owner": "text",
    "priority": "smallint",
    "posting_date": "date",
}
_INSERT = f"""
insert into tieout.intent ({", ".join(_PLAIN)}, depends_on, frozen, run_id, created_at, updated_at)
select {", ".join(f"t.{name}" for name in _PLAIN)}, string_to_array(t.depends_on, chr(31)), t.frozen::jsonb,
    %(run_id)s, %(now)s, %(now)s
from unnest({", ".join(f"%({name})b::{type_}[]" for name, type_ in _PLAIN.items())}, %(depends_on)b::text[],
    %(frozen)b::text[])
    with ordinality as t({", ".join(_PLAIN)}, depends_on, frozen, position)
order by t.position
on conflict (target, doc_uid) do nothing
returning intent_id, doc_uid
"""  # noqa: S608 - constants of this module; values are bound

_THERE = """
select doc_uid, body, operation from tieout.intent where target = %(target)s and doc_uid = any(%(uids)s)
"""


def add(conn: Connection, intents: Sequence[NewIntent], run_id: UUID, actor: str, clock: Clock = system_clock) -> Added:
    """Adds intents with an audit row each, in the caller's transaction: staging, outcome and intent commit together.

    A document that has an intent already is never overwritten: the same body is nothing new, another body is reported.
    One whose natural key is that of another record's document is HELD at once (families.hold_shared).
    Adding for one target waits until another transaction that adds for it has ended.

    Args:
        conn: in a transaction.
        intents: parents before children is best, but not needed.
        run_id: the sync run that plans them.
        actor: for the audit row, such as `run:transform`.

    Raises:
        ClosedPeriod: one of them is dated in a closed period (the database says so); nothing is added.
    """
    new: list[str] = []
    same: list[str] = []
    conflicting: list[str] = []
    for target in sorted({intent.target for intent in intents}):
        _one_adder(conn, target)
        unique = _first_of_each([i for i in intents if i.target == target], same, conflicting)
        for start in range(0, len(unique), CHUNK):
            chunk = unique[start : start + CHUNK]
            inserted = _insert(conn, chunk, Journal(target, actor, run_id, clock.database_now(conn)))
            new += inserted
            _compare(conn, target, [i for i in chunk if i.doc_uid not in inserted], same, conflicting)
    return Added(tuple(new), tuple(same), tuple(conflicting))


def cancel(
    conn: Connection,
    target: str,
    doc_uids: Collection[str],
    run_id: UUID,
    actor: str,
    reason: str,
    clock: Clock = system_clock,
) -> frozenset[str]:
    """Cancels intents of which nothing can have reached the vendor; the others stay.

    Args:
        reason: stable code, such as `superseded` or `source_cancelled`.

    Returns:
        The doc_uids that are cancelled (now, or were before).
    """
    rows = conn.exec_driver_sql(_CANCELLABLE, {"target": target, "uids": list(doc_uids)}).all()
    journal = Journal(target, actor, run_id, clock.database_now(conn))
    changes = [
        Change(row.intent_id, State(row.state), State.CANCELLED, reason=reason)
        for row in rows
        if row.state in (State.READY, State.HELD) and not row.may_be_there
    ]
    cancelled = apply(conn, journal, changes)
    letters.close(conn, [row.intent_id for row in rows if row.intent_id in cancelled])
    journal.write(conn)
    return frozenset(r.doc_uid for r in rows if r.intent_id in cancelled or r.state == State.CANCELLED)


def supersede(
    conn: Connection,
    replacements: Sequence[tuple[str, NewIntent]],
    run_id: UUID,
    actor: str,
    clock: Clock = system_clock,
) -> Superseded:
    """Cancels intents that were never sent and adds their new revisions, all in the caller's transaction.

    Args:
        replacements: (doc_uid of the old intent, its successor in the same target).
    """
    cancelled: set[str] = set()
    for target in sorted({intent.target for _, intent in replacements}):
        _one_adder(conn, target)
        old = [uid for uid, intent in replacements if intent.target == target]
        cancelled |= cancel(conn, target, old, run_id, actor, "superseded", clock)
    added = add(conn, [intent for uid, intent in replacements if uid in cancelled], run_id, actor, clock)
    refused = tuple(uid for uid, _ in replacements if uid not in cancelled)
    return Superseded(added, tuple(sorted(cancelled)), refused)


# An answer that never came, or was not definite, may stand for a document that exists.
_CANCELLABLE = """
select i.intent_id, i.doc_uid, i.state,
    i.state = 'HELD' and (i.reason in ('found_different', 'several_found') or right(i.reason, 6) = '_taken')
        or exists (select from tieout.attempt a where a.intent_id = i.intent_id and a.kind = 'send'
            and coalesce(a.outcome, 'uncertain') in ('uncertain', 'applied')) as may_be_there
from tieout.intent i where i.target = %(target)s and i.doc_uid = any(%(uids)s)
order by i.intent_id for update of i
"""


def wait_for_other_adders(conn: Connection, target: str) -> None:
    """Until this transaction ends nobody else adds intents for the target: what is read now stays true for `add`."""
    _one_adder(conn, target)


def _one_adder(conn: Connection, target: str) -> None:
    # Two transactions that add the same documents in two steps would otherwise wait for each other.
    conn.exec_driver_sql(
        "select pg_advisory_xact_lock(hashtextextended('tieout.add:' || %(target)s::text, 0))", {"target": target}
    )


def _first_of_each(intents: Sequence[NewIntent], same: list[str], conflicting: list[str]) -> list[NewIntent]:
    first: dict[str, NewIntent] = {}
    for intent in intents:
        known = first.setdefault(intent.doc_uid, intent)
        if known is not intent:
            _judge(intent, known.body, known.operation, same, conflicting)
    return list(first.values())


def _judge(intent: NewIntent, body: bytes, operation: str, same: list[str], conflicting: list[str]) -> None:
    equal = bytes(body) == intent.body and operation == intent.operation
    (same if equal else conflicting).append(intent.doc_uid)


def _compare(
    conn: Connection, target: str, there: Sequence[NewIntent], same: list[str], conflicting: list[str]
) -> None:
    if not there:
        return
    wanted = {intent.doc_uid: intent for intent in there}
    for row in conn.exec_driver_sql(_THERE, {"target": target, "uids": list(wanted)}):
        _judge(wanted[row.doc_uid], row.body, row.operation, same, conflicting)


def _insert(conn: Connection, chunk: Sequence[NewIntent], journal: Journal) -> dict[str, int]:
    try:
        rows = conn.exec_driver_sql(_INSERT, {**_columns(chunk), "run_id": journal.run_id, "now": journal.now})
    except DBAPIError as error:
        if periods.kept_out(error):
            raise ClosedPeriod(periods.in_words(error)) from error
        raise
    ids = {row.doc_uid: row.intent_id for row in rows}
    for intent in chunk:
        if intent.doc_uid in ids:
            journal.note(
                "intent.created",
                ids[intent.doc_uid],
                {
                    "doc_uid": intent.doc_uid,
                    "operation": intent.operation,
                    "revision": intent.revision,
                    "source": f"{intent.source}:{intent.source_object}:{intent.source_id}",
                    "currency": intent.currency,
                    "amount_minor": intent.amount_minor,
                    "body": digest(intent.body),
                },
            )
    making = [ids[i.doc_uid] for i in chunk if i.doc_uid in ids and makes_a_document(i.operation)]
    families.hold_shared(conn, journal, making)
    journal.write(conn)
    return ids


def _columns(chunk: Sequence[NewIntent]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [getattr(intent, name) for intent in chunk] for name in _PLAIN}
    columns["depends_on"] = [_SEPARATOR.join(dict.fromkeys((*i.depends_on, *sorted(named_in(i.body))))) for i in chunk]
    columns["source_system"] = [intent.source_system or intent.source for intent in chunk]
    columns["source_entity"] = [intent.source_entity or intent.source_object for intent in chunk]
    columns["frozen"] = [dumps(intent.frozen) for intent in chunk]
    return columns
