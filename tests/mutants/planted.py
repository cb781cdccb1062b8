"""Bugs of the posting protocol, planted on purpose: the simulation has to find each, or its silence means nothing.

Each is a patch that lives here alone. `aim` is the coverage cell, or the first words of it, around which schedules are
made in which the bug should show: `make test` plays those, `make mutants` plays the seeds from 0 on and says how many
it took. How they are run is in hunt.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from tieout.connectors.base import Answer, Found, Operation
from tieout.delivery import claim, families, intents, judge, letters, people, settle, states, worker
from tieout.delivery.judge import Verdict
from tieout.delivery.session import Poster
from tieout.delivery.simulation.clock import ProcessClock
from tieout.delivery.simulation.world import World
from tieout.delivery.states import Change, State
from tieout.model import identity

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutant:
    """One planted bug. `aim`: family, what and perhaps where of the cells in which it should show; empty: any."""

    plant: Callable[[Patch], None]
    aim: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.plant.__name__

    @property
    def what(self) -> str:
        return " ".join((self.plant.__doc__ or "").split())


MUTANTS: list[Mutant] = []


def mutant(*aim: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Registers the function below."""

    def keep(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        MUTANTS.append(Mutant(plant, aim))
        return plant

    return keep


def without(patch: Patch, module: Any, name: str, *parts: tuple[str, str]) -> None:
    """Changes an SQL constant; each part must be in it."""
    sql = getattr(module, name)
    for old, new in parts:
        assert old in sql, f"{name} has no {old!r} any more: mend this mutant"
        sql = sql.replace(old, new)
    patch.setattr(module, name, sql)


# -- time ------------------------------------------------------------------------------------------------------------


@mutant("send", "late")
def no_quiet_period(patch: Patch) -> None:
    """An uncertain send is looked up at once."""
    patch.setattr(Operation, "quiet_period", property(lambda self: timedelta(0)))


@mutant("send", "late")
def quiet_period_without_the_lag(patch: Patch) -> None:
    """The quiet period ends when a late request is applied, not when a look-up is sure to show it."""
    quiet = property(lambda self: timedelta(seconds=self.time_out + self.latest_apply))
    patch.setattr(Operation, "quiet_period", quiet)


@mutant("send", "lost_answer")
def look_up_before_the_quiet_period(patch: Patch) -> None:
    """A look-up does not wait until it is due."""
    without(
        patch, claim, "_CLAIM_UNKNOWN", ("(i.not_before is null or i.not_before <= %(now)s)", "%(now)s is not null")
    )


@mutant("point", "dies", "after_send")
def quiet_period_from_the_mark(patch: Patch) -> None:
    """The quiet period of a lost worker's intent begins at the mark, though it may have been paused before the send."""

    def made(conn: Any, journal: Any, changes: Sequence[Change], **more: Any) -> Any:
        early = [
            replace(c, not_before=c.not_before - timedelta(seconds=50))
            if c.to is State.UNKNOWN and c.not_before is not None
            else c
            for c in changes
        ]
        return states.apply(conn, journal, early, **more)

    patch.setattr(claim, "apply", made)


@mutant("point", "pause", "before_send")
def no_deadline_before_the_send(patch: Patch) -> None:
    """A worker that was paused past its lease sends all the same."""
    patch.setattr(ProcessClock, "monotonic", lambda self: 0.0)


@mutant("point", "pause", "after_claim")
def lease_not_renewed(patch: Patch) -> None:
    """The mark leaves the lease as the claim made it."""
    without(patch, claim, "_MARK", ("lease_until = %(lease)s, ", ""))


@mutant()
def lease_on_the_clock_of_the_process(patch: Patch) -> None:
    """Leases and quiet periods are measured on each process's own date and time."""

    def now(self: ProcessClock, conn: Any) -> Any:
        self.world.database_now(conn)
        return self.wall()

    patch.setattr(ProcessClock, "database_now", now)


# -- claims, fences, posters -----------------------------------------------------------------------------------------


@mutant("point", "held_open", "before_claim_commit")
def claims_without_skip_locked(patch: Patch) -> None:
    """A claim waits for another worker's claim."""
    without(patch, claim, "_CLAIM_READY", ("skip locked", ""))


@mutant("point", "pause")
def no_fence(patch: Patch) -> None:
    """Nobody asks whether the lease is still ours: not the mark, not the confirmation."""
    without(patch, settle, "_STILL_OURS", ("i.fence = t.fence and i.state = t.was", "true"))
    without(patch, states, "_APPLY", ("and i.state = t.was and (t.fence is null or i.fence = t.fence)", ""))
    without(patch, claim, "_MARK", ("i.fence = t.fence and i.state = 'CLAIMED' and i.worker = %(worker)s", "true"))


@mutant("point", "pause", "after_claim")
def sent_without_a_mark(patch: Patch) -> None:
    """Who lost the lease before the mark sends all the same."""

    def mark(conn: Any, journal: Any, batch: Sequence[Any], *arguments: Any, **more: Any) -> dict[int, int]:
        return {each.intent_id: 0 for each in batch} | right(conn, journal, batch, *arguments, **more)

    right = claim.mark_sent
    patch.setattr(claim, "mark_sent", mark)


@mutant("point", "pause")
def late_answer_overwrites(patch: Patch) -> None:
    """A worker that lost its lease writes its answer over what another has found out: a terminal state changes."""
    without(patch, settle, "_STILL_OURS", ("i.fence = t.fence and i.state = t.was", "true"))
    without(patch, states, "_APPLY", ("and i.state = t.was and (t.fence is null or i.fence = t.fence)", ""))


@mutant("point", "pause")
def claim_without_a_new_fence(patch: Patch) -> None:
    """A claim leaves the fence where it was, so that two holders look the same."""
    without(patch, claim, "_CLAIM_READY", ("fence = i.fence + 1, ", ""))
    without(patch, claim, "_CLAIM_UNKNOWN", ("fence = i.fence + 1, ", ""))
    without(patch, states, "_APPLY", ("i.state = t.was and ", ""))
    without(patch, settle, "_STILL_OURS", (" and i.state = t.was", ""))


@mutant("point", "dies")
def lost_worker_had_sent_nothing(patch: Patch) -> None:
    """What was IN_FLIGHT when its worker was lost is READY at once."""

    def expire(conn: Any, journal: Any, target: str, operation_of: Any, most: int) -> int:
        rows = conn.exec_driver_sql(claim._EXPIRED, {"target": target, "now": journal.now, "most": most}).all()
        changes = [Change(row.intent_id, State(row.state), State.READY) for row in rows]
        return len(states.apply(conn, journal, changes))

    patch.setattr(claim, "expire", expire)


@mutant("point", "dies", "after_claim")
def expired_claim_is_unknown(patch: Patch) -> None:
    """What a lost worker had claimed and not sent becomes UNKNOWN, which the state machine does not have."""

    def expire(conn: Any, journal: Any, target: str, operation_of: Any, most: int) -> int:
        rows = conn.exec_driver_sql(claim._EXPIRED, {"target": target, "now": journal.now, "most": most}).all()
        changes = [Change(row.intent_id, State(row.state), State.UNKNOWN, reason="worker_lost") for row in rows]
        return len(states.apply(conn, journal, changes))

    patch.setattr(claim, "expire", expire)


@mutant("point", "dies")
def leases_never_end(patch: Patch) -> None:
    """What a lost worker held stays its own for ever."""
    patch.setattr(claim, "expire", lambda *arguments: 0)


@mutant("send", "lost_answer")
def no_poster_lock(patch: Patch) -> None:
    """Several workers post at once where the vendor guards nothing."""
    patch.setattr(Poster, "take", lambda self: True)


@mutant()
def no_look_before_the_first_send(patch: Patch) -> None:
    """Where the vendor guards nothing, the first send goes out unseen."""

    def all_of_them(self: Any, operation: Any, batch: Any, known: Any, left: Any) -> Any:
        return batch if self.poster.take() else ()

    patch.setattr(worker.Worker, "_not_there_yet", all_of_them)


@mutant()
def mark_after_the_send(patch: Patch) -> None:
    """`sent_at` is written when the answer is there."""

    def send_first(self: Any, operation: Any, batch: Any, requests: Any) -> Any:
        answers = self.target.send(operation, requests)
        patch.setattr(self, "target", _Answers(self.target, answers), raising=True)
        try:
            return right(self, operation, batch, requests)
        finally:
            patch.setattr(self, "target", self.target.target)

    right = worker.Worker._send
    patch.setattr(worker.Worker, "_send", send_first)


@dataclass
class _Answers:
    """A target that has sent already."""

    target: Any
    answers: Any

    def send(self, operation: Any, requests: Any) -> Any:
        return self.answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target, name)


