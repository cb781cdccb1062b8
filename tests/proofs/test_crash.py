"""Workers that are killed and wires that lie: in the end the books are those of a faultless company."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.proofs.company import Company
from tests.proofs.northwind_arithmetic import Expected
from tieout.model.settings import PROJECT
from tieout.scenarios import quote_to_cash

pytestmark = [
    pytest.mark.long,
    pytest.mark.proves(
        "steps killed, answers lost, cut or refused: the books are those of a faultless company",
        scenario="crash",
        pair=("salesforce", "xero"),
    ),
]

#: Seconds after which a worker hangs.
PATIENCE = 90
INVOICES, CONTACTS, ORDERS = "*/Invoices", "*/Contacts", "*/composite/sobjects*"


def _check(company: Company, expected: Expected) -> None:
    """Each order has one invoice of the right amount, no customer is there twice, and the CRM shows it all."""
    books = company.books()
    books.assert_no_duplicates()
    assert {one["Reference"]: one["SubTotal"] for one in books.invoices} == expected.orders
    with company.hand() as hand:
        names = [one["Name"] for one in hand.all("Contacts")]
    assert sorted(names) == sorted(f"Customer {key[1:]} Ltd" for key in expected.by_customer)
    shown = company.crm_rows("Order", "PoNumber", "Tieout_Invoice_Id__c", "Tieout_Invoice_Total__c")
    assert {row["PoNumber"]: row["Tieout_Invoice_Total__c"] for row in shown} == expected.orders
    assert {row["Id"]: row["Tieout_Invoice_Id__c"] for row in shown} == {
        url: found[0]["InvoiceID"] for url, found in books.by_url.items()
    }


def _closes(numbers: Mapping[str, Any], expected: Expected) -> None:
    assert numbers["read"] == numbers["posted"] + numbers["unchanged"] == len(expected.orders)
    total = numbers["amounts"]["USD"]
    assert total["read"] == total.get("posted", 0) + total.get("unchanged", 0) == int(expected.total * 100)


# --- killed workers ---------------------------------------------------------------------------------------------------


@contextmanager
def worker(
    company: Company, run_id: str, step: str, scenario: str = "quote_to_cash", link: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does one step; killed at the end, if it is still there. `link`: its file, JSON or YAML."""
    path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])
    file = link or PROJECT / "include" / "links" / f"{company.link.name}.yaml"
    words = [company.database_url, company.sandbox.url, str(file), run_id, step, scenario]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proofs.steps", *words], cwd=PROJECT, env={**os.environ, "PYTHONPATH": path}
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def until(happened: Any, process: subprocess.Popen[bytes]) -> None:
    """Waits for something that has to happen while the process runs."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None, "the worker was done before it could be killed"
        assert time.monotonic() < end, "the worker never came that far"
        time.sleep(0.01)


@pytest.mark.parametrize("batches", [1, 2])
def test_a_killed_delivery_is_taken_up_without_a_duplicate_and_nothing_is_lost(
    company: Company, expected: Expected, batches: int
) -> None:
    with company.services() as services:
        run_id = quote_to_cash.start(services)
        for step in ("extract", "check", "transform"):
            getattr(quote_to_cash, step)(services, run_id)
    # Each batch of invoices is applied at once and answered late: the worker is killed while it waits for the answer.
    company.sandbox.faults(
        {"system": "xero", "method": "PUT", "path": INVOICES, "fault": "slow", "params": {"seconds": 0.5}},
    )
    with worker(company, run_id, "deliver") as process:
        until(lambda: len(company.books().invoices) >= 50 * batches, process)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    there = len(company.books().invoices)
    assert 0 < there < len(expected.orders)
    company.sandbox.faults()
    company.later()
    with company.services() as services:  # the same run goes on, as Airflow's retry does it
        for step in ("deliver", "write_back"):
            getattr(quote_to_cash, step)(services, run_id)
        company.later()
        for step in ("deliver", "write_back"):
            getattr(quote_to_cash, step)(services, run_id)
        numbers = quote_to_cash.summarise(services, run_id)
    _closes(numbers, expected)
    _check(company, expected)


@pytest.mark.parametrize("step", ["extract", "transform", "write_back"])
def test_a_step_that_is_killed_can_be_done_again(company: Company, expected: Expected, step: str) -> None:
    with company.services() as services:
        run_id = quote_to_cash.start(services)
        for earlier in quote_to_cash.STEPS[: quote_to_cash.STEPS.index(step)]:
            getattr(quote_to_cash, earlier)(services, run_id)
    with worker(company, run_id, step) as process:
        until(lambda: working(company), process)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    company.later()
    with company.services() as services:
        for later in quote_to_cash.STEPS[quote_to_cash.STEPS.index(step) :]:
            numbers = getattr(quote_to_cash, later)(services, run_id)
    if numbers["in_flight"]:
        numbers = company.run_until_settled()
    _closes(numbers, expected)
    company.run_until_settled()
    _check(company, expected)


def working(company: Company) -> bool:
    """Whether another session than the test's own is writing in the store."""
    with company.engine.connect() as conn:
        return bool(
            conn.exec_driver_sql(
                "select count(*) from pg_stat_activity where datname = current_database() "
                "and pid <> pg_backend_pid() and backend_xid is not null"
            ).scalar_one()
        )


