"""Credit: limit, open balance, overdue amount and available credit of each customer go from finance to the CRM.

Limits come from the credit policy that finance owns (`tieout credit`), balances from the ledger's documents. Each step
takes the run's id and can be repeated: Airflow's tasks and the command line call the same functions.

    start -> extract -> check -> transform -> write_back -> summarise
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tieout.scenarios import steps
from tieout.scenarios.credit import ledger_book, planning
from tieout.scenarios.delivering import deliver_side, require_no_limit
from tieout.scenarios.extraction import Reads
from tieout.scenarios.services import Services
from tieout.scenarios.steps import PATIENCE_SECONDS, Numbers, OnStep, step

NAME = "credit_sync"
STEPS = ("extract", "check", "transform", "write_back", "summarise")

READS: Reads = {
    "crm": ("credit", "exchange_rate"),
    "ledger": ledger_book.READ,
}


def start(
    services: Services,
    trigger: str = "cli",
    interval: tuple[datetime, datetime] | None = None,
    airflow_ids: tuple[str, str] | None = None,
) -> str:
    """Opens a run and returns its id. `airflow_ids` are the DAG's and the run's, for whoever looks from there."""
    return steps.start(services, NAME, trigger, interval, airflow_ids)


def extract(services: Services, run_id: str) -> Numbers:
    """Reads what changed in both systems into staging."""
    return steps.extract(services, run_id, READS)


def check(services: Services, run_id: str) -> Numbers:
    """Runs the suites over what was staged; bad rows go into quarantine."""
    return steps.check(services, run_id, READS)


def transform(services: Services, run_id: str) -> Numbers:
    """Works out every customer's position and plans the writes of those that changed. `as_of`: until when the ledger
    had been read, which is what the page of limits says."""

    def work(run: UUID) -> Numbers:
        book = ledger_book.load(services)
        as_of = None if book.read_at is None else book.read_at.isoformat()
        return {**planning.plan(services, book, run), "as_of": as_of}

    return step(services, run_id, "transform", work)


def write_back(services: Services, run_id: str) -> Numbers:
    """Brings the changed positions into the CRM, each exactly once.

    Raises:
        RateLimited: the CRM's limit is used up for longer than a step waits; called again, it goes on.
    """

    def work(run: UUID) -> Numbers:
        numbers = deliver_side(services, services.crm, run, NAME, PATIENCE_SECONDS)
        numbers["settled"] = planning.settle(services, run)
        require_no_limit(services.crm, numbers)
        return numbers

    return step(services, run_id, "write_back", work)


def summarise(services: Services, run_id: str) -> Numbers:
    """Closes the run: every account has one outcome; amounts are open balances. Fails where they do not close.

    Raises:
        BooksDoNotClose: see summary.py; the run is `failed`.
    """
    run = UUID(run_id)
    return steps.close(services, run, STEPS, steps.account(services, run, services.crm, planning.ENTITY))


def run(services: Services, trigger: str = "cli", on_step: OnStep | None = None) -> Numbers:
    """All steps in a row; see steps.run_all."""
    functions = [(name, globals()[name]) for name in STEPS]
    return steps.run_all(services, start(services, trigger), functions, on_step)
