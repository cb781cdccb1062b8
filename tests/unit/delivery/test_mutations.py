"""Bugs of the protocol, planted on purpose: the simulation has to find each, or its silence means nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import LIMITS
from tests.support.ledger import VirtualClock
from tests.support.simulation import EMPTY, Schedule
from tieout.connectors.base import Operation
from tieout.delivery import claim, judge, settle, states, worker
from tieout.delivery.judge import Verdict
from tieout.delivery.states import Change, State, apply

#: Schedules within which a planted bug has to show.
WITHIN = 60


def no_quiet_period(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Operation, "quiet_period", property(lambda self: timedelta(0)))


def errors_count_as_not_applied(patch: pytest.MonkeyPatch) -> None:
    def retry(operation: Operation, reason: str, message: str, http_status: int | None = None) -> Verdict:
        return Verdict(State.READY, "uncertain", reason, message)

    patch.setattr(judge, "uncertain", retry)
    patch.setattr(worker, "uncertain", retry)


def errors_count_as_refused(patch: pytest.MonkeyPatch) -> None:
    def reject(operation: Operation, reason: str, message: str, http_status: int | None = None) -> Verdict:
        return Verdict(State.REJECTED, "uncertain", reason, message)

    patch.setattr(judge, "uncertain", reject)
    patch.setattr(worker, "uncertain", reject)


def a_lost_worker_had_sent_nothing(patch: pytest.MonkeyPatch) -> None:
    def expire(conn, journal, target, operation_of, most):  # type: ignore[no-untyped-def]
        rows = conn.exec_driver_sql(claim._EXPIRED, {"target": target, "now": journal.now, "most": most}).all()
        return len(apply(conn, journal, [Change(row.intent_id, State(row.state), State.READY) for row in rows]))

    patch.setattr(claim, "expire", expire)


def quiet_period_from_the_mark(patch: pytest.MonkeyPatch) -> None:
    # The worker may have been paused between the mark and the send.
    def from_the_mark(change: Change) -> Change:
        if change.to is not State.UNKNOWN or change.not_before is None:
            return change
        return replace(change, not_before=change.not_before - timedelta(seconds=LIMITS.lease_seconds - 10.0))

    def made(conn, journal, changes):  # type: ignore[no-untyped-def]
        return apply(conn, journal, [from_the_mark(change) for change in changes])

    patch.setattr(claim, "apply", made)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    for module, name in ((settle, "_STILL_OURS"), (states, "_APPLY"), (claim, "_MARK")):
        sql = getattr(module, name)
        without = sql.replace("i.fence = t.fence", "true").replace("and i.state = t.was", "")
        without = without.replace("and i.state = 'CLAIMED' and i.worker = %(worker)s", "")
        assert without != sql
        patch.setattr(module, name, without)


def no_deadline_before_the_send(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(VirtualClock, "monotonic", lambda self: 0.0)


def the_batch_ends_as_one(patch: pytest.MonkeyPatch) -> None:
    def all_or_nothing(operation, requests, answers):  # type: ignore[no-untyped-def]
        one = judge.judge_answer(operation, answers[0]) if answers else uncertain(operation, "none", "no answer")
        return {request.doc_uid: one for request in requests}

    uncertain = judge.uncertain

    patch.setattr(worker, "judge_batch", all_or_nothing)


def the_body_is_made_anew(patch: pytest.MonkeyPatch) -> None:
    count = [0]

    def fill(body: bytes, known: object) -> bytes:
        count[0] += 1
        return body.replace(b'"amount": 1000', b'"amount": 1000, "attempt": %d' % count[0])

    patch.setattr(worker, "fill", fill)


MUTATIONS = (
    no_quiet_period,
    errors_count_as_not_applied,
    errors_count_as_refused,
    a_lost_worker_had_sent_nothing,
    quiet_period_from_the_mark,
    no_fence,
    no_deadline_before_the_send,
    the_batch_ends_as_one,
    the_body_is_made_anew,
)


@pytest.mark.parametrize("plant", MUTATIONS)
def test_a_planted_bug_is_found(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    plant(monkeypatch)
    for seed in range(WITHIN):
        with engine.begin() as conn:
            conn.exec_driver_sql(EMPTY)
        try:
            Schedule(seed, engine).run()
        except (AssertionError, KeyError):
            return
    pytest.fail(f"{plant.__name__} was not found within {WITHIN} schedules")
