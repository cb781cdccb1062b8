"""Calls under limits like Xero's: what delivery makes of 60 calls a minute, 5 at a time, beside a naive client.

    python -m bench pace [--quick]          latencies of 0.3, 1 and 3 s, a minute of 20 s, then a true one
    python -m bench.pace --latency 1 --minutes 3

Real HTTP to the sandbox, a PostgreSQL of its own, the whole protocol with its crew of workers. What the limit allows in
so many whole minutes is so many times 60 calls (fewer where 5 at a time cannot make them); counted are the calls that
began in them and were not refused. The naive client keeps 5 calls in the air and tries a refused one again after a
second, which is what a retrying HTTP library does.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Engine

from bench.quote_to_cash import _sandbox as sandbox_in
from bench.row import Row
from tieout.connectors.base import Connector, Operation
from tieout.connectors.oauth import TokenShelf
from tieout.connectors.outside import Outside
from tieout.connectors.pace import Heard
from tieout.connectors.registry import allowance, connect
from tieout.delivery.gate import SharedGate
from tieout.delivery.intents import NewIntent, add
from tieout.model.connection import Connection
from tieout.model.identity import doc_uid, idempotency_key
from tieout.model.settings import load_settings
from tieout.scenarios.delivering import deliver_side
from tieout.scenarios.services import Services, Side, find_link
from tieout.store import embedded, migrate
from tieout.store.engine import connect as connect_store

CALLS, CONCURRENT = 60, 5
LATENCIES = (0.3, 1.0, 3.0)
#: Contacts in one call: with the vendor's 50 the machine would be measured, not the pace.
BATCH = 5
NAIVE_RETRY = 1.0


@dataclass
class Tally:
    """When calls began (seconds on the monotonic clock), and whether they were refused."""

    calls: list[tuple[float, bool]] = field(default_factory=list)

    def note(self, began: float, refused: bool) -> None:
        self.calls.append((began, refused))

    def made(self, seconds: float) -> int:
        """Calls that began within so many seconds of the first, and were not refused."""
        first = min(began for began, _ in self.calls)
        return sum(not refused and began - first < seconds for began, refused in self.calls)

    def refused(self, seconds: float) -> int:
        first = min(began for began, _ in self.calls)
        return sum(refused and began - first < seconds for began, refused in self.calls)


class WatchedGate(SharedGate):
    """The gate, with a tally of what it heard."""

    tally: Tally

    def leave(self, ticket: str, heard: Heard | None) -> None:
        if heard is not None:
            self.tally.note(time.monotonic() - heard.seconds, heard.problem is not None)
        super().leave(ticket, heard)


class SmallBatches:
    """A connector whose batches are BATCH."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self.send, self.look_up, self.close = connector.send, connector.look_up, connector.close

    def operation(self, name: str) -> Operation:
        return replace(self._connector.operation(name), batch=BATCH)


def contact(number: int) -> NewIntent:
    uid = doc_uid("bench", "crm", "Account", str(number), "customer", 1)
    body = {"Name": f"Customer {number}", "ContactNumber": f"C-{number}"}
    return NewIntent(
        link="demo", target="xero_demo", doc_uid=uid, kind="customer", operation="contacts.create", revision=1,
        source="crm", source_object="Account", source_id=str(number), natural_key=f"C-{number}",
        idempotency_key=idempotency_key(uid, "xero_demo", "contacts.create"), body=json.dumps(body).encode(),
        entity="account", source_system="salesforce", source_entity="account",
    )  # fmt: skip


def ours(engine: Engine, connection: Connection, calls: int) -> Tally:
    """Delivers contacts for so many calls."""
    with engine.begin() as conn:
        conn.execute(sa.text("truncate tieout.intent, tieout.attempt, tieout.crosswalk, tieout.pace cascade"))
    for start in range(0, calls * BATCH, 5_000):
        with engine.begin() as conn:
            add(conn, [contact(n) for n in range(start, min(start + 5_000, calls * BATCH))], uuid4(), "bench")
    gate = WatchedGate(engine, connection.name, allowance(connection))
    gate.tally = Tally()
    shelf = TokenShelf()

    def opener() -> Any:
        return SmallBatches(connect(connection, Outside(gate=gate, shelf=shelf)))

    with ExitStack() as stack:
        connector = opener()
        stack.callback(connector.close)
        side = Side(connection.name, "xero", connector, {}, connection.host, opener, gate)
        services = Services(load_settings(), engine, find_link(load_settings(), "demo"), side, side, "bench")
        numbers = deliver_side(services, side, uuid4(), "bench", 60.0)
    if numbers["states"].get("CONFIRMED") != calls * BATCH:
        raise SystemExit(f"{numbers} of {calls * BATCH} contacts")
    return gate.tally


