"""What the source and people do to a record while deliveries run: plan, revise, void, and what a person may order.

Each act goes through the public functions of delivery, in a transaction of its own. What a revised or cancelled source
leads to is judged as scenarios/revisions.py does: what was never sent is replaced or cancelled, what is confirmed is
updated or voided, and where the fate is open it waits and is judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from tieout.delivery import intents, people
from tieout.delivery.intents import NewIntent
from tieout.delivery.simulation.documents import Document
from tieout.delivery.simulation.oracle import Broken
from tieout.delivery.simulation.plan import Doc
from tieout.delivery.simulation.world import World, natural_key
from tieout.delivery.states import State
from tieout.model.errors import Retriable

#: Operations at which a person can have taken the number, or made the same document by hand.
TAKEABLE = ("natural.create", "bare.create")
#: Which state each order of a person needs.
ALLOWED = {
    "look_up_again": (State.HELD,),
    "accept": (State.HELD,),
    "cancel": (State.READY, State.HELD),
    "try_again": (State.REJECTED,),
}


def plan_slice(world: World, who: str, numbers: Sequence[int]) -> None:
    """A run plans these records. Planning one again must find the same intent (S13)."""
    docs = [doc for doc in world.plan.docs if doc.number in numbers]
    wanted = [world.create(doc) for doc in docs]
    with world.engine.begin() as conn:
        added = intents.add(conn, wanted, world.next_run(), f"run:{who}", world.clock)
        again = [uid for uid in added.new if uid in world.planned]
        if again or added.conflicting:
            raise Broken("S13", f"planning again added {len(again)} and changed {len(added.conflicting)} documents")
    world.remember(wanted, added.new)
    world.happens(who, "plan", f"records {[doc.number for doc in docs]}: {len(added.new)} new")


def act(world: World, who: str, what: str, number: int) -> None:
    """Does it now, or notes why it cannot be done. A database that is locked or gone defers it."""
    doc = world.doc(number)
    if doc is None:
        return
    try:
        if what == "repeat":
            plan_slice(world, who, [each.number for each in world.plan.docs])
        elif what in ("foreign", "foreign_equal"):
            _foreign(world, who, doc, equal=what == "foreign_equal")
        elif what == "foreign_gone":
            _foreign_gone(world, who, doc)
        elif what in ("revise", "void"):
            _change_source(world, who, what, doc)
        else:
            _order(world, who, what, doc)
    except Retriable as error:
        if what in ("revise", "void"):
            world.deferred.append((what, number))
        world.happens(who, what, f"record {number}: later, {type(error).__name__}")


def again(world: World, who: str) -> bool:
    """Judges deferred changes of the source once more. Whether one of them was made."""
    waiting, world.deferred = world.deferred, []
    for what, number in waiting:
        act(world, who, what, number)
    return len(world.deferred) < len(waiting)


# -- the source ------------------------------------------------------------------------------------------------------


def _change_source(world: World, who: str, what: str, doc: Doc) -> None:
    if doc.pays or world.has_twin(doc) or doc.number in world.wanted_void:
        return
    if what == "void" and world.is_named(doc.number):
        return  # what others rest on is not cancelled here: its children would be held for ever
    with world.engine.begin() as conn:
        rows = _intents(conn, world, doc)
        if not rows:
            world.deferred.append((what, doc.number))
            return
        world.met["act", what, rows[-1].state] += 1
        done = _revise(conn, world, who, doc, rows) if what == "revise" else _void(conn, world, who, doc, rows)
    if not done:
        world.deferred.append((what, doc.number))
    elif what == "void":
        world.wanted_void.add(doc.number)
    world.happens(who, what, f"record {doc.number}, {rows[-1].state}: {'done' if done else 'later'}")


def _revise(conn: Connection, world: World, who: str, doc: Doc, rows: Sequence[Any]) -> bool:
    last = rows[-1]
    revision = last.revision + 1
    creates = last.operation == doc.operation
    if world.is_named(doc.number) and (doc.refuse or last.state == State.CANCELLED):
        return True  # its children name the first revision: a new one would not help them
    if creates and last.state in (State.CANCELLED, State.REJECTED):
        return _add(conn, world, who, world.create(doc, revision))
    if creates and doc.refuse and last.revision == 1 and last.state != State.CONFIRMED:
        return False  # whether there will be a document to update is open
    made = last.revision if creates else max(row.revision for row in rows if row.operation == doc.operation)
    never_sent = last.state in (State.READY, State.HELD) and last.sends == 0
    if never_sent and not world.is_named(doc.number):
        later = world.create(doc, revision) if creates else world.update(doc, revision, made)
        replaced = intents.supersede(conn, [(last.doc_uid, later)], world.next_run(), f"run:{who}", world.clock)
        world.remember([later], replaced.added.new)
        if not replaced.refused:
            world.content[doc.number] = revision
        return not replaced.refused
    return _add(conn, world, who, world.update(doc, revision, made))


def _void(conn: Connection, world: World, who: str, doc: Doc, rows: Sequence[Any]) -> bool:
    last = rows[-1]
    made = [row for row in rows if row.operation == doc.operation]
    if last.state in (State.READY, State.HELD) and last.sends == 0 and last is made[-1]:
        gone = intents.cancel(
            conn, world.target, [last.doc_uid], world.next_run(), f"run:{who}", "source_cancelled", world.clock
        )
        return last.doc_uid in gone
    if last is made[-1] and last.state in (State.REJECTED, State.CANCELLED):
        return True
    if last.state not in (State.CONFIRMED, State.REJECTED, State.CANCELLED) or made[-1].state != State.CONFIRMED:
        return False
    return _add(conn, world, who, world.void(doc, made[-1].revision))


def _add(conn: Connection, world: World, who: str, intent: NewIntent) -> bool:
    added = intents.add(conn, [intent], world.next_run(), f"run:{who}", world.clock)
    world.remember([intent], added.new)
    if intent.kind == "invoice":
        world.content[int(intent.source_id)] = intent.revision
    return True


def _intents(conn: Connection, world: World, doc: Doc) -> Sequence[Any]:
    """The record's intents but voids, by revision; the rows are locked, so that their states stay."""
    return conn.exec_driver_sql(
        "select intent_id, doc_uid, kind, operation, revision, state, sends, reason from tieout.intent "
        "where source = %(source)s and source_object = 'Order' and source_id = %(id)s and target = %(target)s "
        "and kind <> 'void' order by revision for update",
        {"source": world.crm, "id": str(doc.number), "target": world.target},
    ).all()


