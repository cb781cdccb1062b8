"""Orders of a sandbox Salesforce become invoices of a sandbox Xero and are written back: the whole of quote-to-cash.

    python -m bench.quote_to_cash [--orders 10000] [--customers 500] [--quick] [--profile FOLDER] [--keep]

A PostgreSQL and a sandbox of its own; the sandbox's Xero without rate limits. Each run is a process of its own, so that
imports count and its peak memory is its own. The sandbox's clock is an hour behind until the first run has ended: then
the second run's windows lie an hour later, as they do in an hourly schedule. The third run begins with the watermarks
of the first: everything is read again and nothing may be written.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Engine

from bench.quote_to_cash_books import fill
from bench.row import Row
from tieout.model.connection import Connection
from tieout.scenarios.demo_doors import Doors
from tieout.store import embedded, migrate
from tieout.store.engine import connect

ROOT = Path(__file__).resolve().parents[1]
ORDERS, CUSTOMERS = 10_000, 500
HOUR = 3600
#: Documents in one call, as the vendors allow: Xero advises 50, Salesforce's collections take 200.
XERO_BATCH, SALESFORCE_BATCH = 50, 200
#: Tables that a run with nothing to do must not write to. `sync_run` and `watermark` note each run.
QUIET = ("intent", "attempt", "document", "crosswalk", "dead_letter")

#: Whose CPU is told: the run's own process, PostgreSQL's, the sandbox's.
CPU = ("cpu", "postgres_cpu", "sandbox_cpu")

Run = Mapping[str, Any]


def run(quick: bool = False) -> Sequence[Row]:
    """Measures once and gives the rows of the table."""
    orders = 1_000 if quick else ORDERS
    return rows(measure(orders, 100 if quick else CUSTOMERS), orders)


def measure(orders: int, customers: int, profile: Path | None = None, keep: bool = False) -> dict[str, Run]:
    """Runs three times. Returns what each took by name, with `rows_written` of the tables that should be quiet."""
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    found: dict[str, Run] = {}
    try:
        server = embedded.start(home)
        engine = connect(server.url_for("tieout"))
        migrate.upgrade(engine)
        with _sandbox(home) as (url, pid):
            watched = ["--postgres", str(server.pid), "--sandbox", str(pid)]
            crm, ledger = _connections(home, url)
            doors = Doors(url)
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
            for system in ("salesforce", "xero"):
                doors.settings(system, clock_offset_seconds=-HOUR)
            started = time.perf_counter()
            fill(url, crm, ledger, orders, customers, datetime.now(UTC).date())
            print(f"{orders} orders are in the CRM after {time.perf_counter() - started:.0f} s", file=sys.stderr)
            found["first"] = _run(home, engine, profile, "first", watched)
            for system in ("salesforce", "xero"):
                doors.settings(system, clock_offset_seconds=0)
            found["second"] = _run(home, engine, profile, "second", watched)
            with engine.begin() as conn:
                conn.execute(sa.text("update tieout.watermark set at = at - interval '2 hours' where kind = 'extract'"))
            found["all read again"] = _run(home, engine, profile, "again", watched)
        engine.dispose()
    finally:
        embedded.stop(home)
        if not keep:
            shutil.rmtree(home, ignore_errors=True)
    return found


def rows(found: Mapping[str, Run], orders: int) -> list[Row]:
    """The aims of docs/performance.md beside what was found."""
    first, second, again = found["first"], found["second"], found["all read again"]
    read, posted = first["steps"]["summarise"]["numbers"]["read"], first["steps"]["summarise"]["numbers"]["posted"]
    if (read, posted) != (orders, orders):
        raise SystemExit(f"{posted} of {read} orders were posted; all {orders} should be")
    post = sum(first["steps"][name]["seconds"] for name in ("transform", "deliver", "write_back"))
    delivered = first["steps"]["deliver"]["numbers"]
    contacts = delivered["outcomes"]["applied"] - orders
    least = -(-orders // XERO_BATCH) + -(-contacts // XERO_BATCH)
    written = first["steps"]["write_back"]["numbers"]
    least_back = -(-orders // SALESFORCE_BATCH) + -(-contacts // SALESFORCE_BATCH)
    name = f"{orders:,} orders"
    return [
        Row(f"{name}, all steps", f"{first['seconds']:.1f} s", "", orders / first["seconds"] * 3600,
            "1,000,000 orders/h", least=1_000_000),
        Row(f"{name}, transform to write-back", f"{post:.1f} s", "", orders / post * 3600, "1,000,000 orders/h",
            least=1_000_000),
        *(
            Row(f"  {step}", f"{took['seconds']:.2f} s", _cores(took),
                took["seconds"] / orders * 1e3, "(ms an order)")
            for step, took in first["steps"].items()
        ),
        Row("  peak memory of the run", f"{first['peak_mib']:,.0f} MiB"),
        Row("ledger calls", f"{delivered['calls']} + {delivered['look_ups']} look-ups", f"batch minimum {least}",
            (delivered["calls"] + delivered["look_ups"]) / least, "1.05", most=1.05),
        Row("CRM calls of the write-back", f"{written['calls']} + {written['look_ups']} look-ups",
            f"batch minimum {least_back}", (written["calls"] + written["look_ups"]) / least_back, "1.05", most=1.05),
        *_quiet("second run, an hour later", second, first),
        *_quiet("third run, everything read again", again, first),
    ]  # fmt: skip


def _cores(took: Mapping[str, float]) -> str:
    """CPU seconds of a step."""
    return " + ".join(f"{took.get(key, 0):.1f}" for key in CPU) + " CPU s: ours, PostgreSQL, sandbox"


def _quiet(name: str, later: Run, first: Run) -> Iterator[Row]:
    calls = sum(later["steps"][step]["numbers"]["calls"] for step in ("deliver", "write_back"))
    aim, most = ("0.05", 0.05) if name.startswith("second") else ("", None)
    for word, key in ((name, "seconds"), ("  its CPU", "cpu")):
        ratio = later[key] / first[key]
        yield Row(word, f"{later[key]:.2f} s", f"first {first[key]:.1f} s", ratio, aim, most)
    for step, took in later["steps"].items():
        yield Row(f"  {step}", f"{took['seconds']:.2f} s", f"{took['cpu']:.2f} s CPU")
    yield Row("  write calls", str(calls), "", float(calls), "0", most=0)
    yield Row("  rows written", str(later["rows_written"]), "", float(later["rows_written"]), "0", most=0)


def _run(home: Path, engine: Engine, profile: Path | None, name: str, watched: Sequence[str]) -> Run:
    command = [sys.executable, "-m", "bench.scenario_run", *watched]
    if profile is not None:
        command += ["--profile", str(profile / f"{name}.prof")]
    before = _written(engine)
    environment = {**os.environ, "TIEOUT_HOME": str(home), "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
    if profile is not None:
        command.append("--statements")
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["seconds"] = time.perf_counter() - started
    steps = found["steps"].values()
    rest = {name: found[name] - sum(step[name] for step in steps) for name in ("seconds", "cpu")}
    found["steps"] = {"imports, start and end": rest, **found["steps"]}
    after = _written(engine)
    found["written"] = {
        table: after[table] - before.get(table, 0) for table in after if after[table] != before.get(table, 0)
    }
    found["rows_written"] = sum(found["written"].values())
    print(f"{name}: {found['seconds']:.1f} s, {found['cpu']:.1f} s CPU, {found['written']}", file=sys.stderr)
    for step, took in found["steps"].items():
        cpu = ", ".join(f"{took.get(key, 0):.2f} s {key}" for key in CPU)
        print(f"  {step}: {took['seconds']:.2f} s, {cpu}", file=sys.stderr)
    return found


def _written(engine: Engine) -> dict[str, int]:
    """Rows inserted, updated and deleted since the beginning, by table; sessions that ended have told theirs."""
    with engine.begin() as conn:
        found = conn.execute(
            sa.text(
                "select relname, n_tup_ins + n_tup_upd + n_tup_del as rows from pg_stat_user_tables "
                "where schemaname = 'staging' or relname = any(:names)"
            ),
            {"names": list(QUIET)},
        )
        return {row.relname: int(row.rows) for row in found}


@contextmanager
def _sandbox(home: Path) -> Iterator[tuple[str, int]]:
    """URL and process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "serve", "--state", str(home / "sandbox")],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=home,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid
    finally:
        process.terminate()
        process.wait()


