"""Quote-to-cash: won deals and orders of the CRM become invoices of the ledger; numbers, status and payments come back.

Each step takes the run's id and can be repeated: Airflow's tasks and the command line call the same functions.

    start -> extract -> check -> transform -> deliver -> write_back -> summarise
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from tieout.model.errors import SuiteStopped
from tieout.scenarios import checking, masters, posting, settlement, steps, sweep
from tieout.scenarios import write_back as writing
from tieout.scenarios.delivering import deliver_side, require_no_limit
from tieout.scenarios.extraction import Reads
from tieout.scenarios.rules import load_rules
from tieout.scenarios.services import Services
from tieout.scenarios.steps import PATIENCE_SECONDS, Numbers, OnStep, finish, step
from tieout.scenarios.subjects import subject_of
from tieout.store import proposals

NAME = "quote_to_cash"
STEPS = ("extract", "check", "transform", "deliver", "write_back", "summarise")

READS: Reads = {
    "crm": (
        "account", "contact", "currency", "exchange_rate", "opportunity", "opportunity_line", "order",
        "order_line", "price", "product", "quote", "quote_line",
    ),
    "ledger": (
        "account", "cash_refund", "credit_memo", "currency", "invoice", "organisation", "overpayment", "payment",
        "prepayment", "product", "tax_rate",
    ),
}  # fmt: skip

#: Number of the step `deliver` that says why a suite stopped the ledger's answers.
STOPPED = "answers_stopped"


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
    """Judges every record and plans what is to be posted."""

    def work(run: UUID) -> Numbers:
        planned = posting.plan(services, load_rules(services), run)
        return {**planned, "masters": masters.plan(services, run)}

    return step(services, run_id, "transform", work)


def deliver(services: Services, run_id: str) -> Numbers:
    """Posts what is planned into the ledger, exactly once.

    Raises:
        RateLimited: the ledger's limit is used up for longer than a step waits; called again, it goes on.
    """

    return step(services, run_id, "deliver", lambda run: deliver_and_settle(services, run, NAME))


def deliver_and_settle(services: Services, run: UUID, scenario: str) -> Numbers:
    """Delivers what the ledger is to get, and judges what became of each pending record. Raises as `deliver`."""
    with services.engine.connect() as conn:
        since = conn.execute(text("select clock_timestamp()")).scalar_one()
    numbers = deliver_side(services, services.ledger, run, scenario, PATIENCE_SECONDS)
    numbers["answers_staged"] = settlement.stage_answers(services, since, run)
    numbers["settled"] = settlement.settle(services, run)
    with services.engine.begin() as conn:
        numbers["proposals_done"] = proposals.finish(conn, services.link.name)
    if numbers["answers_staged"]:
        # They are staged rows like any other. Left to the next run, its check would never find nothing to do.
        numbers |= _check_answers(services, run)
    if STOPPED not in numbers:
        require_no_limit(services.ledger, numbers)
    return numbers


def _check_answers(services: Services, run: UUID) -> Numbers:
    """What was posted is posted, whatever a suite says of the answer: the run goes on and ends with the reason."""
    try:
        return {"answers_checked": checking.check(services, run, READS, checking.ANSWERS)["checked"]}
    except SuiteStopped as error:
        return {STOPPED: str(error)}


def write_back(services: Services, run_id: str) -> Numbers:
    """Brings confirmed facts back to the CRM. Raises RateLimited as `deliver`."""

    def work(run: UUID) -> Numbers:
        planned = writing.plan(services, run)
        # Customers that this run created: compared now, so that the next run need not judge them.
        compared = masters.plan(services, run)
        delivered = deliver_side(services, services.crm, run, NAME, PATIENCE_SECONDS)
        require_no_limit(services.crm, delivered)
        return {"planned": planned, "masters": compared, **delivered}

    return step(services, run_id, "write_back", work)


def summarise(services: Services, run_id: str) -> Numbers:
    """Closes the run: every record has one outcome. Fails the run where counts or amounts do not close.

    Raises:
        BooksDoNotClose: see summary.py; the run is `failed`.
        SuiteStopped: a suite stopped what the ledger answered; all that was posted is in the account and in the CRM,
            and the run is `partial`.
    """
    run = UUID(run_id)
    numbers = steps.account(services, run, services.crm, subject_of(services).entity)
    done = steps.written(services, run)
    swept = sweep.sweep(services, run)
    numbers["sweep"] = sweep.numbers(swept)
    stopped = (done.get("deliver", {}).get("numbers") or {}).get(STOPPED)
    if stopped:
        finish(services, run, "partial", {**numbers, STOPPED: stopped})
        raise SuiteStopped(
            f"link {services.link.name}: everything posted is recorded and written back, but the ledger's answers "
            f"failed their check: {stopped}"
        )
    return steps.close(services, run, STEPS, numbers, waiting=swept.found)


def run(services: Services, trigger: str = "cli", on_step: OnStep | None = None) -> Numbers:
    """All steps in a row; see steps.run_all."""
    functions = [(name, globals()[name]) for name in STEPS]
    return steps.run_all(services, start(services, trigger), functions, on_step)
