"""A fiscal period's backfill, the hourly run and webhooks reach for the same orders at once: nothing is posted twice.

Three processes on one store and one sandbox, which sends its webhooks by HTTP to the receiver of the pages.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests.proofs.company import Company
from tests.proofs.northwind_arithmetic import Expected
from tests.support import pages
from tests.support.served import served
from tieout.model.connection import Connection
from tieout.model.settings import PROJECT
from tieout.scenarios import hooks_inbox
from tieout.store import hooks

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.proves(
        "a backfill, the hourly run and webhooks at once post each order once",
        scenario="webhooks",
        pair=("salesforce", "xero"),
        systems=("xero",),
    ),
]

KEY = "key of the proof"
KINDS = ("period", "hourly", "hooks")
PATIENCE = 300  # seconds


@contextmanager
def told(company: Company, home: Path) -> Iterator[None]:
    """The ledger's webhooks go to a receiver, in front of the company's store."""
    ledger = replace(company.ledger, extra={**company.ledger.extra, "webhook_key": KEY})

    def connection(name: str) -> Connection:
        return ledger if name == ledger.name else pages.no_connection(name)

    app = pages.app(company.engine, home, connection=connection)
    with served(app) as url:
        address = f"{url}/tieout/hooks/{ledger.name}"
        company.sandbox.settings("xero", webhook_url=address, webhook_key=KEY, webhook_retry_seconds=0)
        door = f"{company.sandbox.url}/xero/_sandbox/webhooks"
        assert httpx.post(f"{door}/intent-to-receive", timeout=60).json() == {"status": "OK"}
        yield
        end = time.monotonic() + PATIENCE
        while httpx.get(door, timeout=60).json()["waiting"]:
            assert time.monotonic() < end, "the sandbox does not come to an end with its webhooks"
            time.sleep(0.1)
        assert {status for one in httpx.get(door).json()["sent"] for status in one["statuses"]} == {200}


def at_once(company: Company, rounds: int) -> dict[str, str]:
    """All kinds of runs beside each other; what each of them said."""
    path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])
    file = PROJECT / "include" / "links" / f"{company.link.name}.yaml"
    words = [company.database_url, company.sandbox.url, str(file)]
    processes = {
        kind: subprocess.Popen(
            [sys.executable, "-m", "tests.proofs.interleaved", *words, kind, str(rounds)], cwd=PROJECT, text=True,
            env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for kind in KINDS
    }  # fmt: skip
    try:
        for process in processes.values():
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in processes.values():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = {kind: process.communicate(timeout=PATIENCE) for kind, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    for kind, process in processes.items():
        assert process.returncode == 0, f"{kind}: {said[kind]}"
    return {kind: out for kind, (out, _) in said.items()}


def test_a_backfill_the_hourly_run_and_webhooks_at_once_post_each_order_once(
    company: Company, expected: Expected, tmp_path: Path
) -> None:
    with told(company, tmp_path):
        said = at_once(company, rounds=3)
        company.later()
        numbers = company.run_until_settled()
        # Finance takes money, which is told by webhooks, while all three are at work again.
        with company.hand() as hand:
            for invoice in company.books().invoices:
                hand.pay(invoice["InvoiceID"], Decimal("0.01"), date(2026, 3, 20))
        said |= {f"{kind} again": out for kind, out in at_once(company, rounds=2).items()}
        company.later()
        numbers = company.run_until_settled()
    with company.services() as services:
        hooks_inbox.read(services)
    books = company.books()
    books.assert_no_duplicates()
    assert len(books.invoices) == len(expected.orders) == numbers["read"], said
    assert {one["Reference"]: one["SubTotal"] for one in books.invoices} == expected.orders
    with company.engine.connect() as conn:
        created = conn.execute(
            sa.text("select count(*) from tieout.intent where operation = 'invoices.create' and state = 'CONFIRMED'")
        ).scalar_one()
        scenarios = {row[0] for row in conn.execute(sa.text("select distinct scenario from tieout.sync_run"))}
        (standing,) = hooks.standings(conn, [company.link.ledger])
        beside = conn.execute(
            sa.text(
                "select count(*) from tieout.sync_run a join tieout.sync_run b on a.scenario = 'fiscal_period' "
                "and b.scenario = 'quote_to_cash' and a.started_at < b.finished_at and b.started_at < a.finished_at"
            )
        ).scalar_one()
    assert created == len(expected.orders)
    assert beside > 0, "they were at work at the same time"
    assert scenarios == {"fiscal_period", "quote_to_cash", "webhooks"}
    assert standing.read > 0 and (standing.waiting, standing.failed) == (0, 0), standing
    assert standing.refused["wrong_signature"] == 2, "of the intent to receive"
    shown = company.crm_rows("Order", "Tieout_Amount_Paid__c")
    assert {row["Tieout_Amount_Paid__c"] for row in shown} == {Decimal("0.01")}
    # And once more, each by itself: nothing is written.
    company.counting()
    company.run()
    assert company.counted()[0] == 0
