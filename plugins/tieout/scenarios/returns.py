"""Returns: what customers send back becomes credit notes of the ledger, set against the invoice of its order.

Status and numbers go back to the CRM. Each step takes the run's id and can be repeated.

    start -> extract -> check -> transform -> deliver -> write_back -> summarise
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from tieout.scenarios import settlement, steps
from tieout.scenarios.delivering import deliver_side, require_no_limit
from tieout.scenarios.extraction import Reads, extract_side, read_again
from tieout.scenarios.returning import planning, showing
from tieout.scenarios.returning.facts import SUBJECT
from tieout.scenarios.rules import load_rules
from tieout.scenarios.services import Services
from tieout.scenarios.steps import PATIENCE_SECONDS, Numbers, OnStep, step

NAME = "returns"
STEPS = ("extract", "check", "transform", "deliver", "write_back", "summarise")

READS: Reads = {
    "crm": ("return_order", "return_order_line"),
    "ledger": ("credit_memo", "currency", "invoice", "organisation", "payment", "product", "tax_rate"),
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
    """Judges every return and plans its credit note."""
    return step(services, run_id, "transform", lambda run: planning.plan(services, load_rules(services), run))


def deliver(services: Services, run_id: str) -> Numbers:
    """Posts credit notes, allocations and refunds into the ledger, exactly once, and reads back what they did.

    Raises:
        RateLimited: the ledger's limit is used up for longer than a step waits; called again, it goes on.
    """

    def work(run: UUID) -> Numbers:
        with services.engine.connect() as conn:
            since = conn.execute(text("select clock_timestamp()")).scalar_one()
        numbers = deliver_side(services, services.ledger, run, NAME, PATIENCE_SECONDS)
        settlement.stage_answers(services, since, run)
        if numbers["outcomes"]:
            # No answer says what an allocation did to its credit note.
            read_again(services, services.ledger, "credit_memo", showing.credit_notes(services), run)
            extract_side(services, services.ledger, run, ("invoice",))
        numbers["settled"] = planning.plan(services, load_rules(services), run)
        require_no_limit(services.ledger, numbers)
        return numbers

    return step(services, run_id, "deliver", work)


def write_back(services: Services, run_id: str) -> Numbers:
    """Brings number, status and open rest of the credit notes back to the CRM. Raises RateLimited as `deliver`."""

    def work(run: UUID) -> Numbers:
        planned = showing.plan(services, run)
        delivered = deliver_side(services, services.crm, run, NAME, PATIENCE_SECONDS)
        require_no_limit(services.crm, delivered)
        return {"planned": planned, **delivered}

    return step(services, run_id, "write_back", work)


def summarise(services: Services, run_id: str) -> Numbers:
    """Closes the run: every return has one outcome. Fails the run where counts or amounts do not close.

    Raises:
        BooksDoNotClose: see summary.py; the run is `failed`.
    """
    run = UUID(run_id)
    return steps.close(services, run, STEPS, steps.account(services, run, services.crm, SUBJECT.entity))


def run(services: Services, trigger: str = "cli", on_step: OnStep | None = None) -> Numbers:
    """All steps in a row; see steps.run_all."""
    functions = [(name, globals()[name]) for name in STEPS]
    return steps.run_all(services, start(services, trigger), functions, on_step)