def naive(connection: Connection, seconds: float) -> Tally:
    """Five threads that send without asking, for so long."""
    tally, end = Tally(), time.monotonic() + seconds
    form = {"grant_type": "client_credentials", "scope": "accounting.settings"}
    token_url = str(connection.extra["token_url"])
    answer = httpx.post(token_url, data=form, auth=(connection.login, connection.password)).raise_for_status()
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}", "Accept": "application/json"}
    joined = httpx.get(f"{connection.host}/connections", headers=headers).raise_for_status().json()
    headers["xero-tenant-id"] = joined[0]["tenantId"]

    def work(number: int) -> None:
        with httpx.Client(headers=headers, timeout=60) as client:
            while time.monotonic() < end:
                began = time.monotonic()
                answer = client.get(f"{connection.host}/api.xro/2.0/Organisation")
                tally.note(began, answer.status_code == 429)
                if answer.status_code == 429:
                    time.sleep(NAIVE_RETRY)
                else:
                    answer.raise_for_status()

    with ThreadPoolExecutor(CONCURRENT) as pool:
        list(pool.map(work, range(CONCURRENT)))
    return tally


def measure(latencies: Sequence[float], minute: float, minutes: int, beside: bool = True) -> list[Row]:
    """A row of ours and, with `beside`, one of the naive client for each latency."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    rows: list[Row] = []
    try:
        engine = connect_store(embedded.start(home, {}).url_for("postgres"), pool_size=6)
        migrate.upgrade(engine)
        with sandbox_in(home) as (url, _):
            # A shorter minute is the vendor's, so it is the connection's too.
            extra = {
                "token_url": f"{url}/xero/connect/token", "allowed_hosts": "127.0.0.1", "calls_window": minute,
            }  # fmt: skip
            connection = Connection("xero_demo", "xero", f"{url}/xero", "sandbox-client", "sandbox-secret", extra)
            for latency in latencies:
                rows += _one(engine, connection, url, latency, minute, minutes, beside)
        engine.dispose()
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    return rows


def _one(
    engine: Engine, connection: Connection, url: str, latency: float, minute: float, minutes: int, beside: bool
) -> list[Row]:
    seconds = minute * minutes
    allowed = min(CALLS * minutes, int(CONCURRENT / latency * seconds))
    limits: Mapping[str, int | None] = {"minute": CALLS, "concurrent": CONCURRENT, "day": None, "app_minute": None}
    rows = []
    for name in ("ours", "naive") if beside else ("ours",):
        _fresh(url, latency, minute, limits)
        # A little more work than can be done, so that it does not end before the time does.
        tally = ours(engine, connection, allowed + CONCURRENT) if name == "ours" else naive(connection, seconds)
        made, refused = tally.made(seconds), tally.refused(seconds)
        work = f"{name}: {minutes} x {minute:g} s, {latency:g} s an answer"
        print(f"{work}: {made} of {allowed} calls, {refused} refused", file=sys.stderr)
        least, most = (0.95, allowed / 50) if name == "ours" else (None, None)
        words = ("0.95", "1 in 50") if name == "ours" else ("", "")
        rows.append(Row(work, f"{made} calls", f"the limit allows {allowed}", made / allowed, words[0], least=least))
        rows.append(Row("  answers 429", str(refused), "", float(refused), words[1], most=most))
    return rows


def _fresh(url: str, latency: float, minute: float, limits: Mapping[str, int | None]) -> None:
    httpx.post(f"{url}/_sandbox/reset", timeout=30).raise_for_status()
    settings = {"limits": dict(limits), "latency_seconds": latency, "minute_seconds": minute}
    httpx.patch(f"{url}/_sandbox/settings", json={"xero": settings}, timeout=30).raise_for_status()


def run(quick: bool = False) -> Sequence[Row]:
    """The rows of `python -m bench`."""
    return measure((0.3,), 15.0, 3) if quick else [*measure(LATENCIES, 20.0, 3), *measure((1.0,), 60.0, 3, False)]


def main() -> None:
    """Measures one latency under the true minute."""
    from bench.row import table

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--latency", type=float, default=1.0, help="seconds until the sandbox answers")
    options.add_argument("--minutes", type=int, default=3)
    options.add_argument("--minute", type=float, default=60.0, help="seconds of a minute")
    options.add_argument("--naive", action="store_true", help="the naive client, too")
    given = options.parse_args()
    print(table(measure((given.latency,), given.minute, given.minutes, given.naive)))


if __name__ == "__main__":
    main()
