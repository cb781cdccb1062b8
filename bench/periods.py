"""Fiscal periods: what one costs from the 1st to the 24th, and what planning a very large one takes.

    python -m bench.periods [--orders 2400] [--documents 100000] [--quick]

Orders of two years are in a sandbox Salesforce; their 24 months are run one after the other in one process, each read,
planned, posted into a sandbox Xero and written back. Then the last month's staged rows are copied until there are as
many documents as are asked for, and a process of its own plans them: its seconds, and its peak memory, count.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Engine

from bench import cpu
from bench.quote_to_cash import ROOT, _connections, _sandbox
from bench.quote_to_cash_books import fill
from bench.row import Row
from tieout.model.calendar import Period
from tieout.model.link import Periods
from tieout.scenarios import fiscal_period
from tieout.scenarios.periods import planning
from tieout.scenarios.periods.calendar import calendar_of
from tieout.scenarios.rules import load_rules
from tieout.scenarios.services import Services, open_services
from tieout.store import embedded, migrate
from tieout.store.engine import connect

LINK, MONTHS, DAYS = "demo", 24, 729
#: Staged columns that make a copied row another record.
_NEW_IDS = {
    "salesforce_order": ("_source_id", "id", "order_number"),
    "salesforce_order_line": ("_source_id", "id", "parent_id"),
}


def run(quick: bool = False) -> Sequence[Row]:
    """Measures once and gives the rows of the table."""
    return measure(480 if quick else 2_400, 5_000 if quick else 100_000)


def measure(orders: int, documents: int) -> list[Row]:
    """The rows: cost per period over 24 of them, and planning `documents`."""
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    os.environ["TIEOUT_HOME"] = str(home)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        server = embedded.start(home)
        engine = connect(server.url_for("tieout"))
        migrate.upgrade(engine)
        with _sandbox(home) as (url, _):
            crm, ledger = _connections(home, url)
            fill(url, crm, ledger, orders, 60, datetime.now(UTC).date(), DAYS)
            with _services() as services:
                took, last = _periods(services, orders, server.pid)
            _multiply(engine, last, documents)
            seconds, cpu_seconds, peak = _planned(home, last, documents)
        engine.dispose()
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    # The first one reads all customers and products; the orders of each are as many, give or take chance.
    early, late = ([mean(part) for part in zip(*some, strict=True)] for some in (took[1:9], took[-8:]))
    return [
        Row(f"{MONTHS} periods of {orders // MONTHS} orders, the 2nd to the 9th",
            f"{early[0]:.2f} s, {early[1]:.2f} s CPU each"),
        # The CPU, ours and PostgreSQL's: whoever else works on the machine does not count.
        Row("  the last 8 of them", f"{late[0]:.2f} s, {late[1]:.2f} s CPU each", f"the first {early[1]:.2f} s CPU",
            late[1] / early[1], "1.25", most=1.25),
        Row(f"planning {documents:,} documents", f"{seconds:.1f} s, {cpu_seconds:.1f} s CPU of ours", "",
            seconds / documents * 100_000,
            "60 s for 100,000", most=60),
        Row("  its peak memory", f"{peak:,.0f} MiB", "", peak / 1024, "1 GiB", most=1),
    ]  # fmt: skip


@contextmanager
def _services() -> Iterator[Services]:
    """The demo's link, whose plans need no approval here."""
    with open_services(LINK) as services:
        link = services.link.model_copy(update={"periods": Periods(approval="never")})
        yield replace(services, link=link)


def _periods(services: Services, orders: int, postgres: int) -> tuple[list[tuple[float, float]], Period]:
    """(seconds, CPU seconds) of each of the months, oldest first, and the last whole one."""
    calendar, today = calendar_of(services), datetime.now(UTC).date()
    period, months = calendar.period_of(today), []
    while len(months) < MONTHS and period is not None:
        months.insert(0, period)
        period = calendar.before(period)  # type: ignore[assignment]
    took, posted = [], 0
    for one in months:
        began, used = time.perf_counter(), cpu.mine() + cpu.of(postgres)
        numbers = fiscal_period.run(services, one.label)
        took.append((time.perf_counter() - began, cpu.mine() + cpu.of(postgres) - used))
        posted += numbers["applied"]
    if posted < orders * 0.9:
        raise SystemExit(f"{posted} of {orders} orders were posted; expected those of {MONTHS} months")
    return took, months[-2]


def _multiply(engine: Engine, period: Period, documents: int) -> None:
    """Copies the period's staged orders and lines, as other records, until there are so many."""
    with engine.begin() as conn:
        within = "effective_date between :first and :last"
        bounds = {"first": period.first, "last": period.last}
        there = conn.execute(sa.text(f"select count(*) from staging.salesforce_order where {within}"), bounds).scalar()
        copies = documents // int(there or 1)
        chosen = {
            "salesforce_order": within,
            "salesforce_order_line": f"parent_id in (select id from staging.salesforce_order where {within})",
        }
        for table, ids in reversed(_NEW_IDS.items()):
            names = conn.execute(
                sa.text("select column_name from information_schema.columns "
                        "where table_schema = 'staging' and table_name = :table order by ordinal_position"),
                {"table": table},
            ).scalars().all()  # fmt: skip
            quoted = [f'"{name}"' for name in names]
            values = [f"{name} || '-' || k" if name in ids else f'"{name}"' for name in names]
            conn.execute(
                sa.text(
                    f"insert into staging.{table} ({', '.join(quoted)}) "
                    f"select {', '.join(values)} from staging.{table}, generate_series(1, :copies) k "
                    f"where {chosen[table]}"
                ),
                {**bounds, "copies": copies},
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("analyze")


def _planned(home: Path, period: Period, documents: int) -> tuple[float, float, float]:
    """Seconds, CPU seconds and MiB of a process that plans the period from what is staged."""
    environment = {**os.environ, "TIEOUT_HOME": str(home), "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
    command = [sys.executable, "-m", "bench.periods", "--plan", period.label]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["lines"] < documents * 0.9:
        raise SystemExit(f"the plan has {found['lines']} lines; expected about {documents}")
    return found["seconds"], found["cpu"], found["peak_mib"]


def _plan(label: str) -> None:
    """Plans the period and says what it took."""
    with _services() as services:
        run_id = UUID(fiscal_period.start(services, period=label, dry_run=True))
        calendar = calendar_of(services)
        began, used = time.perf_counter(), cpu.mine()
        made = planning.plan(services, load_rules(services), calendar, calendar.period(label), run_id, dry=True)
        seconds, used = time.perf_counter() - began, cpu.mine() - used
        lines = made.records - made.unchanged - made.in_flight
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": used, "peak_mib": peak, "lines": lines}))


def main() -> None:
    """Measures and prints the table."""
    from bench.row import table

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--orders", type=int, default=2_400)
    options.add_argument("--documents", type=int, default=100_000)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--plan", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.plan:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        _plan(given.plan)
        return
    print(table(run(quick=True) if given.quick else measure(given.orders, given.documents)))


if __name__ == "__main__":
    main()