# -- what an answer means --------------------------------------------------------------------------------------------


def _as(patch: Patch, to: State, **more: Any) -> None:
    def verdict(operation: Operation, reason: str, message: str, http_status: int | None = None) -> Verdict:
        return Verdict(to, "uncertain", reason, message, **more)

    patch.setattr(judge, "uncertain", verdict)
    patch.setattr(worker, "uncertain", verdict)


@mutant("send", "error_applied")
def errors_count_as_refused(patch: Patch) -> None:
    """A 5xx, a time-out, a reset are taken for a no."""
    _as(patch, State.REJECTED)


@mutant("send", "error_applied")
def errors_count_as_not_applied(patch: Patch) -> None:
    """A 5xx, a time-out, a reset are taken for "nothing happened": it is sent again."""
    _as(patch, State.READY)


def _missing(patch: Patch, verdict: Verdict) -> None:
    def judged(operation: Any, requests: Sequence[Any], answers: Sequence[Answer]) -> Mapping[str, Verdict]:
        given = {answer.doc_uid for answer in answers}
        return right(operation, requests, answers) | {r.doc_uid: verdict for r in requests if r.doc_uid not in given}

    right = judge.judge_batch
    patch.setattr(worker, "judge_batch", judged)


@mutant("send", "item_missing_not_applied")
def missing_item_counts_as_applied(patch: Patch) -> None:
    """An item that the answer does not name is confirmed."""
    _missing(patch, Verdict(State.CONFIRMED, "applied"))