# -- people ----------------------------------------------------------------------------------------------------------


def _foreign(world: World, who: str, doc: Doc, *, equal: bool) -> None:
    """A person enters a document under the record's number, another one or exactly ours."""
    if doc.operation not in TAKEABLE or doc.parent is not None or doc.refuse is not None:
        return
    number = natural_key(doc)
    if doc.operation == "natural.create" and world.ledger.live(number):
        return  # the ledger refuses a second one to people as well
    body = world.create(doc).body if equal else b'{"number": "%s", "amount": 777}' % number.encode()
    world.ledger.make(number, body)
    world.touched.add(doc.number)
    world.happens(who, "foreign", f"a person enters {number}, {'equal to' if equal else 'different from'} ours")


def _foreign_gone(world: World, who: str, doc: Doc) -> None:
    for document in world.ledger.live(natural_key(doc)):
        if document.stamp is None and not _is_adopted(world, document.vendor_id):
            world.ledger.remove(document)
            world.happens(who, "foreign_gone", f"the person's {document.natural_key} is voided")


def _is_adopted(world: World, vendor_id: str) -> bool:
    """Does Tieout take it for ours already? Then nobody removes it any more."""
    found = world.watch.execute(
        "select 1 from tieout.intent where target = %s and vendor_id = %s union all "
        "select 1 from tieout.crosswalk where target = %s and vendor_id = %s",
        (world.target, vendor_id, world.target, vendor_id),
    )
    return found.fetchone() is not None


def _order(world: World, who: str, what: str, doc: Doc) -> None:
    """A person orders something; where it may not be done, it must be refused."""
    row = None
    try:
        with world.engine.begin() as conn:
            rows = _intents(conn, world, doc)
            if not rows or (what == "accept" and rows[-1].state == State.HELD and not _live(world, doc)):
                return  # nobody accepts a document that is not there
            row = rows[-1]
            world.met["act", what, row.state] += 1
            _obey(conn, world, what, doc, row)
    except people.NotPossible:
        world.happens(who, what, f"record {doc.number}, {row.state if row else '?'}: refused")
        return
    if row.state not in ALLOWED[what]:
        raise Broken("S8", f"a person could {what} an intent that is {row.state}")
    world.touched.add(doc.number)
    world.happens(who, what, f"record {doc.number}, {row.state}: done")


def _obey(conn: Connection, world: World, what: str, doc: Doc, row: Any) -> None:
    name, note, clock = "ann", "simulated", world.clock
    match what:
        case "look_up_again":
            people.look_up_again(conn, row.intent_id, name, note, clock)
        case "cancel":
            people.cancel(conn, row.intent_id, name, note, clock)
            _settle_by_hand(world, row)
        case "try_again":
            people.try_again(conn, row.intent_id, name, note, clock)
            if doc.refuse == "period_locked":
                world.ledger.lifted.add(natural_key(doc))  # the period was reopened
        case "accept":
            live = _live(world, doc)
            vendor_id = live[0].vendor_id if live else "v-unknown"
            creates = world.operation(row.operation).creates
            people.accept(conn, row.intent_id, name, creates=creates, vendor_id=vendor_id, note=note, clock=clock)


def _live(world: World, doc: Doc) -> list[Document]:
    world.ledger.arrive()
    return world.ledger.live(natural_key(doc))


def _settle_by_hand(world: World, row: Any) -> None:
    """Who cancels a held intent looks at what the ledger has of it, and voids that."""
    if row.state == State.HELD:
        world.ledger.arrive()
        for document in world.ledger.documents:
            if document.stamp == row.doc_uid and document.is_live:
                world.ledger.remove(document)
