"""Several workers at once, paused workers, workers that die: fences, leases, one poster."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import LIMITS, intent, plan, rows, run, run_until_settled, states
from tests.support.invariants import check_always, check_ended, sees_committed_intent
from tests.support.ledger import OPERATIONS, MemoryLedger, VirtualClock
from tieout.delivery.clock import system_clock
from tieout.delivery.deliver import CRASH_POINTS, deliver_until_settled
from tieout.delivery.limits import DeliverySummary


class Died(BaseException):
    """As a kill: nothing of ours may catch it and tidy up."""


def dies_at(point: str, *, time: int = 1) -> Callable[[str], None]:
    """A `crash` that ends the worker when it comes to the point for the n-th time."""
    left = [time]

    def crash(here: str) -> None:
        if here == point:
            left[0] -= 1
            if left[0] == 0:
                raise Died(point)

    return crash


def meanwhile_at(point: str, what: Callable[[], object]) -> Callable[[str], None]:
    """A `crash` that pauses the worker at the point, once, while something else happens."""
    left = [1]

    def crash(here: str) -> None:
        if here == point and left[0]:
            left[0] = 0
            what()

    return crash


@pytest.fixture
def ledger(engine: Engine) -> MemoryLedger:
    books = MemoryLedger(VirtualClock())
    books.before_send = sees_committed_intent(engine, lambda: books)
    return books


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_at_once_share_the_work_and_post_each_once(engine: Engine, ledger: MemoryLedger, workers: int) -> None:
    plan(engine, [intent(n, "short.create") for n in range(200)], ledger.clock)
    with ThreadPoolExecutor(workers) as pool:
        sent = list(pool.map(lambda number: run(engine, ledger, f"w{number}").sent, range(workers)))
    assert sum(sent) == len(ledger.documents) == 200
    check_always(engine, ledger, "books")
    check_ended(engine, terminal=("CONFIRMED",))


@pytest.mark.parametrize("operation", [name for name, each in OPERATIONS.items() if each.creates])
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_worker_that_dies_anywhere_leaves_nothing_lost_or_doubled(
    engine: Engine, ledger: MemoryLedger, point: str, operation: str
) -> None:
    plan(engine, [intent(n, operation) for n in range(4)], ledger.clock)
    if point in ("after_lease", "before_lease_commit", "after_look_up", "before_look_up_commit"):
        ledger.faults = iter(["lost_answer"] * 4)
        run(engine, ledger)
        ledger.clock.sleep(40)
    elif point in ("before_expire_commit", "after_expire"):
        with pytest.raises(Died):
            run(engine, ledger, crash=dies_at("after_send"))
        ledger.clock.sleep(LIMITS.lease_seconds + 1)
    elif "release" in point:
        ledger.faults = iter(["throttled"])
        plan(engine, [intent(n, operation) for n in range(4, 15)], ledger.clock)
    with pytest.raises(Died):
        run(engine, ledger, "w1", crash=dies_at(point))
    check_always(engine, ledger, "books")
    run_until_settled(engine, ledger, worker="w2")
    check_always(engine, ledger, "books")
    check_ended(engine, terminal=("CONFIRMED",))


def test_a_worker_paused_past_its_lease_before_the_mark_sends_nothing(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1, "short.create")], ledger.clock)

    def another() -> None:
        ledger.clock.sleep(LIMITS.lease_seconds + 1)
        assert run(engine, ledger, "w2").states == {"CONFIRMED": 1}

    summary = run(engine, ledger, "w1", crash=meanwhile_at("after_claim", another))
    assert (summary.sent, summary.lost) == (0, 1)
    assert len(ledger.sent) == 1
    check_always(engine, ledger, "books")


def test_a_worker_paused_past_its_lease_before_the_send_sends_nothing(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1, "short.create")], ledger.clock)
    summary = run(
        engine, ledger, "w1", crash=meanwhile_at("before_send", lambda: ledger.clock.sleep(LIMITS.lease_seconds - 9))
    )
    # Nobody took it over: it is READY again, and the same call goes on to send it in time.
    assert summary.outcomes == {"not_sent": 1, "applied": 1}
    assert len(ledger.sent) == 1
    check_always(engine, ledger, "books")


def test_a_paused_worker_does_not_decide_over_the_one_that_took_over(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1, "short.create")], ledger.clock)

    def another() -> None:
        # The first worker's send is out, its answer on the way; its lease ends.
        ledger.clock.sleep(LIMITS.lease_seconds + 1)
        assert run(engine, ledger, "w2").sent == 0
        assert states(engine) == {"1": "UNKNOWN"}
        ledger.clock.sleep(40)
        assert run(engine, ledger, "w2").outcomes == {"found_equal": 1}

    summary = run(engine, ledger, "w1", crash=meanwhile_at("after_send", another))
    assert (summary.lost, summary.states) == (1, {})
    assert states(engine) == {"1": "CONFIRMED"}
    outcomes = rows(engine, "select kind, outcome from tieout.attempt order by attempt_id")
    assert outcomes == [{"kind": "send", "outcome": "applied"}, {"kind": "look_up", "outcome": "found_equal"}]
    check_always(engine, ledger, "books")


def test_the_quiet_period_of_a_lost_worker_starts_at_its_last_possible_send(
    engine: Engine, ledger: MemoryLedger
) -> None:
    plan(engine, [intent(1, "short.create")], ledger.clock)
    with pytest.raises(Died):
        run(engine, ledger, "w1", crash=dies_at("before_send"))
    ledger.clock.sleep(LIMITS.lease_seconds + 0.01)
    # It might have sent until 50 s (lease less time-out); quiet until 85 s, not until 35 s.
    assert run(engine, ledger, "w2").due_in == pytest.approx(25.0, abs=0.1)
    ledger.clock.sleep(20)
    assert run(engine, ledger, "w2").looked_up == 0
    run_until_settled(engine, ledger, worker="w2")
    check_ended(engine, terminal=("CONFIRMED",))


def test_one_poster_at_a_time_where_the_vendor_guards_nothing(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(n, "bare.create") for n in range(3)] + [intent("d", "durable.create")], ledger.clock)
    limits = replace(LIMITS, claim_intents=2)

    def another() -> None:
        summary = run(engine, ledger, "w2", limits=limits)
        assert summary.states == {"CONFIRMED": 1}  # the guarded one alone
        assert summary.waiting["READY"] == 1

    run(engine, ledger, "w1", limits=limits, crash=meanwhile_at("before_send", another))
    check_ended(engine, terminal=("CONFIRMED",))
    check_always(engine, ledger, "books")
    # The lock did not go back to the pool with the session.
    held = rows(engine, "select count(*) as n from pg_locks where locktype = 'advisory'")
    assert held == [{"n": 0}]


def test_waiting_until_settled_is_bounded_by_patience(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(1, "short.create")], ledger.clock)
    short = deliver_until_settled(lambda: run(engine, ledger), 30.0, ledger.clock)
    assert len(short) == 1 and short[0].due_in is not None
    long = deliver_until_settled(lambda: run(engine, ledger), 60.0, ledger.clock)
    assert long[-1].due_in is None
    assert states(engine) == {"1": "CONFIRMED"}


def test_waiting_for_another_worker_ends_when_that_one_is_done(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1, "short.create")], ledger.clock)
    waited: list[float] = []

    def another() -> None:
        def once() -> DeliverySummary:
            waited.append(ledger.clock.seconds)
            return run(engine, ledger, "w2")

        deliver_until_settled(once, 5.0, ledger.clock)

    run(engine, ledger, "w1", crash=meanwhile_at("after_claim", another))
    assert [round(at) for at in waited] == [0, 2, 4]  # its lease has a minute to go
    assert len(ledger.sent) == 1


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no such clock")
def test_the_deadline_before_a_send_is_on_a_clock_that_counts_a_suspended_machine() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = system_clock.monotonic()
    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)
