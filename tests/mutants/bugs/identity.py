"""Bugs of bytes, keys, families and revisions: what is sent, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tests.mutants.planting import Patch, mutant, without
from tieout.delivery import claim, families, intents, states, worker
from tieout.delivery.simulation.world import World
from tieout.delivery.states import Change, State
from tieout.model import identity

# -- bytes and keys --------------------------------------------------------------------------------------------------


@mutant("send", "lost_request")
def body_is_made_anew(patch: Patch) -> None:
    """Each send has other bytes."""
    count = [0]

    def fill(body: bytes, known: Mapping[str, str]) -> bytes:
        count[0] += 1
        return right(body, known).replace(b'"record"', b'"attempt": %d, "record"' % count[0])

    right = worker.fill
    patch.setattr(worker, "fill", fill)


@mutant("send", "lost_request")
def key_with_the_attempt(patch: Patch) -> None:
    """The idempotency key names the attempt."""

    def request(self: Any, each: Any, known: Any) -> Any:
        made = right(self, each, known)
        return replace(made, idempotency_key=f"{made.idempotency_key}:{each.sends}")

    right = worker.Worker._request
    patch.setattr(worker.Worker, "_request", request)


@mutant()
def identity_with_the_run(patch: Patch) -> None:
    """A document's identity, and with it its key, is made of the run's id as well."""
    runs = [0]

    def next_run(self: World) -> Any:
        runs[0] += 1
        return right(self)

    right = World.next_run
    patch.setattr(World, "next_run", next_run)
    honest = identity.doc_uid
    patch.setattr(identity, "doc_uid", lambda *parts: honest(*parts[:3], f"{parts[3]}:{runs[0]}", *parts[4:]))


# -- families and revisions ------------------------------------------------------------------------------------------


@mutant("send", "lost_answer")
def children_before_their_parents(patch: Patch) -> None:
    """A child goes out although its parent's id is not known."""
    sql = claim._CLAIM_READY
    start, end = sql.index("not exists (select from unnest(i.depends_on)"), sql.index("and (i.revision <= 1")
    patch.setattr(claim, "_CLAIM_READY", sql[:start] + "true\n    " + sql[end:])
    right = worker.fill

    def fill(body: bytes, known: Mapping[str, str]) -> bytes:
        with suppress(KeyError):
            return right(body, known)
        return body

    patch.setattr(worker, "fill", fill)


@mutant("send", "late", "document.update")
def later_revision_does_not_wait(patch: Patch) -> None:
    """A later revision goes out while an earlier one is open."""
    without(patch, claim, "_CLAIM_READY", ("e.revision < i.revision and", "false and"))


@mutant("found", "equal", "durable.create")
def second_record_with_a_key_is_not_held(patch: Patch) -> None:
    """Two records that share a natural key are both sent: the second writes over the first."""
    patch.setattr(families, "hold_shared", lambda conn, journal, intent_ids: 0)


@mutant("found", "equal", "durable.create")
def second_record_waits_for_ever(patch: Patch) -> None:
    """A record whose key is free again stays held."""
    without(patch, families, "_TO_PUT_BACK", ("and r.state not in ('REJECTED','CANCELLED')", ""))


@mutant("point", "held_open")
def children_are_never_held(patch: Patch) -> None:
    """Children of a failed parent stay READY, and nobody looks at them."""
    patch.setattr(families, "hold", lambda conn, journal: 0)


@mutant("act", "try_again", "REJECTED")
def children_are_never_put_back(patch: Patch) -> None:
    """Children of a failed parent stay held when it is mended."""
    patch.setattr(families, "put_back", lambda conn, journal: 0)


@mutant("act", "void", "UNKNOWN")
def cancelled_although_sent(patch: Patch) -> None:
    """The source's cancellation cancels an intent that the vendor may have."""
    without(patch, intents, "_CANCELLABLE", ("coalesce(a.outcome, 'uncertain') in ('uncertain', 'applied')", "false"))
    patch.setattr(states, "BY_MACHINE", states.BY_MACHINE | {(State.UNKNOWN, State.CANCELLED)})
    right = intents.cancel

    def cancel(conn: Any, target: str, doc_uids: Any, run_id: Any, actor: str, reason: str, clock: Any) -> Any:
        sql = "select intent_id from tieout.intent where target = %(t)s and doc_uid = any(%(u)s) and state = 'UNKNOWN'"
        rows = conn.exec_driver_sql(sql, {"t": target, "u": list(doc_uids)}).all()
        journal = states.Journal(target, actor, run_id, clock.database_now(conn))
        states.apply(conn, journal, [Change(row.intent_id, State.UNKNOWN, State.CANCELLED) for row in rows])
        journal.write(conn)
        return right(conn, target, doc_uids, run_id, actor, reason, clock)

    patch.setattr(intents, "cancel", cancel)
    from tieout.delivery.simulation import acts

    judged = acts._void

    def void(conn: Any, world: Any, who: str, doc: Any, rows: Any) -> bool:
        if rows[-1].state == State.UNKNOWN and rows[-1].operation == doc.operation:
            uid = rows[-1].doc_uid
            return uid in intents.cancel(conn, world.target, [uid], world.next_run(), who, "gone", world.clock)
        return judged(conn, world, who, doc, rows)

    patch.setattr(acts, "_void", void)
