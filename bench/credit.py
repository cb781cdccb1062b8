"""Limits and balances of many customers go from a sandbox Xero to a sandbox Salesforce: all, then 1 %, then none.

    python -m bench.credit [--customers 20000]

A PostgreSQL and a sandbox of its own. Each customer has a limit and two open invoices. Before the second run 1 % of the
limits are raised. Between the runs the watermarks are put to the present: then the windows do not overlap, as they do
not in a schedule of some hours.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import structlog
from sqlalchemy.engine import Engine

from bench.products import BATCH, NO_LIMITS, Run, connections, later, sandbox_at
from bench.row import Row
from bench.scenario_run import timed_steps
from tieout.connectors import exact_json
from tieout.scenarios import credit_sync
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.services import open_services
from tieout.store import credit, crosswalk, embedded, migrate
from tieout.store.engine import connect

CUSTOMERS = 20_000
INVOICES = 2  # open ones of each customer
AT_ONCE = 5_000  # records put into the sandbox in one call


def run(quick: bool = False) -> Sequence[Row]:
    """Measures once and gives the rows of the table."""
    customers = 2_000 if quick else CUSTOMERS
    return rows(measure(customers), customers)


def measure(customers: int) -> dict[str, Run]:
    """Runs three times; what each took by name, with its numbers."""
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.disable(logging.INFO)
    os.environ["TIEOUT_HOME"] = str(home)
    try:
        server = embedded.start(home)
        engine = connect(server.url_for("tieout"))
        migrate.upgrade(engine)
        with sandbox_at(home) as (url, _):
            doors = Doors(url)
            doors.custom_fields()
            doors.settings("xero", base_currency="GBP", limits=NO_LIMITS)
            accounts = _books(url, engine, customers)
            _approve(engine, accounts, 100_000)
            found = {"first": _run(url)}
            later(engine)
            _approve(engine, accounts[::100], 200_000)
            found["1 % changed"] = _run(url)
            later(engine)
            found["nothing changed"] = _run(url)
        engine.dispose()
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    return found


def rows(found: Mapping[str, Run], customers: int) -> list[Row]:
    """The aims beside what was found."""
    first, second, third = found["first"], found["1 % changed"], found["nothing changed"]
    changed = -(-customers // 100)
    posted = first["summarise"]["posted"], second["summarise"]["posted"], third["summarise"]["posted"]
    if posted != (customers, changed, 0):
        raise SystemExit(f"posted {posted}; expected {(customers, changed, 0)}")
    least = -(-customers // BATCH)
    return [
        Row(f"credit of {customers:,} customers, first run", f"{first['seconds']:.1f} s", "",
            customers / first["seconds"] * 3600, "(customers an hour)"),
        *(Row(f"  {step}", f"{first['took'][step]:.1f} s", "", first["took"][step] / customers * 1e3,
              "(ms a customer)") for step in credit_sync.STEPS),
        Row("  calls that write", str(first["write_back"]["calls"]), f"batch minimum {least}",
            first["write_back"]["calls"] / least, "1.05", most=1.05),
        Row("  peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB"),
        Row(f"second run, {changed:,} changed", f"{second['seconds']:.1f} s", f"first {first['seconds']:.1f} s",
            second["seconds"] / first["seconds"]),
        *(Row(f"  {step}", f"{second['took'][step]:.2f} s") for step in credit_sync.STEPS),
        Row("  records written", str(second["write_back"]["sent"]), f"{changed:,} changed",
            second["write_back"]["sent"] / changed, "1", most=1),
        Row("third run, none changed", f"{third['seconds']:.1f} s", "", third["seconds"] / first["seconds"]),
        Row("  records written", str(third["write_back"]["sent"]), "", float(third["write_back"]["sent"]), "0", most=0),
    ]  # fmt: skip


def _books(url: str, engine: Engine, customers: int) -> list[str]:
    """Accounts in the CRM, contacts and open invoices in the ledger, joined in the crosswalk; the accounts' ids."""
    accounts = _put(f"{url}/salesforce/_sandbox/raw/Account", "records", [
        {"Name": f"Customer {number}", "CurrencyIsoCode": "GBP"} for number in range(customers)
    ])  # fmt: skip
    contacts = _put(f"{url}/xero/_sandbox/raw/Contacts", None, [
        {"Name": f"Customer {number}", "ContactNumber": account} for number, account in enumerate(accounts)
    ])  # fmt: skip
    _put(f"{url}/xero/_sandbox/raw/Invoices", None, [
        {"Type": "ACCREC", "InvoiceNumber": f"INV-{number}-{part}", "Contact": {"ContactID": contact},
         "Date": "2026-01-01", "DueDate": "2026-01-31", "Total": Decimal("120.00")}
        for number, contact in enumerate(contacts) for part in range(INVOICES)
    ])  # fmt: skip
    with engine.begin() as conn:
        crosswalk.link_existing(conn, [
            crosswalk.NewLink("demo", "xero_demo", "account", contact, None, f"bench:{account}", "salesforce_demo",
                              "Account", account, "matched")
            for account, contact in zip(accounts, contacts, strict=True)
        ])  # fmt: skip
    return accounts


def _approve(engine: Engine, accounts: Sequence[str], minor: int) -> None:
    with engine.begin() as conn:
        limits = [credit.Limit(account, date(2026, 1, 1), "GBP", minor) for account in accounts]
        change = credit.propose(conn, "demo", limits, "a clerk", "bench")
        credit.decide(conn, change, "a controller", approved=True)


def _put(url: str, key: str | None, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Records into a sandbox as they are; their ids."""
    ids: list[str] = []
    for start in range(0, len(records), AT_ONCE):
        part = list(records[start : start + AT_ONCE])
        answer = httpx.post(url, content=exact_json.dumps({key: part} if key else part), timeout=300)
        answer.raise_for_status()
        ids += answer.json()["ids"]
    return ids


def _run(url: str) -> Run:
    with open_services("demo", connections(url).__getitem__) as services:
        return timed_steps(credit_sync, services)


def main() -> None:
    """Measures and prints the table."""
    from bench.row import table

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--customers", type=int, default=CUSTOMERS)
    given = options.parse_args()
    print(table(rows(measure(given.customers), given.customers)))


if __name__ == "__main__":
    main()
