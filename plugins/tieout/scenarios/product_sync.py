"""Product synchronisation: items of the ledger become products and prices of the CRM; outdated quotes are flagged.

Finance is the source of truth for prices and availability. Each step takes the run's id and can be repeated.

    start -> extract -> check -> transform -> deliver -> write_back -> summarise
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from tieout.scenarios import steps
from tieout.scenarios.delivering import deliver_side, require_no_limit
from tieout.scenarios.extraction import Reads, extract_side
from tieout.scenarios.products import catalogue, lengths, outdated, planning, unlisted
from tieout.scenarios.services import Services
from tieout.scenarios.steps import PATIENCE_SECONDS, Numbers, OnStep, step
from tieout.store import watermarks

NAME = "product_sync"
STEPS = ("extract", "check", "transform", "deliver", "write_back", "summarise")

READS: Reads = {
    "crm": ("currency", "price", "price_book", "product", "quote", "quote_line"),
    "ledger": ("product",),
}
#: What of the CRM is read again after delivery: an item counts as posted once the CRM shows it.
WRITTEN = ("price", "product")
#: Kind of the watermark of the last whole read of the ledger's items.
WHOLE = "whole"


def start(
    services: Services,
    trigger: str = "cli",
    interval: tuple[datetime, datetime] | None = None,
    airflow_ids: tuple[str, str] | None = None,
) -> str:
    """Opens a run and returns its id. `airflow_ids` are the DAG's and the run's, for whoever looks from there."""
    return steps.start(services, NAME, trigger, interval, airflow_ids)


def extract(services: Services, run_id: str) -> Numbers:
    """Reads what changed in both systems; the ledger's items whole where the link's interval is over.

    The ledger does not tell of deleted items: only a whole read sees that one is gone.
    """

    def work(run: UUID) -> Numbers:
        ledger, item = services.ledger, catalogue.ENTITY
        with services.engine.connect() as conn:
            mark = watermarks.read(conn, ledger.name, item, WHOLE)
            now: datetime = conn.execute(text("select clock_timestamp()")).scalar_one()
        age = timedelta(hours=services.link.products.whole_read_hours)
        whole = mark is None or mark.at is None or now - mark.at >= age
        numbers = {
            services.crm.name: extract_side(services, services.crm, run, READS["crm"]),
            ledger.name: extract_side(services, ledger, run, READS["ledger"], whole=(item,) if whole else ()),
        }
        if whole:
            with services.engine.begin() as conn:
                watermarks.advance(conn, ledger.name, item, WHOLE, at=now, run_id=run)
        return {**numbers, "whole": whole}

    return step(services, run_id, "extract", work)


def check(services: Services, run_id: str) -> Numbers:
    """Runs the suites over what was staged; bad rows go into quarantine."""
    return steps.check(services, run_id, READS)


def transform(services: Services, run_id: str) -> Numbers:
    """Judges every item and plans what the CRM has to be told."""
    return step(services, run_id, "transform", lambda run: {
        **planning.plan(services, run), "cut_shared": lengths.tell(services, run),
        "unlisted": unlisted.tell(services, run),
    })  # fmt: skip


def deliver(services: Services, run_id: str) -> Numbers:
    """Writes products and prices into the CRM, exactly once, and reads them back.

    Raises:
        RateLimited: the CRM's limit is used up for longer than a step waits; called again, it goes on.
    """

    def work(run: UUID) -> Numbers:
        numbers = deliver_side(services, services.crm, run, NAME, PATIENCE_SECONDS)
        # Without a write there is nothing new to read, and what is open stays open.
        if numbers["outcomes"]:
            extract_side(services, services.crm, run, WRITTEN)
            numbers["settled"] = planning.plan(services, run, settling=True)
        require_no_limit(services.crm, numbers)
        return numbers

    return step(services, run_id, "deliver", work)


def write_back(services: Services, run_id: str) -> Numbers:
    """Flags open quotes whose price is not today's, and takes the flag from those that are right again.

    Raises RateLimited as `deliver`."""

    def work(run: UUID) -> Numbers:
        quotes = outdated.plan(services, run)
        delivered = deliver_side(services, services.crm, run, NAME, PATIENCE_SECONDS)
        require_no_limit(services.crm, delivered)
        return {"quotes": quotes, **delivered}

    return step(services, run_id, "write_back", work)


def summarise(services: Services, run_id: str) -> Numbers:
    """Closes the run: every item has one outcome. Fails the run where the counts do not close.

    Returns:
        As summary.summary, without amounts: a list price is no amount that adds up. `put_back`: fields of finance that
        somebody had changed in the CRM; `cut_shared`: products of the CRM that the ledger could not tell apart;
        `unlisted`: codes of the price list that no item has; `outdated_quotes`.

    Raises:
        BooksDoNotClose: see summary.py; the run is `failed`.
    """
    run = UUID(run_id)
    numbers = steps.account(services, run, services.ledger, catalogue.ENTITY)
    done = steps.written(services, run)
    told = {name: (done.get(name, {}).get("numbers") or {}) for name in STEPS}
    numbers["put_back"] = told["transform"].get("put_back", 0)
    numbers["cut_shared"] = told["transform"].get("cut_shared", 0)
    numbers["unlisted"] = told["transform"].get("unlisted", 0)
    numbers["outdated_quotes"] = told["write_back"].get("quotes", {}).get("outdated", 0)
    return steps.close(services, run, STEPS, numbers)


def run(services: Services, trigger: str = "cli", on_step: OnStep | None = None) -> Numbers:
    """All steps in a row; see steps.run_all."""
    functions = [(name, globals()[name]) for name in STEPS]
    return steps.run_all(services, start(services, trigger), functions, on_step)
