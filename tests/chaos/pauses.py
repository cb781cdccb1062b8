"""Campaigns: workers that are stopped past their lease and go on again, and clocks that jump."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence

from tests.chaos.company import LEDGER
from tests.chaos.kills import SMALL
from tests.chaos.nursery import Child
from tests.chaos.report import Tally
from tests.chaos.worker import GONE, LEASE_OF_A_SEND
from tests.chaos.world import Run, World
from tieout.delivery.deliver import CRASH_POINTS

#: Points at which a worker holds something while it is stopped; giving back is not among them (it needs a refusal).
STOPS = tuple(point for point in CRASH_POINTS if "release" not in point and "look_up" not in point)
#: Seconds until a worker must have come to its point.
PATIENCE = 30.0


def stopped_past_the_lease(
    world: World, times: int, runs: int, orders: int = 40, points: Sequence[str] = STOPS
) -> Tally:
    """SIGSTOP at a named point, until the lease is over and others have taken the work; then SIGCONT to all at once.

    Args:
        times: workers stopped at each point, in all runs together.
    """
    tally, chance = Tally("SIGSTOP past the lease, then SIGCONT"), random.Random(3)
    everywhere = [*points] * times
    for number in range(runs):
        with world.run(orders) as run:
            run.prepare("credit_memo")
            stopped = [child for point in everywhere[number::runs] if (child := _stop_at(run, point, chance))]
            assert stopped
            time.sleep(LEASE_OF_A_SEND)
            others = [run.start(patience=60.0) for _ in range(2)]
            time.sleep(2.0)
            for child in stopped:
                child.signal(signal.SIGCONT)
            tally.add(run, *run.settle(), hits=len(stopped))
            for child in [*stopped, *others]:
                assert child.wait() in (0, GONE), run.world.log
    return tally


def _stop_at(run: Run, point: str, chance: random.Random) -> Child | None:
    """A worker that is stopped at the point; None when it never came there."""
    kind = chance.choice(("credit_memo", "invoice"))
    child = run.start(kinds=[kind], targets=[LEDGER], point=point, how="stop", rounds=2, **SMALL)
    end = time.monotonic() + PATIENCE
    while child.poll() is None and not child.is_stopped:
        assert time.monotonic() < end, f"never stopped at {point}\n{run.world.log}"
        run.world.nursery.listen(0.02)
    return child if child.is_stopped else None


# --- clocks -----------------------------------------------------------------------------------------------------------

HOUR = 3600.0


def process_clock_leaps(world: World, runs: int, orders: int = 30) -> Tally:
    """Each worker's monotonic clock leaps an hour ahead in the middle of its work, as after a pause that nobody saw."""
    tally = Tally("process clock leaps an hour ahead")
    for number in range(runs):
        with world.run(orders) as run:
            workers = [run.start(jump=HOUR, seed=10 * number + one, **SMALL) for one in range(6)]
            for child in workers:
                assert child.wait() == 0, world.log
            # What they had marked as sent when the clock leapt was not sent: they were too late by their own clock.
            hits = run.count("select count(*) from tieout.attempt where outcome = 'not_sent'")
            assert hits, "no leap fell between a mark and its send"
            tally.add(run, *run.settle(), hits=hits)
    return tally


def database_clock_goes_back(world: World, runs: int, orders: int = 30) -> Tally:
    """The database's time goes an hour back while workers work, and later is right again.

    It comes forward while nothing is on its way: workers that run are killed, and a second passes. A leap ahead over a
    request that is on its way would end its quiet period too early; see docs/chaos.md.
    """
    tally = Tally("database clock an hour back and right again")
    for _ in range(runs):
        with world.run(orders) as run:
            workers = [run.start(shifted=True, patience=60.0, **SMALL) for _ in range(3)]
            run.wait_for_sends(orders)
            _shift(run, -HOUR)
            run.wait_for_sends(orders)
            run.kill_some(workers)
            time.sleep(1.0)
            _shift(run, 0.0)
            tally.add(run, *run.settle(), hits=2)
    return tally


def database_clock_leaps_ahead(world: World, runs: int, orders: int = 30) -> Tally:
    """The database's time leaps an hour ahead, again and again, while numbered documents are on their way.

    Every lease and quiet period ends at once; what Xero's unique invoice numbers (and changes that name their record)
    guard must still be there once. Documents without such a guard are not part of it.
    """
    tally = Tally("database clock leaps ahead under numbered documents")
    guarded = ["invoice", "invoice_change", "customer_change", "void"]
    for _ in range(runs):
        with world.run(orders) as run:
            run.prepare("invoice")
            workers = [run.start(shifted=True, kinds=guarded, patience=60.0, **SMALL) for _ in range(3)]
            for leap in range(1, 6):
                run.wait_for_sends(orders // 3)
                _shift(run, leap * HOUR)
            _join(workers, run)
            _shift(run, 0.0)
            tally.add(run, *run.settle(), hits=5)
    return tally


def _shift(run: Run, seconds: float) -> None:
    with run.engine.begin() as conn:
        conn.exec_driver_sql("update chaos_clock set shift = make_interval(secs => %s)", (seconds,))


def _join(workers: Sequence[Child], run: Run) -> None:
    for child in workers:
        assert child.wait() == 0, run.world.log