# --- wires that lie ---------------------------------------------------------------------------------------------------

XERO_PUT = {"system": "xero", "method": "PUT", "path": INVOICES}
PLANS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "lost": (
        {**XERO_PUT, "fault": "lost_answer", "times": 2},
        {**XERO_PUT, "fault": "lost_request", "after": 2, "times": 1},
        {"system": "xero", "method": "PUT", "path": CONTACTS, "fault": "lost_answer", "times": 1},
        {"system": "salesforce", "method": "PATCH", "path": ORDERS, "fault": "lost_answer", "times": 1},
        {"system": "salesforce", "method": "PATCH", "path": ORDERS, "fault": "lost_request", "after": 1, "times": 1},
    ),
    "cut": (
        {**XERO_PUT, "fault": "cut_body", "times": 1},
        {**XERO_PUT, "fault": "item_missing", "after": 1, "times": 1},
        {"system": "xero", "method": "GET", "fault": "cut_body", "after": 3, "times": 1},
        {"system": "salesforce", "method": "GET", "fault": "cut_body", "after": 3, "times": 1},
    ),
    "throttled": (
        {"system": "xero", "fault": "status_429", "path": "/api.xro/*", "probability": 0.2,
         "params": {"retry_after": 0}},
    ),
    "error_500": (
        {**XERO_PUT, "fault": "error_500", "times": 1, "params": {"applied": True}},
        {**XERO_PUT, "fault": "error_500", "after": 1, "times": 1},
        {"system": "xero", "method": "PUT", "path": CONTACTS, "fault": "error_500", "times": 1},
        {"system": "salesforce", "method": "PATCH", "path": ORDERS, "fault": "error_500", "times": 1,
         "params": {"applied": True}},
    ),
    "expired_token": (
        {"system": "xero", "path": "/api.xro/*", "fault": "expired_token", "after": 4, "times": 1},
        {**XERO_PUT, "fault": "expired_token", "after": 1, "times": 1},
        {"system": "salesforce", "path": "/services/data/*", "fault": "expired_token", "after": 5, "times": 1},
    ),
    "everything": (
        {**XERO_PUT, "fault": "lost_answer", "probability": 0.3},
        {**XERO_PUT, "fault": "cut_body", "probability": 0.2},
        {**XERO_PUT, "fault": "item_missing", "probability": 0.3},
        {"system": "xero", "method": "PUT", "fault": "error_500", "probability": 0.2, "params": {"applied": True}},
        {"system": "xero", "method": "PUT", "fault": "error_500", "probability": 0.1},
        {"system": "xero", "path": "/api.xro/*", "fault": "expired_token", "probability": 0.05},
        {"system": "salesforce", "method": "PATCH", "fault": "lost_answer", "probability": 0.3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_books_are_those_of_a_faultless_company_whatever_the_wire_does(
    company: Company, expected: Expected, name: str
) -> None:
    company.sandbox.faults(*PLANS[name], seed=7)
    company.run_until_settled()
    hits = {hit["fault"] for hit in company.sandbox.hits()}
    assert hits >= {rule["fault"] for rule in PLANS[name] if "times" in rule}
    assert len(company.sandbox.hits()) >= len(PLANS[name]) / 2
    company.sandbox.faults()
    company.later()
    numbers = company.run_until_settled()
    _closes(numbers, expected)
    _check(company, expected)
