"""Reconciliation: both systems' own records, compared as of a day; every difference classified, nothing left over.

Reads both systems anew, counts each area from their records, and writes one report with its breaks. The report proves
itself: for each area and currency, CRM - ledger is the sum of its classified differences, or the run fails and says by
how much. docs/reconciliation.md explains it.

    start -> extract -> tie_out -> recount -> summarise
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from tieout.model.errors import BooksDoNotClose, ConfigurationFault
from tieout.model.link import Link
from tieout.model.standing import CASH_REFUND, CREDITS
from tieout.model.tie_out import Total
from tieout.reconcile import differences, items, lines, match, record, report_store, suggestions
from tieout.reconcile.report_store import Report
from tieout.reconcile.rules import check_link, load_rules, rules_hash
from tieout.scenarios import steps
from tieout.scenarios.extraction import Reads, extract_side
from tieout.scenarios.services import Services, Side
from tieout.scenarios.steps import Numbers, OnStep, finish, step
from tieout.scenarios.subjects import subject_of
from tieout.scenarios.tying_out import applications, catalogue, credit_memos, invoices, payments, standing
from tieout.scenarios.tying_out.reading import Books, day_bounds
from tieout.store import runs, watermarks

NAME = "reconciliation"
STEPS = ("extract", "tie_out", "recount", "summarise")

#: Kind of the watermark of the last whole read of an entity.
WHOLE = "whole"
#: Areas that are compared from the same items.
SALES, RETURNS, CREDIT, CATALOGUE = ("invoices", "tax", "payments"), ("credit_memos",), ("balances", "credit"), (
    "prices", "stock",
)  # fmt: skip
#: The scenario that carries an area from one side to the other.
CARRIED_BY = {
    **dict.fromkeys(SALES, "quote_to_cash"), "credit_memos": "returns", **dict.fromkeys(CREDIT, "credit_sync"),
    **dict.fromkeys(CATALOGUE, "product_sync"),
}  # fmt: skip
#: What is read whole from time to time: documents, of which a vendor may lose one without a word.
DOCUMENTS = {
    CASH_REFUND, "credit_memo", "invoice", "overpayment", "payment", "prepayment", "order", "opportunity",
    "return_order", "product",
}  # fmt: skip


def reads(link: Link, entity: str, only: Collection[str] | None = None) -> Reads:
    """What is read of both systems for the link's areas, or only for some of them; `entity` is what it bills."""
    areas: set[str] = {area for area in link.reconciliation.areas if only is None or area in only}
    crm, ledger = {"account"}, {"account", "organisation"}
    if areas & {*SALES, *RETURNS}:
        line = "order_line" if entity == "order" else "opportunity_line"
        crm |= {entity, f"{entity}_status", line, "quote", "quote_line", "ledger_invoice"}
        ledger |= {"invoice", "payment", CASH_REFUND, *CREDITS}
    if areas & set(RETURNS):
        crm |= {"order", "order_line", "return_order", "return_order_line", "return_order_status"}
    if areas & set(CREDIT):
        crm |= {"credit", "exchange_rate"}
        ledger |= {"invoice", *CREDITS}
    if areas & set(CATALOGUE):
        crm |= {"price", "price_book", "product"}
        ledger |= {"product"}
    return {"crm": tuple(sorted(crm)), "ledger": tuple(sorted(ledger))}


def start(
    services: Services,
    trigger: str = "cli",
    interval: tuple[datetime, datetime] | None = None,
    airflow_ids: tuple[str, str] | None = None,
    *,
    as_of: date | None = None,
    known_at: datetime | None = None,
) -> str:
    """Opens a run and returns its id.

    Args:
        interval: whose day, in the link's time zone, the report is of.
        as_of: that day, in place of the interval's; without both it is yesterday.
        known_at: as both systems were staged at this instant; nothing is read then. None: read now.

    Raises:
        ConfigurationFault: the link's own thresholds name no class, or the day has not come.
    """
    faults = check_link(services.link, load_rules(services.settings.include))
    if faults:
        raise ConfigurationFault(f"link {services.link.name}: {'; '.join(faults)}")
    zone = ZoneInfo(services.link.time_zone)
    now = clock(services)
    today = now.astimezone(zone).date()
    day = as_of or (interval[0].astimezone(zone).date() if interval else today - timedelta(days=1))
    if day > today or (known_at is not None and known_at > now):
        raise ConfigurationFault(f"{day} or {known_at}: expected a day and an instant that are not in the future")
    run_id = steps.start(services, NAME, trigger, interval or day_bounds(day, zone), airflow_ids)
    asked = {"as_of": day.isoformat(), "known_at": known_at.isoformat() if known_at else None}
    step(services, run_id, "start", lambda _: asked)
    return run_id


