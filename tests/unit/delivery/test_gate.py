"""One budget for all workers on a connection, through the store."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import rows
from tieout.connectors.pace import Allowance, Heard
from tieout.connectors.wire import Clock
from tieout.delivery.gate import Line, SharedGate, load
from tieout.model.errors import RateLimited, Retriable
from tieout.store.engine import connect

MANY = Allowance(calls=40, window=3600.0, concurrent=5)


def passes(gate: SharedGate, most: int) -> int:
    """Calls until the gate lets no more through, at most so many."""
    for call in range(most):
        try:
            gate.leave(gate.enter(1, 0.0, 30.0), Heard(0.0, window_left=None))
        except RateLimited:
            return call
    return most


def test_workers_of_many_processes_share_one_window(engine: Engine, database_url: str) -> None:
    engines = [connect(database_url) for _ in range(4)]
    try:
        gates = [SharedGate(each, "books", MANY) for each in engines]
        with ThreadPoolExecutor(4) as pool:
            # Whoever finds all slots taken for a moment asks again, as a worker would.
            made = sum(pool.map(lambda gate: sum(passes(gate, 40) for _ in range(60)), gates))
        assert made == 40
        assert rows(engine, "select total_calls, cardinality(slots) as slots from tieout.pace") == [
            {"total_calls": 40, "slots": 0}
        ]
    finally:
        for each in engines:
            each.dispose()


def test_connections_have_budgets_of_their_own(engine: Engine) -> None:
    assert passes(SharedGate(engine, "books", MANY), 50) == 40
    assert passes(SharedGate(engine, "other", MANY), 50) == 40


def test_the_slot_of_a_killed_worker_ends_by_itself(engine: Engine) -> None:
    gate = SharedGate(engine, "books", Allowance(concurrent=1))
    killed = gate.enter(0, 0.0, 30.0)
    with pytest.raises(RateLimited, match="all calls that may be under way"):
        gate.enter(0, 0.0, 30.0)
    with engine.begin() as conn:
        conn.exec_driver_sql("update tieout.pace set slots_until = array[clock_timestamp()]")
    ticket = gate.enter(0, 0.0, 30.0)
    assert ticket != killed
    gate.leave(killed, Heard(1.0))  # the killed one was only slow: its answer takes nobody else's slot away
    with engine.connect() as conn:
        assert list(load(conn, "books")[0].slots) == [ticket]


def test_what_was_learned_is_there_for_the_next_process(engine: Engine) -> None:
    gate = SharedGate(engine, "books", MANY)
    heard = Heard(2.0, "PUT Invoices 9", day_left=100, day_limit=5000)
    gate.leave(gate.enter(0, 0.0, 30.0), heard)
    with engine.connect() as conn:
        found, now = load(conn, "books")
    assert (found.day_left, found.day_limit, found.fastest) == (100, 5000, {"PUT Invoices 9": 2.0})
    assert found.day_heard_at is not None and now - found.day_heard_at < timedelta(minutes=1)
    with pytest.raises(RateLimited, match="the day's calls are used up, or what is left") as caught:
        SharedGate(engine, "books", MANY).enter(0, 10.0, 30.0)
    assert caught.value.retry_after > 3000


def test_a_store_that_is_gone_lets_nothing_through_and_loses_no_answer(database_url: str) -> None:
    engine = connect(database_url)
    gate = SharedGate(engine, "books", MANY)
    ticket = gate.enter(0, 0.0, 30.0)
    nowhere = connect("postgresql://127.0.0.1:1/nothing")
    lost = SharedGate(nowhere, "books", MANY)
    with pytest.raises(Retriable):
        lost.enter(0, 0.0, 30.0)
    lost.leave(ticket, Heard(1.0))
    engine.dispose()
    nowhere.dispose()


def test_the_line_keeps_the_order_and_lets_urgent_calls_overtake() -> None:
    line, order = Line(), []

    def stand(name: str) -> None:
        with line.stand(0, 30.0) as is_first:
            assert is_first
            order.append(name)

    with ThreadPoolExecutor(2) as pool:
        with line.stand(0, 0.0) as is_first:
            assert is_first
            waiting = []
            for name in ("first", "second"):
                before = len(line)
                waiting.append(pool.submit(stand, name))
                while len(line) == before:
                    time.sleep(0.001)
            with line.stand(0, 0.0) as too_late, line.stand(1, 0.0) as urgent:
                assert urgent and not too_late, "even the one that is being asked for is overtaken"
        for each in waiting:
            each.result(30)
    assert order == ["first", "second"] and len(line) == 0


def test_a_waiting_call_gives_the_store_back_between_two_looks(engine: Engine) -> None:
    looks: list[int] = []

    def sleep(seconds: float) -> None:
        looks.append(
            rows(engine, "select count(*) as n from pg_locks where relation = 'tieout.pace'::regclass")[0]["n"]
        )
        gate.leave(held, Heard(0.1))

    gate = SharedGate(engine, "books", Allowance(concurrent=1), Clock(sleep=sleep))
    held = gate.enter(0, 0.0, 30.0)
    gate.enter(0, 5.0, 30.0)
    assert looks == [0]
