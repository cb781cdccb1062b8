"""Reconciling what PostgreSQL holds, beside a plain FULL JOIN of it and beside tools that compare tables.

    python -m bench.reconcile [--rows 1000000] [--rounds 3] [--without datacompy reladiff]

Both sides hold so many documents, of which one in 200 differs: gone on either side, another amount (by a cent, or an
amount of 18 digits by one), customer, date, number or status. All take turns:
  FULL JOIN    one statement that counts the rows that differ in a compared column; nothing of them is kept
  ours         matching, classified differences with their sentences, totals, breaks, items, roll-forward, hash
  ours, again  the same a day later: every break is known
  reladiff     both tables in the same database, where it joins them
  reladiff of two databases    as two systems are: it compares hashes of parts
  datacompy    both tables read into pandas and compared there
The embedded server with ordinary durability; reading both systems and filling the items is not in it. Then
payments against open invoices, in memory.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from bench.row import Row
from tests.support.remittances import remittances
from tieout.model.settings import load_settings
from tieout.reconcile import differences, items, match, payments, record, report_store
from tieout.reconcile.rules import load_rules
from tieout.store import embedded, migrate
from tieout.store.engine import connect

DAY = date(2026, 3, 31)
#: Compared by all; the key is what they join on.
COLUMNS = ("amount", "currency", "customer", "date", "number", "status", "total", "paid", "due")
ONE_IN = 200

_DOCUMENTS = """
create table {name} as select n as id, 'order:801' || lpad(n::text, 12, '0') as key,
    (case when n % 100 = 0 then 100000000000000000 + n * 7919 else n * 7919 % 5000000 + 100 end)::bigint as amount,
    case when n % 5 = 0 then 'GBP' else 'EUR' end as currency, '001' || lpad((n % 20000)::text, 12, '0') as customer,
    date '2025-04-01' + (n % 360)::int as date, 'INV-' || lpad(n::text, 8, '0') as number, 'AUTHORISED' as status,
    (n * 7919 % 5000000 + 120)::bigint as total, 0::bigint as paid, (n * 7919 % 5000000 + 120)::bigint as due
from generate_series(cast(1 as bigint), cast(:rows as bigint)) n
"""
#: What is done to the ledger's side: of the rows that differ, an eighth each.
_SPOIL = """
delete from b_docs where n_of(key) % 1600 = 0;
delete from a_docs where n_of(key) % 1600 = 200;
update b_docs set amount = amount + 1 where n_of(key) % 1600 in (400, 600);
update b_docs set customer = '001000000000000X' where n_of(key) % 1600 = 800;
update b_docs set date = date + 3 where n_of(key) % 1600 = 1000;
update b_docs set number = number || 'A' where n_of(key) % 1600 = 1200;
update b_docs set status = 'DRAFT' where n_of(key) % 1600 = 1400;
"""
_FULL_JOIN = f"""
select count(*) from recon_a a full join recon_b b on a.area = b.area and a.match_key = b.match_key
where a.key is null or b.key is null or ({", ".join(f"a.{name}" for name in COLUMNS)})
    is distinct from ({", ".join(f"b.{name}" for name in COLUMNS)})