def extract(services: Services, run_id: str) -> Numbers:
    """Reads what changed in both systems; documents whole where the link's interval is over.

    A report of what was known at an earlier instant reads nothing.
    """

    def work(run: UUID) -> Numbers:
        if _asked(services, run)["known_at"] is not None:
            return {"read": "nothing: the report is of what was known before"}
        wanted = reads(services.link, subject_of(services).entity)
        return {
            side.name: _extract(services, side, wanted[name], run)
            for name, side in (("crm", services.crm), ("ledger", services.ledger))
        }

    return step(services, run_id, "extract", work)


def tie_out(services: Services, run_id: str) -> Numbers:
    """Makes the report in one transaction: items, matches, classified differences, breaks, roll-forward, hash.

    Called again, it makes another report of the day, which replaces the first one.
    """
    return step(services, run_id, "tie_out", lambda run: _tie_out(services, run))


def recount(services: Services, run_id: str) -> Numbers:
    """Counts the link's closed periods anew: what moved in them since, by whom; see scenarios/periods/recount.py."""
    from tieout.scenarios.periods import recount as periods  # it counts as this module does

    return step(services, run_id, "recount", lambda run: periods.run(services, run))


def summarise(services: Services, run_id: str) -> Numbers:
    """Closes the run with the report's figures; fails it where something stays unexplained, and says by how much.

    Raises:
        BooksDoNotClose: the report stays, as `untied`.
    """
    run = UUID(run_id)
    with services.engine.connect() as conn:
        report = report_store.of_run(conn, run)
        if report is None or report.state == "running":
            finish(services, run, "failed", {})
            raise BooksDoNotClose(f"link {services.link.name}: the run has no finished report: run it again")
        totals = lines.totals(conn, report.report_id)
    open_ = [one for one in totals if one.unexplained]
    written = steps.written(services, run)
    told, closed = written["tie_out"]["numbers"], written.get("recount", {}).get("numbers", {})
    numbers = {"report": report.report_id, "as_of": report.as_of.isoformat(), "state": report.state,
               "hash": report.hash, "breaks": told["breaks"], "totals": [asdict(one) for one in totals],
               "closed_periods": closed, "notify": _speaks(services.link, report, told, closed)}  # fmt: skip
    if open_:
        finish(services, run, "failed", numbers)
        raise BooksDoNotClose(
            f"link {services.link.name}, report {report.report_id} of {report.as_of}: the differences that were found "
            "do not come to CRM less ledger; unexplained are " + ", ".join(_in_words(one) for one in open_)
            + "; the report stays as untied, and what is missing is a fault of the reconciliation: report it"
        )  # fmt: skip
    finish(services, run, "succeeded", numbers)
    return numbers


def run(
    services: Services,
    trigger: str = "cli",
    on_step: OnStep | None = None,
    *,
    as_of: date | None = None,
    known_at: datetime | None = None,
) -> Numbers:
    """All steps in a row; see steps.run_all and start."""
    functions = [(name, globals()[name]) for name in STEPS]
    return steps.run_all(services, start(services, trigger, as_of=as_of, known_at=known_at), functions, on_step)


# --- extract ----------------------------------------------------------------------------------------------------------


def _extract(services: Services, side: Side, wanted: Any, run: UUID) -> dict[str, Any]:
    now = clock(services)
    age = timedelta(hours=services.link.reconciliation.whole_read_hours)
    with services.engine.connect() as conn:
        marks = {entity: watermarks.read(conn, side.name, entity, WHOLE) for entity in wanted if entity in DOCUMENTS}
    whole = {entity for entity, mark in marks.items() if mark is None or mark.at is None or now - mark.at >= age}
    counts: dict[str, Any] = dict(extract_side(services, side, run, wanted, whole=whole))
    with services.engine.begin() as conn:
        for entity in whole:
            watermarks.advance(conn, side.name, entity, WHOLE, at=now, run_id=run)
    return {**counts, "whole": sorted(whole)}


# --- tie out ----------------------------------------------------------------------------------------------------------


