"""What a person may do with an intent: look again, accept, cancel, try again, say whose it is. Each is audited.

Nobody may mark an intent as done without a document, nor send one again whose fate is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from tieout.delivery import letters
from tieout.delivery.clock import Clock, system_clock
from tieout.delivery.families import OTHER_WITH_THE_KEY, SHARED
from tieout.delivery.intents import wait_for_other_adders
from tieout.delivery.states import LIVE, Change, Journal, State, apply
from tieout.delivery.uncertain import makes_a_document
from tieout.model.errors import TieoutError
from tieout.store.engine import dumps


class NotPossible(TieoutError):
    """The intent is not in a state in which this may be done; the message says why, and what may be."""


def look_up_again(conn: Connection, intent_id: int, who: str, note: str = "", clock: Clock = system_clock) -> None:
    """Has a HELD intent looked up by the next delivery: equal confirms it, nothing there makes it READY.

    An UNKNOWN one is looked up by itself when its quiet period is over; sooner it would prove nothing.

    Raises:
        NotPossible: it is not HELD, or it waits because another record has its key.
    """
    row = _locked(conn, intent_id, (State.HELD,), "looked up again")
    if row.reason == SHARED:
        raise NotPossible(f"nothing of intent {intent_id} was sent: {row.message}; cancel one of the two")
    journal = Journal(row.target, _actor(who), None, clock.database_now(conn))
    change = Change(
        intent_id,
        State.HELD,
        State.UNKNOWN,
        reason="look_up_again",
        message=f"{who} asked for another look-up",
        not_before=max(row.not_before or journal.now, journal.now),
        detail=_noted(note),
    )
    _make(conn, journal, change)


def accept(
    conn: Connection,
    intent_id: int,
    who: str,
    *,
    creates: bool,
    vendor_id: str,
    vendor_number: str | None = None,
    content: Mapping[str, Any] | None = None,
    note: str = "",
    clock: Clock = system_clock,
) -> None:
    """Takes the vendor's document as the one that a HELD intent was to make: CONFIRMED, crosswalk origin `approved`.

    Args:
        creates: the intent's operation makes a document (connectors/base.py); only then is there a crosswalk row.
        vendor_id: of the vendor's document.
        content: the document as the vendor has it, for write-back.

    Raises:
        NotPossible: it is not HELD, or the crosswalk gives the document to another of ours.
    """
    row = _locked(conn, intent_id, (State.HELD,), "accepted")
    journal = Journal(row.target, _actor(who), None, clock.database_now(conn))
    values = {
        "id": intent_id,
        "vendor_id": vendor_id,
        "number": vendor_number,
        "who": who,
        "now": journal.now,
        "evidence": dumps({"intent_id": intent_id, "note": note}),
    }
    if creates:
        conn.exec_driver_sql(_APPROVE, values)
        taken = conn.exec_driver_sql(_TAKEN, {**values, "target": row.target, "doc_uid": row.doc_uid}).all()
        others = [other for other in taken if (other.doc_uid, other.vendor_id) != (row.doc_uid, vendor_id)]
        if others:
            already = f"{others[0].vendor_id} stands for document {others[0].doc_uid}"
            raise NotPossible(f"{vendor_id} cannot stand for document {row.doc_uid}: in the crosswalk {already}")
    change = Change(
        intent_id,
        State.HELD,
        State.CONFIRMED,
        reason="accepted",
        message=f"{who} accepted it",
        vendor_id=vendor_id,
        vendor_number=vendor_number,
        answer=dumps(content) if content else None,
        detail=_noted(note),
    )
    _make(conn, journal, change)


def accept_as(conn: Connection, intent_id: int, who: str, vendor_id: str, note: str = "") -> None:
    """`accept` as a page or a shell does it, where nobody has the vendor's declarations at hand.

    The crosswalk row says by the operation's name whether there is one (uncertain.makes_a_document). The document's
    content comes with the next extract.

    Raises:
        NotPossible: as `accept`, or what was given cannot be an id.
    """
    if not _ID.fullmatch(vendor_id):
        raise NotPossible("a vendor's id has 1 to 100 characters and no blanks")
    operation = conn.exec_driver_sql(
        "select operation from tieout.intent where intent_id = %(id)s", {"id": intent_id}
    ).scalar_one_or_none()
    if operation is None:
        raise NotPossible(f"there is no intent {intent_id}")
    accept(conn, intent_id, who, creates=makes_a_document(operation), vendor_id=vendor_id, note=note)


_ID = re.compile(r"\S{1,100}")


def adopt(
    conn: Connection, intent_id: int, who: str, vendor_id: str, vendor_number: str | None, note: str,
    clock: Clock = system_clock,
) -> None:  # fmt: skip
    """Says that the vendor has the document of an intent that was just added and never sent: it is not sent.

    Raises:
        NotPossible: as `accept`, or something of it may have been sent.
    """
    row = _locked(conn, intent_id, (State.READY,), "adopted")
    sends = conn.exec_driver_sql("select sends from tieout.intent where intent_id = %(id)s", {"id": intent_id})
    if sends.scalar_one():
        raise NotPossible(f"intent {intent_id} may have been sent: look it up")
    journal = Journal(row.target, _actor(who), None, clock.database_now(conn))
    words = f"the ledger has it already: {vendor_number or vendor_id}"
    apply(conn, journal, [Change(intent_id, State.READY, State.HELD, reason="there_already", message=words)])
    journal.write(conn)
    accept(conn, intent_id, who, creates=True, vendor_id=vendor_id, vendor_number=vendor_number, note=note, clock=clock)


def cancel(conn: Connection, intent_id: int, who: str, note: str, clock: Clock = system_clock) -> None:
    """Gives up a READY or HELD intent. What the vendor may have of it is the person's to settle, and in the note.

    Raises:
        NotPossible: it is in another state; an UNKNOWN one has to be looked up first.
    """
    row = _locked(conn, intent_id, (State.READY, State.HELD), "cancelled")
    journal = Journal(row.target, _actor(who), None, clock.database_now(conn))
    change = Change(
        intent_id,
        State(row.state),
        State.CANCELLED,
        reason="cancelled_by_person",
        message=f"{who} cancelled it",
        detail=_noted(note),
    )
    _make(conn, journal, change)


def try_again(conn: Connection, intent_id: int, who: str, note: str = "", clock: Clock = system_clock) -> None:
    """Has a REJECTED intent sent again, the same bytes, after its cause was mended outside (a period reopened, an
    account made). Only where every send got a definite no and no later revision exists.

    Raises:
        NotPossible: it is not REJECTED, something of it may have been applied, a later revision took its place,
            another record has its key by now, or its period has been closed.
    """
    targets = conn.exec_driver_sql("select target from tieout.intent where intent_id = %(id)s", {"id": intent_id})
    for (target,) in targets:
        wait_for_other_adders(conn, target)  # nobody plans another record with its key meanwhile
    row = _locked(conn, intent_id, (State.REJECTED,), "tried again")
    found = conn.exec_driver_sql(_MAY_TRY, {"id": intent_id}).one()
    if found.may_be_there:
        raise NotPossible(f"intent {intent_id} got an answer that was not a definite no: look the document up first")
    if found.rival is not None:
        raise NotPossible(f"the key of intent {intent_id} is that of {found.rival} by now: cancel that one first")
    if found.later:
        raise NotPossible(f"intent {intent_id} has a later revision, which is what counts now")
    if found.closed is not None:
        raise NotPossible(
            f"intent {intent_id} is dated {found.posting_date}, and {found.closed_by} closed {found.closed} of "
            f"{found.link} on {found.closed_at:%Y-%m-%d}: ask for the period to be reopened (`tieout period reopen "
            f"{found.link} {found.closed}`), or let the record be planned anew with a date in an open period"
        )
    journal = Journal(row.target, _actor(who), None, clock.database_now(conn))
    change = Change(
        intent_id,
        State.REJECTED,
        State.READY,
        reason="tried_again",
        message=f"{who} ordered another attempt",
        detail=_noted(note),
    )
    _make(conn, journal, change)


def assign(conn: Connection, intent_id: int, who: str, owner: str, note: str = "", clock: Clock = system_clock) -> None:
    """Says whose it is to look after an intent that is not settled, or that was refused. Its state does not change.

    Args:
        owner: a person or a team; the open dead letters of the record go to them too.

    Raises:
        NotPossible: it is settled.
    """
    row = _locked(conn, intent_id, _ASSIGNABLE, "assigned")
    journal = Journal(row.target, _actor(who), None, clock.database_now(conn))
    was = conn.exec_driver_sql("select owner from tieout.intent where intent_id = %(id)s", {"id": intent_id})
    facts = {"from": was.scalar_one(), "to": owner, **_noted(note)}
    # `updated_at` stays: since when something is held is not changed by whose it is.
    conn.exec_driver_sql(
        "update tieout.intent set owner = %(owner)s where intent_id = %(id)s", {"owner": owner, "id": intent_id}
    )
    letters.hand_over(conn, intent_id, owner)
    journal.note("intent.assigned", intent_id, facts)
    journal.write(conn)


_ASSIGNABLE = (*sorted(LIVE), State.REJECTED)
_APPROVE = """
insert into tieout.crosswalk (link, target, entity, vendor_id, vendor_number, doc_uid, source, source_object, source_id,
    origin, evidence, decided_by, created_at)