@mutant("send", "item_missing")
def missing_item_counts_as_refused(patch: Patch) -> None:
    """An item that the answer does not name is rejected."""
    _missing(patch, Verdict(State.REJECTED, "refused", "missing", "missing"))


def _answered(patch: Patch, which: Callable[[Answer], bool], verdict: Callable[[Answer], Verdict]) -> None:
    def judged(operation: Any, answer: Answer, *, alone: bool = True) -> Verdict:
        return verdict(answer) if which(answer) else right(operation, answer, alone=alone)

    right = judge.judge_answer
    patch.setattr(judge, "judge_answer", judged)


@mutant("send", "cut")
def unreadable_200_counts_as_applied(patch: Patch) -> None:
    """A status of 200 is believed although the answer cannot be read."""
    _answered(
        patch,
        lambda answer: answer.outcome == "uncertain" and answer.http_status == 200,
        lambda answer: Verdict(State.CONFIRMED, "applied", vendor_id=f"guessed-{answer.doc_uid}", origin="created"),
    )


@mutant("send", "throttled")
def throttled_counts_as_refused(patch: Patch) -> None:
    """A 429 is taken for a no for ever."""
    _answered(
        patch,
        lambda answer: answer.outcome == "throttled",
        lambda answer: Verdict(State.REJECTED, "refused", "throttled", "429"),
    )