def _tie_out(services: Services, run: UUID) -> Numbers:
    asked = _asked(services, run)
    link = services.link
    rules = load_rules(services.settings.include).for_link(link)
    known_at = datetime.fromisoformat(asked["known_at"]) if asked["known_at"] else clock(services)
    books = Books(services, date.fromisoformat(asked["as_of"]), known_at)
    frames = _items(books)
    with services.engine.begin() as conn:
        report = report_store.open_report(
            conn, link.name, books.as_of, known_at, run, rules_hash(rules, link), services.mapping_hash,
            runs.current_code_version(),
        )  # fmt: skip
        items.create(conn)
        counted = {side: sum(items.fill(conn, side, one[number]) for one in frames)
                   for number, side in enumerate(items.SIDES)}  # fmt: skip
        items.ready(conn)
        matched = match.match(conn, link.name, rules, link.reconciliation.days, known_at)
        record.create_differences(conn)
        found = differences.find(conn, rules, context(conn, books))
        differences.totals(conn, report.report_id)
        recorded = record.record(conn, report)
        match.keep_suggestions(conn, link.name, report.report_id)
        applicable = (
            applications.suggest(conn, books, report.report_id) if "payments" in link.reconciliation.areas else 0
        )
        suggestions.withdraw(conn, link.name, report.report_id)
        report = report_store.finish(conn, report)
    return {
        "report": report.report_id, "state": report.state, "items": counted, "differences": found,
        "matched_by_rules": matched.by_tier, "confirmed_by_people": matched.confirmed,
        "suggested": matched.suggested + applicable,
        "breaks": {name: getattr(recorded, name) for name in ("opened", "changed", "cleared", "reopened", "live")},
    }  # fmt: skip


def _items(books: Books) -> list[tuple[Any, Any]]:
    """(of the CRM, of the ledger) for each group of areas; areas that the link leaves out are left out."""
    wanted: set[str] = set(books.services.link.reconciliation.areas)
    made: list[tuple[Any, Any]] = []
    if wanted & {"invoices", "tax"}:
        made.append(invoices.items(books))
    if "payments" in wanted:
        made.append(payments.items(books, returns="credit_memos" in wanted))
    if wanted & set(RETURNS):
        made.append(credit_memos.items(books))
    if wanted & set(CREDIT):
        made.append(standing.items(books))
    if wanted & set(CATALOGUE):
        made.append(catalogue.items(books))
    return [(_kept(crm, wanted), _kept(ledger, wanted)) for crm, ledger in made]


def _kept(frame: Any, wanted: set[str]) -> Any:
    if frame.empty:
        return frame
    kept = frame[frame["area"].isin(wanted)]
    return kept.assign(alone=~kept.duplicated(["area", "match_key"], keep=False))


def context(conn: Connection, books: Books) -> differences.Context:
    """What the facts of a difference are taken from, for books of a day or of a period."""
    services, link = books.services, books.services.link
    objects: dict[str, str] = {}
    for side in (services.crm, services.ledger):
        for entity, mapping in side.mappings.items():
            objects.setdefault(entity if side is services.crm else f"ledger:{entity}", mapping.object)
    began = conn.execute(
        text(
            "select scenario, max(started_at) as at from tieout.sync_run where link = :link and scenario = any(:names) "
            "and state in ('succeeded', 'partial') and finished_at <= :known_at group by 1"
        ),
        {"link": link.name, "names": sorted(set(CARRIED_BY.values())), "known_at": books.known_at},
    )
    synced = {row.scenario: row.at for row in began}
    return differences.Context(
        link=link.name, crm=(services.crm.system, services.crm.name),
        ledger=(services.ledger.system, services.ledger.name), objects=objects, as_of=books.as_of,
        known_at=books.known_at, days=link.reconciliation.days, cut_off_hours=link.reconciliation.cut_off_hours,
        locked_until=books.locked_until, time_zone=link.time_zone,
        synced={area: synced[name] for area, name in CARRIED_BY.items() if name in synced},
        closed=tuple((one.first, one.last, one.at) for one in books.closed),
    )  # fmt: skip


# --- summarise --------------------------------------------------------------------------------------------------------


def _in_words(total: Total) -> str:
    return f"{total.area} {total.text(total.unexplained)} {total.currency}".rstrip()


def _speaks(link: Link, report: Report, told: Numbers, closed: Numbers) -> bool:
    """Whether somebody is to be told of the report, as the link says."""
    moved = any(one["moved"] for one in closed.get("closed", ()))
    return link.reconciliation.notify == "always" or report.state != "tied" or told["breaks"]["live"] > 0 or moved


def _asked(services: Services, run: UUID) -> Numbers:
    """What the run was started for."""
    numbers: Numbers = steps.written(services, run)["start"]["numbers"]
    return numbers


def clock(services: Services) -> datetime:
    """What time it is in the store."""
    with services.engine.connect() as conn:
        now: datetime = conn.execute(text("select clock_timestamp()")).scalar_one()
    return now
