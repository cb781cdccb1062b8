"""Returns of a sandbox Salesforce become credit notes of a sandbox Xero, allocated, or paid back where money came in.

    python -m bench.returns [--returns 1000]

A PostgreSQL and a sandbox of its own; the orders are billed before, which is not measured. One return for each order,
one piece of its first line; the invoices of every tenth order are paid, so that their credits are refunded.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog

from bench.products import Run, connections, sandbox_at
from bench.quote_to_cash_books import fill
from bench.row import Row
from bench.scenario_run import timed_steps
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.scenarios import quote_to_cash, returns
from tieout.scenarios.crm_load import ConnectorCrm
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import open_services
from tieout.store import embedded, migrate
from tieout.store.engine import connect

RETURNS, CUSTOMERS = 1_000, 200
#: Credit notes and refunds in one call of Xero; an allocation is a call of its own, for it is of one credit note.
BATCH = 50
PAID_EVERY = 10


def run(quick: bool = False) -> Sequence[Row]:
    """Measures once and gives the rows of the table."""
    count = 200 if quick else RETURNS
    return rows(measure(count), count)


def measure(count: int) -> dict[str, Run]:
    """Runs twice; what each took by name, with its numbers."""
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.disable(logging.INFO)
    os.environ["TIEOUT_HOME"] = str(home)
    try:
        server = embedded.start(home)
        engine = connect(server.url_for("tieout"))
        migrate.upgrade(engine)
        with sandbox_at(home) as (url, _):
            known = connections(url)
            crm, ledger = known["salesforce_demo"], known["xero_demo"]
            fill(url, crm, ledger, count, min(CUSTOMERS, count), datetime.now(UTC).date())
            with open_services("demo", known.__getitem__) as services:
                billed = quote_to_cash.run(services)
                if billed["posted"] != count:
                    raise SystemExit(f"posted {billed['posted']} invoices; expected {count}")
            paid = _pay(ledger, datetime.now(UTC).date())
            _enter(crm)
            found = {"first": _run(known) | {"paid": paid}, "again": _run(known)}
        engine.dispose()
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    return found


def rows(found: Mapping[str, Run], count: int) -> list[Row]:
    """The least that Xero's batches allow beside what was found."""
    first, again = found["first"], found["again"]
    posted = first["summarise"]["posted"], again["summarise"]["posted"], again["deliver"]["sent"]
    if posted != (count, 0, 0):
        raise SystemExit(f"posted {posted}; expected {(count, 0, 0)}")
    paid = first["paid"]
    notes, refunds, allocations = -(-count // BATCH), -(-paid // BATCH), count - paid
    least = notes + refunds + allocations
    return [
        Row(f"{count:,} returns, {paid} of paid invoices", f"{first['seconds']:.1f} s", "",
            count / first["seconds"] * 3600, "(returns an hour)"),
        *(Row(f"  {step}", f"{first['took'][step]:.1f} s", "", first["took"][step] / count * 1e3, "(ms a return)")
          for step in returns.STEPS),
        Row("  ledger calls that write", str(first["deliver"]["calls"]),
            f"least {least}: {notes} for notes, {allocations} for allocations, {refunds} for refunds",
            first["deliver"]["calls"] / least, "1.05", most=1.05),
        Row("  look-ups before refunds", str(first["deliver"]["look_ups"]), f"one for {BATCH} refunds",
            first["deliver"]["look_ups"] / max(refunds, 1)),
        Row("second run, none changed", f"{again['seconds']:.1f} s", "", again["seconds"] / first["seconds"]),
    ]  # fmt: skip


def _pay(ledger: Connection, on: date) -> int:
    """Takes the money for every tenth invoice that has any; how many."""
    with LedgerHand(ledger) as hand:
        open_ = [one for one in hand.all("Invoices") if one["AmountDue"]][::PAID_EVERY]
        for one in open_:
            hand.pay(one["InvoiceID"], one["AmountDue"], on)
    return len(open_)


def _enter(crm: Connection) -> None:
    connector = SalesforceConnector(crm)
    try:
        hand = ConnectorCrm(connector)
        first: dict[str, Mapping[str, Any]] = {}
        for row in hand.rows("OrderItem", ("OrderId", "Source_Key__c", "CurrencyIsoCode")):
            if str(row["Source_Key__c"]).endswith(":1"):
                first[row["OrderId"]] = row
        heads = hand.insert("ReturnOrder", [
            {"OrderId": order, "Status": "Approved", "CurrencyIsoCode": line["CurrencyIsoCode"]}
            for order, line in first.items()
        ])  # fmt: skip
        lines = hand.insert("ReturnOrderLineItem", [
            {"ReturnOrderId": head.id, "OrderItemId": line["Id"], "QuantityReturned": Decimal(1),
             "CurrencyIsoCode": line["CurrencyIsoCode"]}
            for head, line in zip(heads, first.values(), strict=True)
        ])  # fmt: skip
        if refused := [one.error for one in (*heads, *lines) if one.id is None]:
            raise SystemExit(f"{len(refused)} returns were refused; the first: {refused[0]}")
    finally:
        connector.close()


def _run(known: Mapping[str, Connection]) -> dict[str, Any]:
    with open_services("demo", known.__getitem__) as services:
        return timed_steps(returns, services)


def main() -> None:
    """Measures and prints the table."""
    from bench.row import table

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--returns", type=int, default=RETURNS)
    given = options.parse_args()
    print(table(rows(measure(given.returns), given.returns)))


if __name__ == "__main__":
    main()
