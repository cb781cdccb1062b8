"""Several workers of one process: each document once, one error ends all, what waits is told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import LIMITS, child, intent, plan, run, states
from tests.support.invariants import check_always, check_ended
from tests.support.ledger import MemoryLedger, VirtualClock
from tieout.connectors.base import Request
from tieout.delivery.crew import Progress, deliver_by_crew
from tieout.delivery.limits import DeliverySummary
from tieout.model.errors import AuthenticationFailed


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(VirtualClock())


def crew(
    engine: Engine, ledger: MemoryLedger, workers: int = 3, met: threading.Barrier | None = None
) -> DeliverySummary:
    """`met`: the first so many workers begin together."""
    begun: list[int] = []

    def one(number: int, progress: Progress) -> DeliverySummary:
        begun.append(number)
        if met is not None and len(begun) <= met.parties:
            met.wait(30)
        return run(engine, ledger, f"w{number}", on_progress=progress, limits=replace(LIMITS, claim_intents=10))

    return deliver_by_crew(one, lambda: workers, workers)


def test_all_is_posted_once_and_the_summaries_are_added_up(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(n, "short.create") for n in range(200)], ledger.clock)
    summary = crew(engine, ledger, met=threading.Barrier(3))
    assert summary.states["CONFIRMED"] == summary.sent == summary.outcomes["applied"] == 200
    assert summary.waiting == {} and summary.stopped is None and summary.asked_to_wait is None
    check_always(engine, ledger, "books")
    check_ended(engine, terminal=("CONFIRMED",))


def test_a_short_delivery_has_one_worker(engine: Engine, ledger: MemoryLedger) -> None:
    names: list[int] = []

    def one(number: int, progress: Progress) -> DeliverySummary:
        names.append(number)
        return DeliverySummary(claimed=0)

    assert deliver_by_crew(one, lambda: 5, 5).sent == 0
    assert names == [0]


def test_what_only_one_may_post_is_posted_by_one(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(n, "bare.create") for n in range(30)], ledger.clock)
    crew(engine, ledger, met=threading.Barrier(3))
    check_always(engine, ledger, "books")
    assert len(ledger.documents) == 30


def test_children_that_become_ready_are_taken(engine: Engine, ledger: MemoryLedger) -> None:
    parents = [intent(f"p{n}") for n in range(20)]
    plan(engine, [*parents, *[child(parent, f"c{n}") for n, parent in enumerate(parents)]], ledger.clock)
    crew(engine, ledger)
    assert set(states(engine).values()) == {"CONFIRMED"}


def test_an_error_ends_all_and_nothing_stays_claimed(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(n, "short.create") for n in range(200)], ledger.clock)
    count: list[int] = []

    def refuse(requests: Sequence[Request]) -> None:
        count.append(len(requests))
        if len(count) == 5:
            raise AuthenticationFailed("the token is refused")

    ledger.before_send = refuse
    with pytest.raises(AuthenticationFailed):
        crew(engine, ledger, met=threading.Barrier(3))
    found = set(states(engine).values())
    assert found == {"CONFIRMED", "READY"}, found
    ledger.before_send = lambda requests: None
    crew(engine, ledger)
    assert len(ledger.documents) == 200


def test_a_limit_that_one_meets_is_told_although_another_ended_later(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(n) for n in range(20)], ledger.clock)
    limited = replace(ledger, faults=iter(["throttled"] * 9))
    both, limit_met = threading.Barrier(2), threading.Event()

    def one(number: int, progress: Progress) -> DeliverySummary:
        # Told apart by their targets: the first meets the limit while the second still works.
        if number == 0:
            both.wait(30)
        elif not limit_met.is_set():
            both.wait(30)
            limit_met.wait(30)
        try:
            target = limited if number == 0 else ledger
            return run(engine, target, f"w{number}", limits=replace(LIMITS, claim_intents=10), on_progress=progress)
        finally:
            limit_met.set()

    summary = deliver_by_crew(one, lambda: 2, 2)
    assert summary.outcomes == {"throttled": 10, "applied": 10}
    assert summary.asked_to_wait is not None and summary.due_in is not None and 0 < summary.due_in <= 7
