"""Intents and deliveries for tests: the target `books` of the link `acme`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Engine

from tests.support.ledger import MemoryLedger, VirtualClock
from tieout.delivery.bodies import placeholder
from tieout.delivery.clock import Clock
from tieout.delivery.deliver import deliver
from tieout.delivery.intents import Added, NewIntent, add
from tieout.delivery.limits import DeliverySummary, Limits
from tieout.model.identity import doc_uid, idempotency_key

TARGET = "books"
RUN = UUID("00000000-0000-4000-8000-000000000001")
#: Leases of a minute against time-outs of ten seconds.
LIMITS = Limits(claim_intents=20, lease_seconds=60.0, look_up_again_seconds=10.0, most_sends=6)


def intent(number: int | str, operation: str = "natural.create", *, revision: int = 1, **changes: Any) -> NewIntent:
    """An invoice of 10.00 for order `number`. `body` in changes is a mapping that is merged into the body."""
    kind = changes.pop("kind", "invoice")
    uid = doc_uid("acme", "crm", "Order", str(number), kind, revision)
    body = {"number": f"INV-{number}", "amount": 1000, **changes.pop("body", {})}
    made = NewIntent(
        link="acme",
        target=TARGET,
        doc_uid=uid,
        kind=kind,
        operation=operation,
        revision=revision,
        source="crm",
        source_object="Order",
        source_id=str(number),
        natural_key=f"INV-{number}",
        entity="invoice",
        idempotency_key=idempotency_key(uid, TARGET, operation),
        body=json.dumps(body).encode(),
        currency="EUR",
        amount_minor=1000,
        source_system="salesforce",
        source_entity="order",
        posting_date=date(2026, 3, 1),
    )
    return replace(made, **changes)


def child(parent: NewIntent, number: int | str, operation: str = "natural.create", **changes: Any) -> NewIntent:
    """An invoice whose body names its parent's document by the vendor's id."""
    return intent(number, operation, body={"customer": placeholder(parent.doc_uid)}, **changes)


def plan(engine: Engine, intents: Sequence[NewIntent], clock: VirtualClock) -> Added:
    """Adds them in a transaction of their own."""
    with engine.begin() as conn:
        return add(conn, intents, RUN, "test", clock)


def run(
    engine: Engine,
    ledger: MemoryLedger,
    worker: str = "w1",
    *,
    limits: Limits = LIMITS,
    clock: Clock | None = None,
    **options: Any,
) -> DeliverySummary:
    """One call of deliver on the ledger's time."""
    return deliver(engine, TARGET, ledger, RUN, worker, limits=limits, clock=clock or ledger.clock, **options)


def run_until_settled(engine: Engine, ledger: MemoryLedger, *, most: int = 60, **options: Any) -> DeliverySummary:
    """Delivers and lets the time pass until nothing waits for time alone."""
    for _ in range(most):
        summary = run(engine, ledger, **options)
        if summary.due_in is None:
            return summary
        ledger.clock.sleep(summary.due_in + 0.001)
    raise AssertionError(f"not settled after {most} deliveries: {summary}")


def states(engine: Engine) -> dict[str, str]:
    """source_id (with .revision above 1) -> state."""
    with engine.connect() as conn:
        rows = conn.exec_driver_sql("select source_id, revision, state from tieout.intent order by intent_id")
        return {row.source_id if row.revision == 1 else f"{row.source_id}.{row.revision}": row.state for row in rows}


def rows(engine: Engine, sql: str, **values: Any) -> list[dict[str, Any]]:
    """Any query's rows."""
    with engine.connect() as conn:
        return [dict(row) for row in conn.exec_driver_sql(sql, values).mappings()]
