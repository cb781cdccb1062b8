"""The simulator's invariants for tests without a plan: over a target's rows and its ledger, each an AssertionError."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import psycopg
from sqlalchemy.engine import Engine

from tieout.connectors.base import Request
from tieout.delivery.simulation import invariants
from tieout.delivery.simulation.ledger import MemoryLedger
from tieout.delivery.simulation.oracle import Broken
from tieout.delivery.simulation.rows import Rows, read


def _watch(engine: Engine) -> psycopg.Connection[tuple[object, ...]]:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(url, autocommit=True)


def sees_committed_intent(engine: Engine, ledger: Callable[[], MemoryLedger]) -> Callable[[Sequence[Request]], None]:
    """S4 and C3 as a ledger's `before_send`, in a session beside the worker's."""

    def check(requests: Sequence[Request]) -> None:
        books = ledger()
        with _watch(engine) as watch:
            try:
                operation = books.operation(requests[0].operation)
                invariants.committed_before_send(watch, "books", operation, requests, books.clock.now)
            except Broken as broken:
                raise AssertionError(str(broken)) from broken

    return check


def check_always(engine: Engine, ledger: MemoryLedger, target: str) -> None:
    """What holds at any moment between two transactions."""
    with _watch(engine) as watch:
        rows = read(watch, target)
    try:
        invariants.check_rows(rows, ledger)
    except Broken as broken:
        raise AssertionError(str(broken)) from broken
    _same_key_same_bytes(ledger)
    _looked_up_after_quiet(rows, ledger)


def check_ended(engine: Engine, *, terminal: tuple[str, ...] = ("CONFIRMED", "REJECTED", "HELD")) -> None:
    """L1, L2: what holds when the faults have stopped and the deliveries have run out of work."""
    with engine.connect() as conn:
        rows = conn.exec_driver_sql("select doc_uid, state, reason, owner from tieout.intent").all()
    for row in rows:
        assert row.state in terminal, f"L1: {row.doc_uid} is {row.state} ({row.reason})"
        assert row.state != "HELD" or (row.reason and row.owner), f"L2: {row.doc_uid}"


def _same_key_same_bytes(ledger: MemoryLedger) -> None:
    bytes_of: dict[str, set[bytes]] = defaultdict(set)
    for sent in ledger.sent:
        bytes_of[sent.request.idempotency_key].add(sent.request.body)
    for key, bodies in bytes_of.items():
        assert len(bodies) == 1, f"S5: {len(bodies)} bodies under the key {key}"


def _looked_up_after_quiet(rows: Rows, ledger: MemoryLedger) -> None:
    """S6, by the times of the audit rows: these tests' clocks never jump."""
    for event in rows.events:
        if event.event != "intent.state" or (event.detail["from"], event.detail["to"]) != ("UNKNOWN", "READY"):
            continue
        intent = rows.by_id[int(event.subject.removeprefix("intent:"))]
        at = (event.at - ledger.clock.start).total_seconds()
        sends = [sent.at for sent in ledger.sent if sent.request.doc_uid == intent.doc_uid and sent.at < at]
        looks = [when for when, uid in ledger.looked_up if uid == intent.doc_uid and when < at]
        declared = ledger.operation(intent.operation)
        quiet = declared.time_out + declared.latest_apply + declared.look_up_lag
        last = max(sends, default=float("-inf"))  # a lost worker may have died before it sent anything
        assert looks and max(looks) >= last + quiet - 1e-6, f"S6: {intent.natural_key} was looked up too early"
