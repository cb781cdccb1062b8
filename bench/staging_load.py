"""Loading records into staging, beside psql's own binary copy of prepared files.

    python -m bench.staging_load [--rows 1000000] [--rounds 3]

Prints medians of seconds, and ratios, of rounds in which all take turns:
  limit, columns   psql \\copy of a binary file with the typed columns into an unlogged table, no index
  limit, jsonb     the same with the payload as jsonb
  limit, staging   the same with all columns of what we staged, into a logged table with the two indexes of staging
  psycopg          binary COPY of tuples that Python holds already, typed columns, no payload
  first load       tieout.store.staging from a vendor's pages (JSON): types, problems, hash, payload, key, versions
  nothing changed  the same records again
  1 % changed      one record in a hundred differs

The figures depend on the machine and on what else runs there; only their ratios say something. Beside the seconds
stands the CPU time of this process and of PostgreSQL, which another's load changes less. The server is the embedded one
with durability on, so what staging writes is logged and what the limits write is not.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import sqlalchemy as sa

from bench import cpu
from bench.row import Row
from tieout.connectors import exact_json
from tieout.model.staged import StagedEntity, StagedField
from tieout.store import embedded, migrate, staging
from tieout.store.embedded import EmbeddedServer
from tieout.store.engine import connect

PAGE = 2_000
ENTITY = StagedEntity(
    "salesforce", "order", "Order", "Id", "SystemModstamp",
    (
        StagedField("id", "Id", "text"), StagedField("order_number", "OrderNumber", "text"),
        StagedField("account_id", "AccountId", "text"), StagedField("status", "Status", "text"),
        StagedField("effective_date", "EffectiveDate", "date"), StagedField("currency", "CurrencyIsoCode", "text"),
        StagedField("total_amount", "TotalAmount", "decimal"), StagedField("freight", "Freight__c", "decimal"),
        StagedField("modified", "SystemModstamp", "timestamp"), StagedField("active", "Active__c", "boolean"),
    ),
)  # fmt: skip


def record(number: int, rng: random.Random) -> dict[str, Any]:
    """An order of about 500 bytes of JSON, one in a hundred with an amount of 18 digits."""
    big = number % 100 == 0
    return {
        "attributes": {"type": "Order", "url": f"/services/data/v66.0/sobjects/Order/801{number:012d}"},
        "Id": f"801{number:012d}AAA", "OrderNumber": f"{number:08d}", "AccountId": f"001{number % 5000:012d}AAA",
        "Status": "Activated", "EffectiveDate": "2026-03-01", "CurrencyIsoCode": "EUR",
        "TotalAmount": Decimal(rng.randrange(10**17, 10**18) if big else rng.randrange(10**7)) / 100,
        "Freight__c": Decimal("12.50"), "SystemModstamp": "2026-03-01T10:00:00.000+0000", "Active__c": True,
        "Description": "Ordered by phone, to be delivered in two parts", "BillingCity": "Oberhausen",
    }  # fmt: skip


def pages(rows: int, changed: bool = False) -> Iterator[list[dict[str, Any]]]:
    """The same records each time, page by page."""
    rng = random.Random(7)
    for start in range(0, rows, PAGE):
        page = [record(number, rng) for number in range(start, min(start + PAGE, rows))]
        if changed:
            for number in range(0, len(page), 100):
                page[number]["TotalAmount"] += 1
        yield page


def write_pages(rows: int, folder: Path) -> None:
    """A file for each state of the vendor's data, a page in each line."""
    for changed in (False, True):
        with _pages_file(folder, changed).open("wb") as file:
            for page in pages(rows, changed):
                file.write(exact_json.dumps({"records": page}) + b"\n")


def read_pages(folder: Path, changed: bool) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The pages as a connector gives them."""
    with _pages_file(folder, changed).open("rb") as file:
        for line in file:
            yield exact_json.page(line, "records")["records"]


def _pages_file(folder: Path, changed: bool) -> Path:
    return folder / f"pages{'-changed' if changed else ''}.json"


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds on the wall, and CPU seconds of this process and of PostgreSQL."""

    wall: float
    python: float
    postgres: float

    @classmethod
    def of(cls, server: EmbeddedServer, work: Callable[[], object]) -> Took:
        """What the work takes."""
        wall, python, postgres = time.perf_counter(), cpu.mine(), cpu.of(server.pid)
        work()
        took, used = time.perf_counter() - wall, cpu.mine() - python
        time.sleep(0.2)  # until PostgreSQL has counted a session that ended
        return cls(took, used, cpu.of(server.pid) - postgres)

    @classmethod
    def median(cls, found: Sequence[Took]) -> Took:
        """Of each figure by itself."""
        return cls(*(statistics.median(getattr(one, name) for one in found) for name in cls.__dataclass_fields__))


def psql(server: EmbeddedServer, command: str) -> None:
    program = embedded._bin() / "psql"
    subprocess.run(
        [str(program), "-q", "-h", str(server.socket_dir), "-U", "postgres", "-d", "bench", "-c", command], check=True
    )


def load(server: EmbeddedServer, table: str, file: Path) -> Took:
    """What psql takes to copy a binary file into the table."""
    return Took.of(server, lambda: psql(server, f"\\copy {table} from '{file}' (format binary)"))


COLUMNS = (
    "id text, number text, account text, status text, day date, currency text, total numeric, freight numeric, "
    "modified timestamptz, active boolean"
)
NAMES = [column.split()[0] for column in COLUMNS.split(", ")]