"""


def prepare(engine: Engine, rows: int) -> None:
    """Two tables of documents, a_docs and b_docs, as two systems hold them."""
    with engine.begin() as conn:
        conn.exec_driver_sql(
            "create function n_of(key text) returns bigint immutable parallel safe language sql "
            "return substr(key, 10)::bigint"
        )
        for name in ("a_docs", "b_docs"):
            conn.execute(sa.text(_DOCUMENTS.format(name=name)), {"rows": rows})
        for statement in _SPOIL.strip().split(";\n"):
            conn.exec_driver_sql(statement.replace("%", "%%"))
        for name in ("a_docs", "b_docs"):
            conn.exec_driver_sql(f"alter table {name} add primary key (id)")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("vacuum analyze")


def fill(conn: Connection) -> None:
    """The items of both sides, as the scenario fills them from frames."""
    items.create(conn)
    for side, entity in (("a", "order"), ("b", "invoice")):
        key = "key" if side == "a" else "'invoice:' || substr(key, 7)"
        conn.exec_driver_sql(
            f"insert into recon_{side} (area, key, match_key, linked, scale, label, title, {', '.join(COLUMNS)}) "
            f"select 'invoices', {key}, key, true, 2, '{entity} ' || substr(key, 7), number, {', '.join(COLUMNS)} "
            f"from {side}_docs"
        )
    items.ready(conn)


def joined(engine: Engine) -> tuple[float, int]:
    """Seconds of the plain join, and how many rows differ."""
    with engine.begin() as conn:
        fill(conn)
        conn.exec_driver_sql(f"set local work_mem = '{match.WORK_MEMORY}'")
        began = time.perf_counter()
        found = conn.exec_driver_sql(_FULL_JOIN).scalar_one()
        return time.perf_counter() - began, found


def reconciled(engine: Engine, day: date) -> tuple[dict[str, float], int]:
    """Seconds of each part of ours, and how many records differ."""
    rules = load_rules(load_settings().include)
    now = datetime.now(UTC)
    context = differences.Context(
        "bench", ("salesforce", "crm"), ("xero", "ledger"), {}, day, now, 5, 0, None, "UTC", {}
    )  # fmt: skip
    took: dict[str, float] = {}
    with engine.begin() as conn:
        fill(conn)
        report = report_store.open_report(conn, "bench", day, now, uuid4(), rules.hash, "m", "c")

        def timed(name: str, work: Callable[[], Any]) -> None:
            began = time.perf_counter()
            work()
            took[name] = time.perf_counter() - began

        timed("match", lambda: match.match(conn, "bench", rules, 5, now))
        record.create_differences(conn)
        timed("differences", lambda: differences.find(conn, rules, context))
        timed("totals", lambda: differences.totals(conn, report.report_id))
        timed("record", lambda: record.record(conn, report))
        timed("finish", lambda: report_store.finish(conn, report))
        query = "select count(distinct coalesce(a_keys[1], b_keys[1])) from recon_difference"
        session = conn.exec_driver_sql("select pg_backend_pid()").scalar_one()
        print(f"#   peak memory: {_peak('self'):,.0f} MiB of this process, {_peak(session):,.0f} of the session's")
        return took, conn.exec_driver_sql(query).scalar_one()


def _peak(process: object) -> float:
    """MiB that a process had at most; of a session with the shared buffers that it touched."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) / 1024


def by_reladiff(a_url: str, b_url: str) -> tuple[float, int]:
    """Its own way, by its own connections: of one database it joins both tables, of two it compares hashes of parts."""
    from reladiff import connect_to_table, diff_tables

    logging.getLogger("reladiff").setLevel(logging.ERROR)
    tables = []
    for url, name in ((a_url, "a_docs"), (b_url, "b_docs")):
        place = sa.engine.make_url(url)
        where = {"driver": "postgresql", "user": place.username, "dbname": place.database, "host": place.query["host"]}
        tables.append(connect_to_table(where, name, "id", thread_count=4))
    began = time.perf_counter()
    found = {row[0] for _, row in diff_tables(*tables, key_columns=("id",), extra_columns=COLUMNS)}
    return time.perf_counter() - began, len(found)


def by_datacompy(engine: Engine) -> tuple[float, int]:
    """In pandas, with reading both tables."""
    import datacompy
    import pandas as pd

    began = time.perf_counter()
    with engine.connect() as conn:
        frames = [pd.read_sql(f"select * from {name}", conn) for name in ("a_docs", "b_docs")]
    compared = datacompy.Compare(*frames, join_columns=["id"])
    differing = len(compared.df1_unq_rows) + len(compared.df2_unq_rows) + len(compared.all_mismatch())
    return time.perf_counter() - began, differing


