"""What every scenario's steps share: a run is opened, each step is written down, the run is closed, all in a row.

A scenario is a module with `start` and a function for each of its `STEPS`, each `(services, run_id)` -> numbers, that
can be called again at any time; Airflow's tasks (orchestration/step.py) and the command line call the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tieout.model.errors import BooksDoNotClose, RateLimited
from tieout.scenarios import checking, summary
from tieout.scenarios.extraction import Reads, extract_side
from tieout.scenarios.services import Services, Side
from tieout.store import runs

#: What a step tells: JSON with counts, amounts in minor units, durations in seconds.
Numbers = dict[str, Any]
Step = Callable[[Services, str], Numbers]
#: Called after each step with its name and numbers.
OnStep = Callable[[str, Mapping[str, Any]], None]

#: Seconds that a step waits for what is due soon (a throttled call, a quiet period); then the next run does it.
PATIENCE_SECONDS = 60.0
#: Steps that a vendor's limit may end early: what is left is the next run's, and the steps after them still make sense.
DELIVERING = ("deliver", "apply", "write_back")


def start(
    services: Services,
    scenario: str,
    trigger: str = "cli",
    interval: tuple[datetime, datetime] | None = None,
    airflow_ids: tuple[str, str] | None = None,
) -> str:
    """Opens a run and returns its id. `airflow_ids` are the DAG's and the run's, for whoever looks from there."""
    with services.engine.begin() as conn:
        run_id = runs.start(
            conn,
            link=services.link.name,
            scenario=scenario,
            trigger=trigger,
            mapping_hash=services.mapping_hash,
            suite_hash=services.suite_hash,
            interval_start=interval[0] if interval else None,
            interval_end=interval[1] if interval else None,
            airflow_dag_id=airflow_ids[0] if airflow_ids else None,
            airflow_run_id=airflow_ids[1] if airflow_ids else None,
        )
    return str(run_id)


def step(services: Services, run_id: str, name: str, work: Callable[[UUID], Numbers]) -> Numbers:
    """Does the work of one step and writes down when it began, when it ended and its numbers."""
    run = UUID(run_id)
    with services.engine.begin() as conn:
        runs.begin_step(conn, run, name)
    numbers = work(run)
    with services.engine.begin() as conn:
        runs.end_step(conn, run, name, numbers)
    return numbers


def written(services: Services, run_id: UUID) -> dict[str, Any]:
    """step -> what is written of it: `numbers` and `ended` are there when it ended well."""
    with services.engine.connect() as conn:
        found = runs.get(conn, run_id)
    return dict(found.steps) if found else {}


def extract(services: Services, run_id: str, reads: Reads) -> Numbers:
    """The step that reads what changed in both systems into staging; see extraction.extract_side."""
    return step(services, run_id, "extract", lambda run: {
        side.name: extract_side(services, side, run, names)
        for side, names in ((services.crm, reads["crm"]), (services.ledger, reads["ledger"]))
    })  # fmt: skip


def check(services: Services, run_id: str, reads: Reads) -> Numbers:
    """The step that runs the suites over what was staged; bad rows go into quarantine. See checking.check."""
    return step(services, run_id, "check", lambda run: checking.check(services, run, reads))


def account(services: Services, run: UUID, side: Side, entity: str) -> Numbers:
    """The closing account: every record of that entity has one outcome. Where it does not close, the run is `failed`.

    Args:
        side: of the link, whose records are accounted for.

    Raises:
        BooksDoNotClose: see summary.py.
    """
    table = side.mappings[entity].staged_entity().table
    try:
        with services.engine.connect() as conn:
            return summary.summary(conn, services.link.name, entity, table, side.name, run)
    except BooksDoNotClose:
        finish(services, run, "failed", {})
        raise


def close(services: Services, run: UUID, steps: Sequence[str], numbers: Numbers, waiting: int = 0) -> Numbers:
    """Closes the run: `partial` where something waits for a person or a vendor, or a step did not end.

    Args:
        steps: of the scenario, the closing one last.
        numbers: of `account`, with what else is to be kept.
        waiting: what waits beside the records of the account.
    """
    done = written(services, run)
    broken = [name for name in steps[:-1] if "ended" not in done.get(name, {})]  # their task failed
    waits = numbers["quarantined"] + numbers["held"] + numbers["in_flight"] + waiting
    finish(services, run, "partial" if waits or broken else "succeeded", numbers)
    return numbers


def finish(services: Services, run_id: UUID, state: str, numbers: Mapping[str, Any]) -> None:
    """Closes the run as `succeeded`, `partial` or `failed`; `amounts` of the numbers are kept apart from the counts."""
    counts = {name: value for name, value in numbers.items() if name != "amounts"}
    with services.engine.begin() as conn:
        runs.finish(conn, run_id, state, counts=counts, amounts=numbers.get("amounts", {}))


def run_all(
    services: Services, run_id: str, steps: Sequence[tuple[str, Step]], on_step: OnStep | None = None
) -> Numbers:
    """The steps in a row, as the DAG does them. Returns the last one's numbers with `run_id`, and `goes_on_in`
    (seconds) when a vendor's limit left work for a later run."""
    numbers: Numbers = {}
    goes_on_in: float | None = None
    for name, do in steps:
        try:
            numbers = do(services, run_id)
        except RateLimited as limit:
            if name not in DELIVERING:
                raise
            # What was posted is brought back and counted now; the rest is the next run's.
            goes_on_in = max(limit.retry_after, goes_on_in or 0.0)
            continue
        if on_step:
            on_step(name, numbers)
    return {"run_id": run_id, "goes_on_in": goes_on_in, **numbers}