select link, target, entity, %(vendor_id)s, %(number)s, doc_uid, source, source_object, source_id, 'approved',
    %(evidence)s::jsonb, %(who)s, %(now)s
from tieout.intent where intent_id = %(id)s
on conflict do nothing
"""
_TAKEN = """
select vendor_id, doc_uid from tieout.crosswalk
where target = %(target)s and (doc_uid = %(doc_uid)s or (vendor_id = %(vendor_id)s
    and entity = (select entity from tieout.intent where intent_id = %(id)s)))
"""
# Uncertain sends before the refusal were settled by a look-up that found nothing after their quiet period.
_MAY_TRY = f"""
select ({OTHER_WITH_THE_KEY}) as rival,
    exists (select from tieout.attempt a where a.intent_id = i.intent_id and a.kind = 'send'
        and (a.outcome is null or a.outcome = 'applied')) as may_be_there,
    exists (select from tieout.intent later where later.source = i.source and later.source_object = i.source_object
        and later.source_id = i.source_id and later.link = i.link and later.kind = i.kind and later.target = i.target
        and later.revision > i.revision) as later,
    i.link, i.posting_date, p.label as closed, p.changed_by as closed_by, p.changed_at as closed_at
from tieout.intent i left join tieout.period p
    on p.link = i.link and i.posting_date between p.first and p.last and p.state = 'closed'
where i.intent_id = %(id)s
"""  # noqa: S608 - a constant of families


def _locked(conn: Connection, intent_id: int, states: tuple[State, ...], what: str) -> Any:
    row = conn.exec_driver_sql(
        "select target, doc_uid, state, source_id, not_before, reason, message from tieout.intent "
        "where intent_id = %(id)s for update",
        {"id": intent_id},
    ).one_or_none()
    if row is None:
        raise NotPossible(f"there is no intent {intent_id}")
    if row.state not in states:
        raise NotPossible(f"intent {intent_id} is {row.state}; only {' or '.join(states)} can be {what}")
    return row


def _make(conn: Connection, journal: Journal, change: Change) -> None:
    apply(conn, journal, [change], by_person=True)
    letters.close(conn, [change.intent_id])
    journal.write(conn)


def _actor(who: str) -> str:
    return f"person:{who}"


def _noted(note: str) -> dict[str, str]:
    return {"note": note} if note else {}
