"""Quote-to-cash: won deals and orders of the CRM become invoices of the ledger; numbers, status and payments come back.

Each step takes the run's id and can be repeated: Airflow's tasks and the command line call the same functions.

    start -> extract -> check -> transform -> deliver -> write_back -> summarise
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from tieout.model.errors import BooksDoNotClose, RateLimited, SuiteStopped
from tieout.scenarios import checking, masters, posting, settlement, summary, sweep
from tieout.scenarios import write_back as writing
from tieout.scenarios.delivering import deliver_side, require_no_limit
from tieout.scenarios.extraction import extract_side
from tieout.scenarios.rules import load_rules
from tieout.scenarios.services import Services
from tieout.store import proposals, runs

NAME = "quote_to_cash"
STEPS = ("extract", "check", "transform", "deliver", "write_back", "summarise")

#: Number of the step `deliver` that says why a suite stopped the ledger's answers.
STOPPED = "answers_stopped"

#: Seconds that a step waits for what is due soon (a throttled call, a quiet period); then the next run does it.
PATIENCE_SECONDS = 60.0

Numbers = dict[str, Any]


def start(
    services: Services,
    trigger: str = "cli",
    interval: tuple[datetime, datetime] | None = None,
    airflow_ids: tuple[str, str] | None = None,
) -> str:
    """Opens a run and returns its id. `airflow_ids` are the DAG's and the run's, for whoever looks from there."""
    with services.engine.begin() as conn:
        run_id = runs.start(
            conn,
            link=services.link.name,
            scenario=NAME,
            trigger=trigger,
            mapping_hash=services.mapping_hash,
            suite_hash=services.suite_hash,
            interval_start=interval[0] if interval else None,
            interval_end=interval[1] if interval else None,
            airflow_dag_id=airflow_ids[0] if airflow_ids else None,
            airflow_run_id=airflow_ids[1] if airflow_ids else None,
        )
    return str(run_id)


def extract(services: Services, run_id: str) -> Numbers:
    """Reads what changed in both systems into staging."""
    return _step(services, run_id, "extract", lambda run: {
        side.name: extract_side(services, side, run) for side in (services.crm, services.ledger)
    })  # fmt: skip


def check(services: Services, run_id: str) -> Numbers:
    """Runs the suites over what was staged; bad rows go into quarantine."""
    return _step(services, run_id, "check", lambda run: checking.check(services, run))


def transform(services: Services, run_id: str) -> Numbers:
    """Judges every record and plans what is to be posted."""

    def work(run: UUID) -> Numbers:
        planned = posting.plan(services, load_rules(services), run)
        return {**planned, "masters": masters.plan(services, run)}

    return _step(services, run_id, "transform", work)


def deliver(services: Services, run_id: str) -> Numbers:
    """Posts what is planned into the ledger, exactly once.

    Raises:
        RateLimited: the ledger's limit is used up for longer than a step waits; called again, it goes on.
    """

    def work(run: UUID) -> Numbers:
        with services.engine.connect() as conn:
            since = conn.execute(text("select clock_timestamp()")).scalar_one()
        numbers = deliver_side(services, services.ledger, run, NAME, PATIENCE_SECONDS)
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

    return _step(services, run_id, "deliver", work)


def _check_answers(services: Services, run: UUID) -> Numbers:
    """What was posted is posted, whatever a suite says of the answer: the run goes on and ends with the reason."""
    try:
        return {"answers_checked": checking.check(services, run, checking.ANSWERS)["checked"]}
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

    return _step(services, run_id, "write_back", work)


def summarise(services: Services, run_id: str) -> Numbers:
    """Closes the run: every record has one outcome. Fails the run where counts or amounts do not close.

    Raises:
        BooksDoNotClose: see summary.py; the run is `failed`.
        SuiteStopped: a suite stopped what the ledger answered; all that was posted is in the account and in the CRM,
            and the run is `partial`.
    """
    run = UUID(run_id)
    entity = posting.subject_of(services).entity
    table = services.crm.mappings[entity].staged_entity().table
    try:
        with services.engine.connect() as conn:
            numbers = summary.summary(conn, services.link.name, entity, table, services.crm.name, run)
    except BooksDoNotClose:
        _finish(services, run, "failed", {})
        raise
    steps = _steps(services, run)
    broken = [name for name in STEPS[:-1] if "ended" not in steps.get(name, {})]  # their task failed
    swept = sweep.sweep(services, run)
    numbers["sweep"] = sweep.numbers(swept)
    waits = numbers["quarantined"] + numbers["held"] + numbers["in_flight"] + swept.found
    stopped = (steps.get("deliver", {}).get("numbers") or {}).get(STOPPED)
    if stopped:
        _finish(services, run, "partial", {**numbers, STOPPED: stopped})
        raise SuiteStopped(
            f"link {services.link.name}: everything posted is recorded and written back, but the ledger's answers "
            f"failed their check: {stopped}"
        )
    _finish(services, run, "partial" if waits or broken else "succeeded", numbers)
    return numbers


def run(
    services: Services, trigger: str = "cli", on_step: Callable[[str, Mapping[str, Any]], None] | None = None
) -> Numbers:
    """All steps in a row, as the DAG does them. Returns the summary with `run_id`, and `goes_on_in` (seconds) when a
    vendor's limit left work for a later run."""
    run_id = start(services, trigger)
    numbers: Numbers = {}
    goes_on_in: float | None = None
    for name in STEPS:
        try:
            numbers = globals()[name](services, run_id)
        except RateLimited as limit:
            if name not in ("deliver", "write_back"):
                raise
            # What was posted is brought back and counted now; the rest is the next run's.
            goes_on_in = max(limit.retry_after, goes_on_in or 0.0)
            continue
        if on_step:
            on_step(name, numbers)
    return {"run_id": run_id, "goes_on_in": goes_on_in, **numbers}


def _step(services: Services, run_id: str, name: str, work: Callable[[UUID], Numbers]) -> Numbers:
    run = UUID(run_id)
    with services.engine.begin() as conn:
        runs.begin_step(conn, run, name)
    numbers = work(run)
    with services.engine.begin() as conn:
        runs.end_step(conn, run, name, numbers)
    return numbers


def _steps(services: Services, run_id: UUID) -> dict[str, Any]:
    with services.engine.connect() as conn:
        found = runs.get(conn, run_id)
    return dict(found.steps) if found else {}


def _finish(services: Services, run_id: UUID, state: str, numbers: Mapping[str, Any]) -> None:
    counts = {name: value for name, value in numbers.items() if name != "amounts"}
    with services.engine.begin() as conn:
        runs.finish(conn, run_id, state, counts=counts, amounts=numbers.get("amounts", {}))