def measure(rows: int, rounds: int, home: Path, without: Sequence[str] = ()) -> dict[str, float]:
    """Median seconds of each way. Raises AssertionError when two that are exact do not find the same number."""
    server = embedded.start(home)
    server.create_database("bench")
    server.create_database("other")
    url, other = server.url_for("bench"), server.url_for("other")
    engine = connect(url)
    migrate.upgrade(engine)
    prepare(engine, rows)
    if "reladiff" not in without:
        second = connect(other)
        prepare(second, rows)
        second.dispose()
    took: dict[str, list[float]] = {}
    counts: dict[str, int] = {}

    def note(name: str, seconds: float, found: int) -> None:
        took.setdefault(name, []).append(seconds)
        counts[name] = found
        print(f"# {name}: {seconds:.2f} s, {found:,} differ", flush=True)

    for number in range(rounds):
        note("FULL JOIN", *joined(engine))
        for again in (False, True):
            parts, found = reconciled(engine, DAY + timedelta(days=number * 2 + again))
            print("#   " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items()))
            note("ours, again" if again or number else "ours", sum(parts.values()), found)
            note("ours, matching alone", parts["match"], found)
        if "reladiff" not in without:
            note("reladiff", *by_reladiff(url, url))
            note("reladiff of two databases", *by_reladiff(url, other))
        if "datacompy" not in without:
            note("datacompy", *by_datacompy(engine))
    engine.dispose()
    # datacompy compares by floats: it does not see that an amount of 18 digits differs by one.
    exact = {name: found for name, found in counts.items() if name != "datacompy"}
    assert len(set(exact.values())) == 1, f"they do not find the same: {counts}"
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def in_new_home(rows: int, rounds: int, without: Sequence[str] = ()) -> dict[str, float]:
    """`measure` with a server of its own, whose files are removed."""
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    home.chmod(0o777)
    try:
        return measure(rows, rounds, home, without)
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def matched(count: int) -> Row:
    """Payments against open invoices: seconds, and how many of the pairs are right and found."""
    year = remittances(count)
    began = time.process_time()
    found = payments.match(year.payments, year.invoices)
    seconds = time.process_time() - began
    pairs = [(each.payment, key) for each in found if each.certain for key, _ in each.applied]
    right = sum(key in year.meant[payment] for payment, key in pairs)
    true = sum(len(keys) for keys in year.meant.values())
    words = f"precision {right / len(pairs):.4f}, recall {right / true:.4f}"
    return Row(f"{count:,} payments to open invoices, CPU", f"{seconds:.2f} s", words, seconds, "1 s", most=1.0)


def run(quick: bool = False) -> Sequence[Row]:
    """The rows of `python -m bench`."""
    rows = 50_000 if quick else 1_000_000
    took = in_new_home(rows, 1 if quick else 3)
    ours, work = took["ours"], f"reconcile {rows:,} x {rows:,}, one in {ONE_IN} differs"
    alone = took["ours, matching alone"]
    return [
        Row(f"{work}: matching", f"{alone:.2f} s", f"FULL JOIN {took['FULL JOIN']:.2f} s", alone / took["FULL JOIN"],
            "1", most=1.0),
        Row(f"{work}: whole report", f"{ours:.2f} s", f"FULL JOIN {took['FULL JOIN']:.2f} s", ours / took["FULL JOIN"]),
        Row("the same a day later", f"{took['ours, again']:.2f} s", f"first {ours:.2f} s", took["ours, again"] / ours),
        *(
            Row(work, f"{ours:.2f} s", f"{peer} {took[peer]:.2f} s", took[peer] / ours, f"{n} x as fast", least=n)
            for peer, n in (("reladiff", 7), ("reladiff of two databases", 7), ("datacompy", 10))
        ),
        matched(10_000 if quick else 100_000),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[], choices=["reladiff", "datacompy"])
    given = parser.parse_args()
    figures = in_new_home(given.rows, given.rounds, given.without)
    for name, seconds in figures.items():
        print(f"{name:22} {seconds:8.2f} s  / FULL JOIN {seconds / figures['FULL JOIN']:6.2f}  / ours "
              f"{seconds / figures['ours']:6.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