@mutant("send", "throttled")
def throttled_counts_as_applied(patch: Patch) -> None:
    """A 429 is counted as sent."""
    _answered(
        patch,
        lambda answer: answer.outcome == "throttled",
        lambda answer: Verdict(State.CONFIRMED, "applied", vendor_id=f"guessed-{answer.doc_uid}", origin="created"),
    )


@mutant("found", "equal", "natural.create")
def duplicate_number_counts_as_refused(patch: Patch) -> None:
    """A number refused as taken is a rejection, though our own earlier send may have taken it."""
    _answered(
        patch,
        lambda answer: (answer.reason or "").startswith(judge.DUPLICATE),
        lambda answer: Verdict(State.REJECTED, "refused", answer.reason, "taken"),
    )


@mutant("send", "unauthorised")
def expired_token_counts_as_refused(patch: Patch) -> None:
    """A token that expires in mid-batch rejects the documents."""

    def answers(self: Any, operation: Any, requests: Any, latest_start: float) -> Any:
        verdicts, error = right(self, operation, requests, latest_start)
        no = Verdict(State.REJECTED, "refused", "not_allowed", "401")
        return {uid: no if v.reason == "not_allowed" else v for uid, v in verdicts.items()}, error

    right = worker.Worker._answers
    patch.setattr(worker.Worker, "_answers", answers)


@mutant("send", "item_missing_not_applied")
def batch_ends_as_one(patch: Patch) -> None:
    """The first item's answer is every item's."""

    def one_for_all(operation: Any, requests: Sequence[Any], answers: Sequence[Answer]) -> Mapping[str, Verdict]:
        if not answers:
            return right(operation, requests, answers)
        one = judge.judge_answer(operation, answers[0])
        return {request.doc_uid: one for request in requests}

    right = judge.judge_batch
    patch.setattr(worker, "judge_batch", one_for_all)


@mutant("send", "reordered")
def answers_by_position(patch: Patch) -> None:
    """The n-th answer is taken for the n-th item's, whatever it names."""

    def by_position(operation: Any, requests: Sequence[Any], answers: Sequence[Answer]) -> Mapping[str, Verdict]:
        named = [replace(answer, doc_uid=r.doc_uid) for r, answer in zip(requests, answers, strict=False)]
        return right(operation, requests, named)

    right = judge.judge_batch
    patch.setattr(worker, "judge_batch", by_position)


# -- what a look-up means --------------------------------------------------------------------------------------------


def _looked(patch: Patch, which: Callable[[Operation, Sequence[Found]], bool]) -> None:
    """Confirms where `which` says so, with the first that was found or without any."""

    def judged(operation: Operation, found: Sequence[Found], refused_as: str | None = None) -> Verdict:
        if not which(operation, found):
            return right(operation, found, refused_as)
        vendor_id = found[0].vendor_id if found else None
        origin = "found" if operation.creates and found else None
        return Verdict(State.CONFIRMED, "found_equal", vendor_id=vendor_id, origin=origin)  # type: ignore[arg-type]

    right = judge.judge_found
    patch.setattr(worker, "judge_found", judged)


@mutant("send", "lost_request")
def nothing_found_counts_as_applied(patch: Patch) -> None:
    """A look-up that finds nothing confirms."""
    _looked(patch, lambda operation, found: not found)


@mutant("found", "different")
def different_counts_as_equal(patch: Patch) -> None:
    """A look-up that finds a document with other content confirms it."""
    _looked(patch, lambda operation, found: len(found) == 1)


@mutant("found", "many")
def first_of_many(patch: Patch) -> None:
    """Of several live documents under one key the first is taken, and nobody is told."""
    _looked(patch, lambda operation, found: len(found) > 1)


@mutant("send", "lost_answer")
def unknown_for_ever(patch: Patch) -> None:
    """Nothing uncertain is ever looked up."""
    patch.setattr(claim, "unknown", lambda *arguments, **more: [])


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


# -- one transaction, one row ----------------------------------------------------------------------------------------