def prepare(server: EmbeddedServer, rows: int, folder: Path) -> None:
    """Binary files of the columns, and of the columns with the payload, as psql takes them."""
    psql(server, f"create unlogged table flat ({COLUMNS}); create unlogged table full_rows ({COLUMNS}, payload jsonb)")
    with psycopg.connect(server.url_for("bench").replace("+psycopg", "")) as conn:
        with conn.cursor().copy("copy full_rows from stdin") as copy:
            for page in pages(rows):
                for one in page:
                    copy.write_row([*_typed(one), json.dumps(one, default=str)])
        conn.execute(f"insert into flat select {', '.join(NAMES)} from full_rows")
    for table in ("flat", "full_rows"):
        psql(server, f"\\copy {table} to '{folder / table}.bin' (format binary)")
        psql(server, f"truncate {table}")


def _typed(one: dict[str, Any]) -> list[Any]:
    return [
        one["Id"], one["OrderNumber"], one["AccountId"], one["Status"], one["EffectiveDate"], one["CurrencyIsoCode"],
        one["TotalAmount"], one["Freight__c"], one["SystemModstamp"], one["Active__c"],
    ]  # fmt: skip


def by_psycopg(server: EmbeddedServer, rows: int) -> Took:
    """What is taken for binary COPY of tuples that are there already."""
    day, modified = date(2026, 3, 1), datetime(2026, 3, 1, 10, tzinfo=UTC)
    typed = [
        [*_typed(one)[:4], day, "EUR", one["TotalAmount"], one["Freight__c"], modified, True]
        for page in pages(rows)
        for one in page
    ]

    with psycopg.connect(server.url_for("bench").replace("+psycopg", "")) as conn:
        conn.execute("truncate flat")

        def copy_all() -> None:
            with conn.cursor().copy("copy flat from stdin (format binary)") as copy:
                copy.set_types(["text"] * 4 + ["date", "text", "numeric", "numeric", "timestamptz", "bool"])
                for row in typed:
                    copy.write_row(row)
            conn.commit()

        return Took.of(server, copy_all)


def measure(rows: int, rounds: int, home: Path) -> dict[str, Took]:
    """The median of each way."""
    server = embedded.start(home)
    server.create_database("bench")
    engine = connect(server.url_for("bench"))
    migrate.upgrade(engine)
    prepare(server, rows, home)
    write_pages(rows, home)
    times: dict[str, list[Took]] = {}
    for _ in range(rounds):
        for name, took in _round(server, engine, rows, home).items():
            times.setdefault(name, []).append(took)
    engine.dispose()
    return {name: Took.median(found) for name, found in times.items()}


def _round(server: EmbeddedServer, engine: sa.Engine, rows: int, home: Path) -> dict[str, Took]:
    took: dict[str, Took] = {}
    for name, table in (("limit, columns", "flat"), ("limit, jsonb", "full_rows")):
        psql(server, f"truncate {table}")
        took[name] = load(server, table, home / f"{table}.bin")
    took["psycopg"] = by_psycopg(server, rows)
    psql(server, "truncate flat; truncate full_rows")
    with engine.begin() as conn:
        conn.exec_driver_sql(
            "drop table if exists staging.salesforce_order, staging.salesforce_order_superseded cascade"
        )
        staging.ensure(conn, ENTITY)
    for name, changed in (("first load", False), ("nothing changed", False), ("1 % changed", True)):
        found = read_pages(home, changed)
        took[name] = Took.of(server, lambda found=found: staging.stage(engine, ENTITY, "crm", found, uuid4()))  # type: ignore[misc]
        print(f"# {name}: {took[name]}", flush=True)
    file = home / "staged.bin"
    psql(server, "create table staged (like staging.salesforce_order including indexes)")
    psql(server, f"\\copy staging.salesforce_order to '{file}' (format binary)")
    took["limit, staging"] = load(server, "staged", file)
    psql(server, "drop table staged")
    file.unlink()
    return took


def run(quick: bool = False) -> Sequence[Row]:
    """The rows of `python -m bench`."""
    rows = 50_000 if quick else 1_000_000
    took = in_new_home(rows, 3 if quick else 1)
    first, work = took["first load"].wall, f"staging load, {rows:,} rows"
    peers = (
        ("limit, columns", "psql binary copy of columns", 1.5),
        ("limit, jsonb", "psql binary copy into jsonb", 2.5),
    )
    floor = took["limit, staging"].wall
    return [
        *(
            Row(work, f"{first:.2f} s", f"{words} {limit:.2f} s", first / limit, str(most), most=most)
            for limit, words, most in ((took[name].wall, words, most) for name, words, most in peers)
        ),
        Row(work, f"{first:.2f} s", f"psql binary copy of what was staged, indexed {floor:.2f} s", first / floor),
        *(
            Row(f"{work}, {name}", f"{took[name].wall:.2f} s", f"first load {first:.2f} s", took[name].wall / first)
            for name in ("nothing changed", "1 % changed")
        ),
        *(
            Row(f"  CPU a row, {name}", f"{one.python / rows * 1e6:.1f} us Python",
                f"{one.postgres / rows * 1e6:.1f} us PostgreSQL")
            for name, one in took.items()
        ),
    ]  # fmt: skip


def in_new_home(rows: int, rounds: int) -> dict[str, Took]:
    """`measure` with a server of its own, whose files are removed."""
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    home.chmod(0o777)
    try:
        return measure(rows, rounds, home)
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    figures = in_new_home(arguments.rows, arguments.rounds)
    print(
        f"{arguments.rows} rows: seconds, / limit columns, / jsonb, / first load; CPU us a row: Python, PostgreSQL"
    )
    for name, took in figures.items():
        ratios = (took.wall / figures[base].wall for base in ("limit, columns", "limit, jsonb", "first load"))
        used = (one / arguments.rows * 1e6 for one in (took.python, took.postgres))
        print(f"{name:20}{took.wall:9.2f}" + "".join(f"{figure:10.2f}" for figure in (*ratios, *used)))


if __name__ == "__main__":
    main()
