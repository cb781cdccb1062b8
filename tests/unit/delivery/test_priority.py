"""Work that must not wait is claimed and sent before batch work."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import LIMITS, child, intent, plan, run, states
from tests.support.ledger import MemoryLedger, VirtualClock
from tieout.connectors.base import Request
from tieout.delivery import claim


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(VirtualClock())


def sent_order(ledger: MemoryLedger) -> list[str]:
    return [each.request.natural_key for each in ledger.sent]


def test_urgent_work_goes_first_whatever_its_age(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(n) for n in range(50)], ledger.clock)
    plan(engine, [intent("urgent", priority=1), intent("more", priority=2)], ledger.clock)
    run(engine, ledger)
    assert sent_order(ledger)[:3] == ["INV-more", "INV-urgent", "INV-0"]
    assert set(states(engine).values()) == {"CONFIRMED"} and len(ledger.documents) == 52


def test_urgent_work_that_comes_meanwhile_goes_with_the_next_claim(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(n) for n in range(100)], ledger.clock)
    priorities: list[int] = []

    def once(requests: Sequence[Request]) -> None:
        if not priorities:
            plan(engine, [intent("urgent", priority=1)], ledger.clock)
        priorities.append(max(request.priority for request in requests))

    ledger.before_send = once
    run(engine, ledger)
    assert sent_order(ledger).index("INV-urgent") == LIMITS.claim_intents
    assert sum(priorities) == 1, "the connector is told which request is urgent"
    assert len(ledger.documents) == 101


def test_urgent_work_waits_for_its_parent(engine: Engine, ledger: MemoryLedger) -> None:
    parent = intent("customer")
    plan(engine, [child(parent, "bill", priority=5), *[intent(n) for n in range(40)], parent], ledger.clock)
    run(engine, ledger)
    assert set(states(engine).values()) == {"CONFIRMED"}


def test_urgent_work_has_an_index_that_batch_work_does_not_fill(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(n) for n in range(3000)], ledger.clock)
    plan(engine, [intent("urgent", priority=1)], ledger.clock)
    values = {**claim.Wanted("books").values(), "now": "2026-01-01", "lease": "2026-01-02", "worker": "w", "most": 600}
    with engine.begin() as conn:
        conn.exec_driver_sql("analyze tieout.intent")
        lines = conn.exec_driver_sql("explain " + claim._CLAIM_URGENT, values).scalars().all()
    shown = "\n".join(lines)
    assert "intent_urgent" in shown and "Sort" not in shown, shown