@mutant("send", "lost_answer")
def audit_row_missing(patch: Patch) -> None:
    """The change to UNKNOWN has no audit row."""

    def note(journal: Any, changes: Any) -> None:
        right(journal, [change for change in changes if change[2] is not State.UNKNOWN])

    right = states.note_changes
    patch.setattr(states, "note_changes", note)


@mutant()
def audit_row_twice(patch: Patch) -> None:
    """A claim is audited twice."""

    def note(journal: Any, changes: Any) -> None:
        right(journal, [*changes, *changes])

    right = states.note_changes
    patch.setattr(claim, "note_changes", note)


@mutant("point", "dies")
def confirmed_in_two_transactions(patch: Patch) -> None:
    """The state is committed first, the crosswalk afterwards."""

    def two(self: Any, name: str, outcomes: Sequence[Any]) -> None:
        bare = [replace(each, verdict=replace(each.verdict, origin=None)) for each in outcomes]
        right(self, name, bare)
        journal = states.Journal(self.name, "worker", None, self.clock.database_now(self.conn))
        with suppress(AttributeError), self.conn.begin():
            settle._cross(self.conn, list(outcomes), journal)

    right = worker.Worker._settle
    patch.setattr(worker.Worker, "_settle", two)


@mutant("point", "dies", "after_confirm")
def fact_after_the_commit(patch: Patch) -> None:
    """The write-back is planned when the confirmation is committed, not with it."""

    def later(self: Any, name: str, outcomes: Sequence[Any]) -> None:
        tell, self.on_confirmed = self.on_confirmed, None
        try:
            right(self, name, outcomes)
        finally:
            self.on_confirmed = tell
        confirmed = [each for each in outcomes if each.verdict.to is State.CONFIRMED]
        if tell is not None and confirmed:
            with self.conn.begin():
                tell(self.conn, confirmed)

    right = worker.Worker._settle
    patch.setattr(worker.Worker, "_settle", later)


@mutant("found", "equal", "durable.create")
def crosswalk_not_one_to_one(patch: Patch) -> None:
    """A confirmation whose document belongs to another intent stays a confirmation."""
    patch.setattr(settle, "_against", lambda outcome, owner_of, id_of: outcome)


@mutant("point", "held_open")
def dead_letter_missing(patch: Patch) -> None:
    """What is held or rejected has no letter: nobody finds it."""
    patch.setattr(letters, "write", lambda conn, journal, failed: None)


@mutant("act", "cancel", "HELD")
def dead_letter_never_closed(patch: Patch) -> None:
    """The letter of what was mended stays open."""
    patch.setattr(letters, "close", lambda conn, intent_ids: None)


# -- people ----------------------------------------------------------------------------------------------------------


@mutant("act", "cancel", "UNKNOWN")
def person_may_cancel_what_is_unknown(patch: Patch) -> None:
    """A person cancels an intent whose fate is open."""
    right = people._locked
    patch.setattr(people, "_locked", lambda conn, i, allowed, what: right(conn, i, (*allowed, State.UNKNOWN), what))
    patch.setattr(states, "BY_PERSON", states.BY_PERSON | {(State.UNKNOWN, State.CANCELLED)})


@mutant("act", "try_again", "HELD")
def person_may_send_what_is_held(patch: Patch) -> None:
    """A person has a held intent sent again without a look-up."""
    right = people._locked
    patch.setattr(people, "_locked", lambda conn, i, allowed, what: right(conn, i, (*allowed, State.HELD), what))
    patch.setattr(states, "BY_PERSON", states.BY_PERSON | {(State.HELD, State.READY)})
    made = people._make
    patch.setattr(
        people, "_make", lambda conn, journal, change: made(conn, journal, replace(change, was=_state(conn, change)))
    )


def _state(conn: Any, change: Change) -> State:
    sql = "select state from tieout.intent where intent_id = %(id)s"
    return State(conn.exec_driver_sql(sql, {"id": change.intent_id}).scalar_one())
