"""Bugs of time, leases, fences and the one poster: who may send, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from tests.mutants.planting import Patch, mutant, without
from tieout.connectors.base import Operation
from tieout.delivery import claim, settle, states, worker
from tieout.delivery.session import Poster
from tieout.delivery.simulation.clock import ProcessClock
from tieout.delivery.states import Change, State

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
