"""100,000 records by HTTP into PostgreSQL: our connector and staging, beside plain httpx + COPY and dlt's REST source.

    python -m bench.extract [--records 100000] [--rounds 3] [--without-dlt]

A server of its own gives prepared pages (2,000 records each, amounts of 18 digits) at next to no cost, in another
process. All take turns in one run; medians are printed as ratios to plain httpx + COPY of the declared columns.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
import structlog
from sqlalchemy.engine import Engine

from bench.row import Row
from tieout.connectors.salesforce import SalesforceConnector
from tieout.model.connection import Connection
from tieout.model.staged import StagedEntity, StagedField
from tieout.store import embedded, migrate, staging
from tieout.store.engine import connect

PAGE = 2000
DATA = "/services/data/v62.0"
FIELDS = (
    StagedField("order_id", "Id", "text"),
    StagedField("order_number", "OrderNumber", "text"),
    StagedField("account_id", "AccountId", "text"),
    StagedField("status", "Status", "text"),
    StagedField("currency", "CurrencyIsoCode", "text"),
    StagedField("total_amount", "TotalAmount", "decimal"),
    StagedField("effective_date", "EffectiveDate", "date"),
    StagedField("modified_at", "SystemModstamp", "timestamp"),
)
ENTITY = StagedEntity("salesforce", "order", "Order", "Id", "SystemModstamp", FIELDS)


def _record(number: int) -> dict[str, object]:
    return {
        "attributes": {"type": "Order", "url": f"{DATA}/sobjects/Order/801{number:015d}"},
        "Id": f"801{number:015d}",
        "OrderNumber": f"{number:08d}",
        "AccountId": f"001{number % 977:015d}",
        "Status": "Activated",
        "CurrencyIsoCode": "EUR",
        "TotalAmount": f"@{1234567890120000 + number}.{number % 100:02d}@",
        "EffectiveDate": "2024-05-01",
        "SystemModstamp": f"2024-05-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000+0000",
    }


def pages(count: int) -> list[bytes]:
    """The prepared answers, amounts as exact numbers."""
    made = []
    for start in range(0, count, PAGE):
        records = [_record(number) for number in range(start, min(start + PAGE, count))]
        last = start + PAGE >= count
        answer: dict[str, object] = {"totalSize": count, "done": last, "records": records}
        if not last:
            answer["nextRecordsUrl"] = f"{DATA}/query/01gBENCH-{start + PAGE}"
        made.append(json.dumps(answer).replace('"@', "").replace('@"', "").encode())
    return made


def serve(listening: socket.socket, count: int) -> None:
    """The server's process: a token, then pages; keep-alive."""
    answers = pages(count)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            place = self.path.partition("01gBENCH-")[2]
            self._answer(answers[int(place or 0) // PAGE])

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(b'{"access_token":"bench"}')

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.server_activate()
    server.serve_forever()


def plain(base: str, engine: Engine) -> int:
    """httpx, json with exact numbers, COPY of the declared columns into a new table."""
    with psycopg.connect(_dsn(engine)) as conn, httpx.Client() as client:
        conn.execute("drop table if exists plain_order")
        conn.execute(
            "create table plain_order (order_id text, order_number text, account_id text, status text, currency text,"
            " total_amount numeric, effective_date date, modified_at timestamptz)"
        )
        following: str | None = f"{DATA}/query"
        with conn.cursor().copy("copy plain_order from stdin") as copy:
            while following:
                answer = json.loads(client.get(base + following).content, parse_float=Decimal)
                for record in answer["records"]:
                    copy.write_row([record[field.path] for field in FIELDS])
                following = answer.get("nextRecordsUrl")
        return _count(conn, "plain_order")


def connector_alone(base: str, _: Engine) -> int:
    """Our connector; the records are thrown away."""
    connector = _connector(base)
    try:
        return sum(len(page.records) for page in connector.changed(ENTITY, None, datetime.now(UTC)))
    finally:
        connector.close()


def ours(base: str, engine: Engine) -> int:
    """Our connector and staging into an empty staging table: columns, payload, hash, version history."""
    with engine.begin() as conn:
        conn.exec_driver_sql(
            "drop table if exists staging.salesforce_order, staging.salesforce_order_superseded cascade"
        )
        staging.ensure(conn, ENTITY)
    return _stage(base, engine)


def ours_again(base: str, engine: Engine) -> int:
    """The same once more: nothing has changed."""
    return _stage(base, engine)


def _stage(base: str, engine: Engine) -> int:
    connector = _connector(base)
    try:
        records = (page.records for page in connector.changed(ENTITY, None, datetime.now(UTC)))
        staging.stage(engine, ENTITY, "bench", records, uuid4())
    finally:
        connector.close()
    with psycopg.connect(_dsn(engine)) as conn:
        return _count(conn, "staging.salesforce_order")


def dlt_rest(base: str, engine: Engine) -> int:
    """dlt's REST source into PostgreSQL, as its documentation shows it (its JSON reader makes floats of amounts)."""
    import dlt
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(
        {
            "client": {"base_url": base, "paginator": {"type": "json_link", "next_url_path": "nextRecordsUrl"}},
            "resources": [{"name": "orders", "endpoint": {"path": f"{DATA}/query", "data_selector": "records"}}],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "bench",
            destination=dlt.destinations.postgres(_dlt_credentials(engine)),
            dataset_name=f"dlt_{uuid4().hex[:8]}",
            pipelines_dir=folder,
        )
        pipeline.run(source)
        with psycopg.connect(_dsn(engine)) as conn:
            return _count(conn, f"{pipeline.dataset_name}.orders")


def _dlt_credentials(engine: Engine) -> dict[str, object]:
    # The embedded server is on a Unix socket; dlt wants the folder as a host, and a port and a password as well.
    url = engine.url
    host = url.query.get("host") or url.host or "localhost"
    return {
        "drivername": "postgresql",
        "database": url.database,
        "username": url.username,
        "password": url.password or "-",
        "host": quote(str(host), safe=""),  # libpq takes a folder in a URL this way
        "port": int(str(url.query.get("port") or url.port or 5432)),
    }


def _connector(base: str) -> SalesforceConnector:
    extra = {"bulk_from": 1e9}
    return SalesforceConnector(Connection("bench", "salesforce", base, "id", "secret", extra))


def _dsn(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _count(conn: psycopg.Connection[tuple[object, ...]], table: str) -> int:
    found = conn.execute(f"select count(*) from {table}".encode()).fetchone()
    assert found is not None
    return int(str(found[0]))


PLAIN, OURS, AGAIN, DLT = (
    "plain httpx + COPY of columns",
    "connector + staging",
    "connector + staging, unchanged",
    "dlt REST source",
)


def run(quick: bool = False) -> Sequence[Row]:
    """The rows of `python -m bench`."""
    records = 10_000 if quick else 100_000
    took = measure(records, 1 if quick else 3, with_dlt=True)
    work = f"JSON pages -> staged rows, {records:,} records"
    return [
        Row(work, f"{took[OURS]:.2f} s", f"httpx + COPY of columns {took[PLAIN]:.2f} s", took[OURS] / took[PLAIN],
            "1.2", most=1.2),
        Row(work, f"{took[OURS]:.2f} s", f"dlt REST source {took[DLT]:.2f} s", took[DLT] / took[OURS], "12 x faster",
            least=12),
        Row(f"{work}, unchanged", f"{took[AGAIN]:.2f} s", f"httpx + COPY of columns {took[PLAIN]:.2f} s",
            took[AGAIN] / took[PLAIN]),
    ]  # fmt: skip


def measure(records: int, rounds: int, *, with_dlt: bool) -> dict[str, float]:
    """Median seconds of each way, in `rounds` rounds in which all take turns."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    ways: dict[str, Callable[[str, Engine], int]] = {
        PLAIN: plain,
        "connector alone": connector_alone,
        OURS: ours,
        AGAIN: ours_again,
    }
    if with_dlt:
        ways[DLT] = dlt_rest
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as folder, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = multiprocessing.Process(target=serve, args=(listening, records), daemon=True)
        server.start()
        home = Path(folder)
        try:
            url = embedded.start(home).url_for("postgres")
            engine = connect(url)
            migrate.upgrade(engine)
            took = _measure(ways, base, engine, records, rounds)
            engine.dispose()
        finally:
            embedded.stop(home)
            server.terminate()
    return took


def main() -> int:
    """Measures and prints; 1 when something did not arrive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-dlt", action="store_true")
    wanted = parser.parse_args()
    took = measure(wanted.records, wanted.rounds, with_dlt=not wanted.without_dlt)
    print(f"{wanted.records} records by HTTP into PostgreSQL, median of {wanted.rounds}")
    for name, seconds in took.items():
        print(f"  {name:34} {seconds:8.2f} s  {seconds / took[PLAIN]:6.2f} x")
    return 0


def _measure(
    ways: dict[str, Callable[[str, Engine], int]], base: str, engine: Engine, records: int, rounds: int
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            count = way(base, engine)
            times[name].append(time.perf_counter() - started)
            if count != records:
                raise SystemExit(f"{name}: {count} of {records} records arrived")
    return {name: statistics.median(found) for name, found in times.items()}


if __name__ == "__main__":
    raise SystemExit(main())
