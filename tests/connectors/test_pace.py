"""When a call may be made: windows, slots, days, urgent work, and what answers teach. No clock but our own."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from tests.connectors.wires import Time
from tieout.connectors.gate import LocalGate, allowance_of
from tieout.connectors.pace import NEW, Allowance, Ask, Heard, Pace, Wait, admit, answered, useful_workers
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, RateLimited

START = datetime(2026, 1, 1, tzinfo=UTC)
XERO = Allowance(calls=60, window=60.0, concurrent=5, daily=5000)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def asked(
    pace: Pace, moment: float, ticket: str = "t", priority: int = 0, allowance: Allowance = XERO
) -> tuple[Pace, Wait | None]:
    return admit(pace, allowance, Ask(ticket, priority), at(moment))


def let_through(pace: Pace, seconds: float, ticket: str = "t", priority: int = 0) -> Pace:
    pace, wait = asked(pace, seconds, ticket, priority)
    assert wait is None, wait
    return pace


def done(pace: Pace, moment: float, ticket: str = "t", allowance: Allowance = XERO, **heard: Any) -> Pace:
    return answered(pace, allowance, ticket, Heard(**{"seconds": 0.1, **heard}), at(moment))


def used(calls: int, seconds: float = 0.0) -> Pace:
    """So many calls were made and answered at one instant."""
    return Pace(calls=(at(seconds),) * calls, width=5.0)


@dataclass
class Vendor:
    """Counts as Xero does; `refused` are its 429."""

    limit: int = 60
    window: float = 60.0
    concurrent: int = 5
    calls: list[float] = field(default_factory=list)
    open: int = 0
    refused: int = 0

    def arrive(self, now: float) -> tuple[str | None, int]:
        recent = sum(call > now - self.window for call in self.calls)
        problem = "window" if recent >= self.limit else "concurrent" if self.open >= self.concurrent else None
        if problem:
            self.refused += 1
        else:
            self.calls.append(now)
            self.open += 1
        return problem, max(self.limit - recent - 1, 0)


def work(seconds: float, latency: float, workers: int = 5, jitter: float = 0.02, seed: int = 1) -> Vendor:
    """So many workers that always have something to send, for so long. Returns the vendor."""
    random, vendor, pace = Random(seed), Vendor(), NEW
    events: list[tuple[float, int, str]] = [(0.0, worker, "ask") for worker in range(workers)]
    set_out: dict[int, float] = {}
    left: dict[int, int] = {}
    while events[0][0] <= seconds:
        now, worker, what = heapq.heappop(events)
        if what == "ask":
            pace, wait = asked(pace, now, f"{worker}")
            after = wait.seconds + 0.001 if wait else random.random() * jitter
            set_out[worker] = now
            heapq.heappush(events, (now + after, worker, "ask" if wait else "arrive"))
        elif what == "arrive":
            problem, left[worker] = vendor.arrive(now)
            if problem:
                heard: dict[str, Any] = {
                    "fine": False,
                    "problem": problem,
                    "retry_after": 1.0,
                    "window_left": left[worker],
                }
                pace = done(pace, now, f"{worker}", seconds=now - set_out[worker], **heard)
            took = 0.01 if problem else latency * (0.7 + 0.6 * random.random())
            heapq.heappush(events, (now + took, worker, "ask" if problem else "answer"))
        else:
            vendor.open -= 1
            took = now - set_out[worker]
            pace = done(pace, now, f"{worker}", seconds=took, kind="PUT", window_left=left[worker])
            heapq.heappush(events, (now + 0.005, worker, "ask"))
    return vendor


@pytest.mark.parametrize("latency", [0.1, 0.3, 1.0, 3.0])
def test_what_the_vendor_allows_is_used_up_and_nothing_is_refused(latency: float) -> None:
    vendor = work(600, latency)
    assert vendor.refused == 0
    assert len(vendor.calls) >= 0.95 * 600, f"{len(vendor.calls)} of 600 calls"


def test_slow_answers_are_bounded_by_what_may_be_under_way() -> None:
    vendor = work(600, 6.0)
    assert vendor.refused == 0
    assert len(vendor.calls) >= 0.95 * 5 / 6.01 * 600


@pytest.mark.parametrize("seed", range(5))
def test_calls_that_travel_unequally_long_are_seldom_refused(seed: int) -> None:
    vendor = work(600, 0.3, jitter=0.5, seed=seed)
    assert vendor.refused <= 6 and len(vendor.calls) >= 0.95 * 600


def test_a_short_run_is_not_held_up() -> None:
    pace = NEW
    for call in range(30):
        pace = done(let_through(pace, call / 100), call / 100, window_left=59 - call)
    _, wait = asked(pace, 0.31)
    assert wait is not None and wait.why == "window" and 0.5 < wait.seconds < 3


def test_a_full_window_waits_for_its_first_call_to_leave() -> None:
    _, wait = asked(used(60), 10)
    assert wait is not None and wait == Wait(wait.seconds, "window") and wait.seconds == pytest.approx(50.4)
    assert asked(used(60), 60.5)[1] is None


def test_a_call_that_must_not_wait_goes_while_batch_work_keeps_its_distance() -> None:
    pace = used(50)
    waiting, wait = asked(pace, 0.0)
    assert wait is not None
    assert asked(waiting, 0.0, priority=1)[1] is None


def test_batch_work_stands_back_while_an_urgent_call_waits() -> None:
    pace, wait = asked(used(60), 10, "urgent", priority=1)
    assert wait is not None
    pace, batch = asked(pace, 60.4, "batch")
    assert batch is not None and batch.why == "urgent"
    pace = let_through(pace, 60.45, "urgent", priority=1)
    assert asked(pace, 60.5, "batch")[1] is None


def test_an_urgent_call_that_gave_up_holds_nobody_for_long() -> None:
    pace, _ = asked(used(60), 10, "urgent", priority=1)
    assert asked(pace, 62, "batch")[1] is None


def test_slots_are_full_until_an_answer_or_the_end_of_a_lease() -> None:
    pace = let_through(let_through(NEW, 0, "a"), 0, "b")
    _, wait = asked(pace, 1, "c")
    assert wait is not None and wait.why == "concurrent"
    assert asked(done(pace, 1, "a"), 1, "c")[1] is None
    assert asked(pace, 121, "c")[1] is None, "whoever held them was killed"


def test_width_grows_to_what_the_vendor_takes_and_is_halved_once_for_one_round() -> None:
    pace = NEW
    for call in range(20):
        pace = let_through(let_through(pace, call, "a"), call, "b")
        pace = done(done(pace, call + 0.1, "a", window_left=59), call + 0.2, "b", window_left=59)
        pace = replace(pace, calls=())
    assert pace.width == 3.0, "it grows only while all slots are in use: two were"
    pace = Pace(width=5.0)
    for ticket in "abc":
        pace = let_through(pace, 50, ticket)
    for ticket in "abc":
        pace = done(pace, 51, ticket, seconds=1.0, fine=False, problem="concurrent", retry_after=2.0)
    assert pace.width == 2.5 and pace.total_refused == 3
    _, wait = asked(pace, 51)
    assert wait == Wait(2.0, "concurrent")


def test_silence_and_strain_narrow() -> None:
    pace = done(let_through(Pace(width=4.0), 0), 30, seconds=30.0, fine=False)
    assert pace.width == 2.0
    pace = Pace(width=4.0, fastest={"PUT": 0.1}, strain=1.0)
    for call in range(40):
        pace = done(pace, 100.0 * call, "x", seconds=2.0, kind="PUT", window_left=59)
    assert pace.width < 4.0


def test_others_that_use_the_same_allowance_are_counted() -> None:
    pace = done(let_through(NEW, 0), 0.1, window_left=10)
    _, wait = asked(Pace(calls=pace.calls, width=5.0), 0.2)
    assert wait is not None and wait.why == "window"
    ours = used(20)
    assert done(ours, 0.1, window_left=40).calls == ours.calls, "40 left and 20 of ours: nobody else"


def test_a_vendor_without_or_with_a_larger_limit_is_not_paced() -> None:
    for heard in ({"unpaced": True}, {"window_left": 99_000}):
        pace = done(used(60), 0.1, **heard)
        assert asked(pace, 0.2)[1] is None and not pace.has_window
        assert done(pace, 0.3, window_left=3).has_window, "as soon as it says that little is left, it is"


def test_retry_after_closes_for_all() -> None:
    pace = done(let_through(NEW, 0), 1, fine=False, problem="window", retry_after=17.0)
    for priority in (0, 1):
        assert asked(pace, 1, "u", priority)[1] == Wait(17.0, "window")


def test_the_last_calls_of_the_day_are_kept_for_urgent_work() -> None:
    pace = done(let_through(NEW, 0), 0.1, window_left=50, day_left=250)
    _, wait = asked(pace, 1)
    assert wait is not None and wait.why == "day" and wait.seconds == pytest.approx(3599.1)
    assert asked(pace, 1, "u", priority=1)[1] is None
    assert asked(pace, 3601)[1] is None, "an hour later one call asks what is left"


def test_the_owners_cap_ends_at_midnight_and_counts_whatever_the_vendor_says() -> None:
    capped = Allowance(calls=60, concurrent=5, daily=5000, cap=100)
    pace = Pace(day=START.date(), day_calls=95, day_left=4000, day_heard_at=START)
    _, wait = asked(pace, 3600, allowance=capped)
    assert wait == Wait(23 * 3600.0, "day")
    assert asked(pace, 3600, "u", 1, capped)[1] is None
    assert asked(pace, 24 * 3600, allowance=capped)[1] is None


def test_without_a_word_of_the_vendor_the_documented_day_counts() -> None:
    _, wait = asked(Pace(day=START.date(), day_calls=5000), 1)
    assert wait is not None and wait.why == "day"


def test_workers_are_as_many_as_the_rate_needs() -> None:
    pace = Pace(width=5.0, answer_seconds=0.3)
    assert useful_workers(pace, XERO) == 2
    assert useful_workers(Pace(width=5.0, answer_seconds=2.0), XERO) == 4
    assert useful_workers(Pace(width=5.0, answer_seconds=0.3, has_window=False), XERO) == 5
    assert useful_workers(Pace(width=1.4), Allowance()) == 1


def test_a_gate_in_memory_waits_or_says_how_long() -> None:
    time = Time()
    gate = LocalGate("books", Allowance(calls=2, window=10.0), time.clock)
    for _ in range(2):
        gate.leave(gate.enter(0, 60.0, 30.0), Heard(0.1))
    with pytest.raises(RateLimited, match="books: the calls of the minute") as caught:
        gate.enter(0, 3.0, 30.0)
    assert caught.value.retry_after > 3 and gate.pace.total_calls == 2
    ticket = gate.enter(0, 60.0, 30.0)
    assert sum(time.naps) == pytest.approx(10.15, abs=5.1) and gate.pace.slots.keys() == {ticket}
    gate.leave(ticket, None)
    assert gate.pace.slots == {}


def test_a_connection_may_say_otherwise() -> None:
    said = Connection(
        "x", "xero", "h", "", "", {"calls_per_minute": "30", "concurrent_calls": 0, "calls_per_day": 1000}
    )
    assert allowance_of(said, XERO) == Allowance(30, 60.0, None, 5000, 1000)
    with pytest.raises(ConfigurationFault, match="calls_per_day"):
        allowance_of(Connection("x", "xero", "h", "", "", {"calls_per_day": "many"}), XERO)