def _connections(home: Path, url: str) -> tuple[Connection, Connection]:
    """The link's two connections, in the file where the runs find them too."""
    crm = Connection(
        "salesforce_demo", "salesforce", f"{url}/salesforce", "sandbox-consumer", "sandbox-secret",
        {"auth": "client_credentials", "allowed_hosts": "127.0.0.1"},
    )  # fmt: skip
    ledger = Connection(
        "xero_demo", "xero", f"{url}/xero", "sandbox-client", "sandbox-secret", {"allowed_hosts": "127.0.0.1"}
    )
    file = home / "connections.json"
    file.write_text(
        json.dumps(
            {
                one.name: {"conn_type": f"tieout_{one.system}", "host": one.host, "login": one.login,
                           "password": one.password, "extra": dict(one.extra)}
                for one in (crm, ledger)
            }
        )
    )  # fmt: skip
    file.chmod(0o600)
    return crm, ledger


def main() -> None:
    """Measures and prints the table."""
    from bench.row import table

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--orders", type=int, default=ORDERS)
    options.add_argument("--customers", type=int, default=CUSTOMERS)
    options.add_argument("--profile", type=Path, help="folder for a cProfile of each run")
    options.add_argument("--keep", action="store_true", help="leave the store and the sandbox's state on disk")
    given = options.parse_args()
    print(table(rows(measure(given.orders, given.customers, given.profile, given.keep), given.orders)))


if __name__ == "__main__":
    main()
