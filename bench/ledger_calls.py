"""Calls that 1,000 invoices cost at each ledger, beside what the vendor's own batches need.

    python -m bench.ledger_calls [--invoices 1000] [SYSTEM ...]

The invoices go by the delivery protocol, from a real store through the connector, to the sandbox over HTTP; the sandbox
tells each call that came. Counted apart: writes; look-ups while delivering (there are none where every answer comes);
what else, call by call (sign-in); then what it costs to read the invoices back, as the next run does, and to look
all of them up, as after answers that were lost. Ledgers are found by their folders; each has its file in
tests/connectors/, which says how many documents the vendor takes in a call.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy.engine import Engine

from bench.row import Row, table
from tests.connectors.standard import FAR
from tests.connectors.vendors import Vendor, vendor_of
from tests.connectors.wires import Time
from tests.support.sandbox import new_sandbox
from tieout.connectors.base import Connector, Request
from tieout.connectors.registry import of_role
from tieout.delivery.deliver import deliver
from tieout.delivery.intents import NewIntent, add
from tieout.scenarios.frames import chunks
from tieout.store import embedded, migrate
from tieout.store.engine import connect

INVOICES, QUICK = 1_000, 100
#: Calls to the batches that the vendor needs at least: the aim of docs/performance.md.
MOST = 1.05
#: Every call suffers this: none is slower, and the sandbox keeps a log of what it did to which call.
NOTED: Mapping[str, Any] = {"fault": "slow", "params": {"seconds": 0}}

Call = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """Calls as (method, path), in the order in which they came, by what they were for."""

    posting: Sequence[Call]
    reading: Sequence[Call]
    looking_up: Sequence[Call]


def run(quick: bool) -> Sequence[Row]:
    """The rows of every ledger that there is."""
    return measured(of_role("ledger"), QUICK if quick else INVOICES)


def measured(ledgers: Sequence[str], invoices: int) -> list[Row]:
    """The rows of these ledgers, on a store and a sandbox of their own."""
    with _store() as engine, new_sandbox() as sandbox:
        return [row for ledger in ledgers for row in _rows(vendor_of(ledger)(sandbox, Time()), engine, invoices)]


def _rows(vendor: Vendor, engine: Engine, invoices: int) -> Iterator[Row]:
    found = _calls(vendor, engine, invoices)
    writes = [call for call in found.posting if _is_write(vendor, call)]
    look_ups = [call for call in found.posting if call not in writes and fnmatchcase(call[1], vendor.read_path)]
    rest = Counter(f"{method} {path}" for method, path in found.posting if (method, path) not in {*writes, *look_ups})
    name, least = f"{vendor.name}: {invoices:,} invoices", -(-invoices // vendor.documents_in_a_call)
    yield Row(
        f"{name} posted, calls that write", str(len(writes)), f"batch minimum {least}", len(writes) / least,
        f"{MOST}", most=MOST,
    )  # fmt: skip
    yield Row("  look-ups meanwhile", str(len(look_ups)), "", float(len(look_ups)), "0", most=0)
    yield Row("  beside them, once for a connector", str(rest.total()), ", ".join(sorted(rest)))
    pages = -(-invoices // vendor.page)
    yield Row("  to read them back", str(len(found.reading)), f"full pages {pages}", len(found.reading) / pages)
    looked_up = len(found.looking_up)
    yield Row("  to look all of them up", str(looked_up), f"to write them {len(writes)}", looked_up / len(writes))


def _is_write(vendor: Vendor, call: Call) -> bool:
    return call[0] != "GET" and fnmatchcase(call[1], vendor.write_path)


def _calls(vendor: Vendor, engine: Engine, invoices: int) -> Found:
    """Posts, reads back and looks up. Raises SystemExit where not all of them are in the ledger afterwards."""
    requests = vendor.requests(invoices)
    run_id = uuid4()
    with engine.begin() as conn:
        add(conn, [_intent(vendor.name, request) for request in requests], run_id, "bench")
    connector = vendor.connector()
    try:
        vendor.sandbox.faults({**NOTED, "system": vendor.name})
        summary = deliver(engine, vendor.name, connector, run_id, "bench")
        posting = _noted(vendor)
        if (summary.states["CONFIRMED"], vendor.applied()) != (invoices, invoices):
            raise SystemExit(f"{vendor.name}: {vendor.applied()} of {invoices} invoices are there; {summary.states}")
        if summary.look_up_calls + summary.send_calls > len(posting):
            raise SystemExit(f"{vendor.name}: the delivery made more calls than came: {summary}")
        reading = _while(vendor, lambda: _read_back(vendor, connector, invoices))
        looking_up = _while(vendor, lambda: _look_up(connector, requests))
    finally:
        connector.close()
        vendor.sandbox.faults()
    return Found(posting, reading, looking_up)


def _while(vendor: Vendor, work: Callable[[], None]) -> Sequence[Call]:
    """The calls of this work alone: the plan set anew begins a new log."""
    vendor.sandbox.faults({**NOTED, "system": vendor.name})
    work()
    return _noted(vendor)


def _noted(vendor: Vendor) -> list[Call]:
    return [(hit["method"], hit["path"]) for hit in vendor.sandbox.hits() if "/_sandbox/" not in hit["path"]]


def _read_back(vendor: Vendor, connector: Connector, invoices: int) -> None:
    count = sum(len(page.records) for page in connector.changed(vendor.entity, None, FAR))
    if count != invoices:
        raise SystemExit(f"{vendor.name}: {count} of {invoices} invoices were read")


def _look_up(connector: Connector, requests: Sequence[Request]) -> None:
    operation = connector.operation(requests[0].operation)
    for some in chunks(requests, operation.batch):
        found = connector.look_up(operation, some)
        if missing := [one.doc_uid for one in some if len(found[one.doc_uid]) != 1]:
            raise SystemExit(f"{len(missing)} of {len(some)} invoices are not found once, such as {missing[0]}")


def _intent(target: str, request: Request) -> NewIntent:
    return NewIntent(
        link="bench", target=target, doc_uid=f"{target}-{request.doc_uid}", kind="invoice",
        operation=request.operation, revision=1, source="crm", source_object="Order", source_id=request.doc_uid,
        natural_key=request.natural_key, idempotency_key=f"{target}-{request.idempotency_key}", body=request.body,
        entity="invoice", currency="USD", amount_minor=1000, source_system="crm", source_entity="order",
        posting_date=date(2024, 5, 1),
    )  # fmt: skip


@contextmanager
def _store() -> Iterator[Engine]:
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    try:
        engine = connect(embedded.start(home, {}).url_for("postgres"))
        migrate.upgrade(engine)
        yield engine
        engine.dispose()
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Measures and prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--invoices", type=int, default=INVOICES)
    options.add_argument("systems", nargs="*", default=list(of_role("ledger")))
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(table(measured(given.systems, given.invoices)))


if __name__ == "__main__":
    main()
