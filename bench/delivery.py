"""What the delivery protocol costs: intents a second against a ledger that answers at once, and PostgreSQL's share.

    python -m bench.delivery [--intents 20000] [--workers 1] [--batch 50]

It starts a server of its own with ordinary durability, plans the intents, delivers them and prints seconds, rates, and
a profile by statement. The ledger costs nothing, so this is the protocol alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from bench.row import Row
from tieout.connectors.base import Answer, Found, Guard, Operation, Request
from tieout.delivery.deliver import deliver
from tieout.delivery.intents import NewIntent, add
from tieout.delivery.limits import DeliverySummary
from tieout.model.identity import doc_uid, idempotency_key
from tieout.store import embedded, migrate
from tieout.store.engine import connect

LINES = [
    {"Description": f"Article {n} of the catalogue", "Quantity": "3", "UnitAmount": "19.9900", "TaxType": "OUTPUT2",
     "AccountCode": "200", "ItemCode": f"SKU-{n:05}", "DiscountRate": "5.00"}
    for n in range(3)
]  # fmt: skip


class InstantLedger:
    """Applies everything at once."""

    def __init__(self, batch: int) -> None:
        self._operation = Operation("invoices.create", Guard.NATURAL_KEY, batch, True, 30.0, 60.0, 5.0)

    def operation(self, name: str) -> Operation:
        return self._operation

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        return [
            Answer(r.doc_uid, "applied", r.doc_uid, r.natural_key, {"InvoiceID": r.doc_uid, "Total": "59.97"})
            for r in requests
        ]

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        raise AssertionError("nothing here is ever looked up")


def invoice(number: int) -> NewIntent:
    """An invoice of three lines, about 700 bytes."""
    uid = doc_uid("bench", "crm", "Order", str(number), "invoice", 1)
    body = {"Type": "ACCREC", "InvoiceNumber": f"INV-{number}", "CurrencyCode": "EUR", "LineItems": LINES}
    return NewIntent(
        link="bench", target="ledger", doc_uid=uid, kind="invoice", operation="invoices.create", revision=1,
        source="crm", source_object="Order", source_id=str(number), natural_key=f"INV-{number}",
        idempotency_key=idempotency_key(uid, "ledger", "invoices.create"), body=json.dumps(body).encode(),
        entity="invoice", currency="EUR", amount_minor=5697, source_system="salesforce", source_entity="order",
        posting_date=date(2026, 3, 1),
    )  # fmt: skip


def time_statements(engine: Engine) -> tuple[Counter[str], threading.Lock]:
    """Seconds by the statement's first words, as the client waits for them."""
    seconds: Counter[str] = Counter()
    lock = threading.Lock()

    @sa.event.listens_for(engine, "before_cursor_execute")
    def before(conn, cursor, statement, parameters, context, many):  # type: ignore[no-untyped-def]
        conn.info["started"] = time.perf_counter()

    @sa.event.listens_for(engine, "after_cursor_execute")
    def after(conn, cursor, statement, parameters, context, many):  # type: ignore[no-untyped-def]
        with lock:
            seconds[" ".join(statement.split())[:60]] += time.perf_counter() - conn.info["started"]

    return seconds, lock


def measure(engine: Engine, intents: int, workers: int, batch: int) -> dict[str, float]:
    """Plans and delivers, prints what it took, and returns `planning` and `delivering` in seconds."""
    run_id = uuid4()
    planned = [invoice(number) for number in range(intents)]
    started = time.perf_counter()
    for start in range(0, intents, 5_000):
        with engine.begin() as conn:
            add(conn, planned[start : start + 5_000], run_id, "bench")
    planning = time.perf_counter() - started
    statements, _ = time_statements(engine)

    def work(number: int) -> DeliverySummary:
        return deliver(engine, "ledger", InstantLedger(batch), run_id, f"worker{number}")

    started, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(workers) as pool:
        summaries = list(pool.map(work, range(workers)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    confirmed = sum(summary.states["CONFIRMED"] for summary in summaries)
    assert confirmed == intents, f"{confirmed} of {intents} are confirmed"
    print(f"plan    {planning:7.2f} s   {planning / intents * 1e3:6.3f} ms an intent")
    print(f"deliver {seconds:7.2f} s   {seconds / intents * 1e3:6.3f} ms an intent   {intents / seconds:,.0f} a second")
    print(f"        {intents / (seconds + planning) * 3600:,.0f} an hour, planned and delivered, {workers} worker(s)")
    waited = sum(statements.values())
    print(f"        {waited / (seconds * workers):.0%} waiting for PostgreSQL, {cpu / seconds:.0%} of a core in Python")
    for statement, spent in statements.most_common(12):
        print(f"        {spent:7.2f} s  {statement}")
    return {"planning": planning, "delivering": seconds}


def run(quick: bool = False) -> Sequence[Row]:
    """The rows of `python -m bench`."""
    intents = 2_000 if quick else 20_000
    took = in_new_home(intents, workers=1, batch=50)
    an_hour = intents / (took["planning"] + took["delivering"]) * 3600
    work = f"the protocol alone, {intents:,} intents"
    return [
        Row(
            work,
            f"{took['planning'] + took['delivering']:.1f} s",
            "a ledger that answers at once",
            an_hour,
            "(an hour)",
        )
    ]


def in_new_home(intents: int, workers: int, batch: int) -> dict[str, float]:
    """`measure` on a server of its own, whose files are removed."""
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    try:
        engine = connect(embedded.start(home, {}).url_for("postgres"))
        migrate.upgrade(engine)
        took = measure(engine, intents, workers, batch)
        engine.dispose()
        return took
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Runs the measurement on a server of its own."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--intents", type=int, default=20_000)
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--batch", type=int, default=50)
    given = options.parse_args()
    in_new_home(given.intents, given.workers, given.batch)


if __name__ == "__main__":
    main()
