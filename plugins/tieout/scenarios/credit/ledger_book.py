"""The ledger's open documents by customer, the rates, and which of it cannot be relied on: read from staging.

A document counts only where its own figures agree: due = total - paid - credited, paid = its payments as they were
read, credited = what is set against it (allocations.py). One that was read before a payment and one after it do not,
until the next run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from tieout.mapping.compile import compile_read
from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.errors import Rejection
from tieout.model.standing import DRAFT, OPEN, SETTLED
from tieout.scenarios.billing import Row
from tieout.scenarios.credit import allocations
from tieout.scenarios.credit.balances import OpenItem, Rates
from tieout.scenarios.credit.policy import Policy, policy_of
from tieout.scenarios.frames import common_rows, rows
from tieout.scenarios.services import Services, credits_of
from tieout.scenarios.successors import continued
from tieout.store import credit, dead_letters, staging, watermarks

#: The entities that a balance is made of; the oldest of their readings is the age of the credit data.
READ = ("credit_memo", "invoice", "overpayment", "payment", "prepayment")


@dataclass(frozen=True)
class Book:
    """What the ledger says about all customers, at one moment.

    Attributes:
        items: customer id -> open documents.
        doubts: customer id -> (reason, what is wrong), where a document cannot be relied on.
        customers: CRM account id -> the ledger's customer id, of the link's accounts that have one.
        policy: limits in force on `today`.
        read_at: until when the ledger was read, the oldest of its entities; None where one was never read.
        now: the database's time; `today` is its day in the link's time zone.
    """

    items: Mapping[str, Sequence[OpenItem]]
    doubts: Mapping[str, tuple[str, str]]
    customers: Mapping[str, str]
    policy: Policy
    rates: Rates
    read_at: datetime | None
    now: datetime
    today: date

    def items_of(self, account_id: str) -> Sequence[OpenItem]:
        """Open documents of the customer that an account stands for."""
        return self.items.get(self.customers.get(account_id, ""), ())

    def doubt_of(self, account_id: str) -> tuple[str, str] | None:
        """Why the balance of an account's customer cannot be relied on."""
        return self.doubts.get(self.customers.get(account_id, ""))


def load(services: Services) -> Book:
    """The book as the staging tables have it now."""
    with services.engine.connect() as conn:
        now: datetime = conn.execute(text("select now()")).scalar_one()
        today = now.astimezone(ZoneInfo(services.link.time_zone)).date()
        policy = policy_of(credit.in_force(conn, services.link.name, today))
        customers = _customers(services)
        marks = [
            watermarks.read(conn, services.ledger.name, entity, "extract")
            for entity in READ
            if entity in services.ledger.mappings
        ]
    read = [mark.at if mark else None for mark in marks]
    items, doubts = _documents(services)
    return Book(
        items, doubts, customers, policy, _rates(services, today),
        None if any(at is None for at in read) else min(at for at in read if at is not None), now, today,
    )  # fmt: skip


def _customers(services: Services) -> dict[str, str]:
    with services.engine.connect() as conn:
        found = conn.execute(
            text(
                "select source_id, vendor_id from tieout.crosswalk "
                "where link = :link and target = :ledger and source = :crm and entity = 'account'"
            ),
            {"link": services.link.name, "ledger": services.ledger.name, "crm": services.crm.name},
        )
        customers = {row.source_id: row.vendor_id for row in found}
    return customers | {new: customers[old] for old, new in continued(services).items()}


def _documents(services: Services) -> tuple[dict[str, list[OpenItem]], dict[str, tuple[str, str]]]:
    """customer id -> open documents; customer id -> why its documents cannot be relied on."""
    credits_ = credits_of(services.ledger)
    items: dict[str, list[OpenItem]] = defaultdict(list)
    doubts: dict[str, tuple[str, str]] = {}
    invoices, bad = _rows(services, "invoice", OPEN, DRAFT)
    doubts |= _doubts(services, "invoice", bad)
    taken = _payments(services, [row["invoice_id"] for row in invoices if row.get("paid_minor")])
    for row in invoices:
        if row["kind"] != "invoice" or not row.get("customer_id"):
            continue
        if (wrong := _disagreement(row, taken.get(row["invoice_id"], 0))) is not None:
            doubts.setdefault(row["customer_id"], wrong)
            continue
        items[row["customer_id"]].append(
            OpenItem(row["invoice_id"], row["customer_id"], row["currency"], row["due_minor"], row.get("due_date"),
                     is_draft=row["standing"] == DRAFT)
        )  # fmt: skip
    for entity, kind in credits_.items():
        credits, bad = _rows(services, entity, OPEN)
        doubts |= _doubts(services, entity, bad)
        for row in credits:
            if row.get("kind") == kind and row.get("customer_id") and row.get("remaining_minor"):
                items[row["customer_id"]].append(
                    OpenItem(row[f"{entity}_id"], row["customer_id"], row["currency"], -row["remaining_minor"])
                )
    for customer_id, wrong in allocations.disagreements(services, tuple(credits_)).items():
        doubts.setdefault(customer_id, wrong)
    return dict(items), doubts


def _disagreement(row: Row, payments: int) -> tuple[str, str] | None:
    """Why an invoice's figures cannot be relied on."""
    total, due, paid = row.get("total_minor"), row.get("due_minor"), row.get("paid_minor") or 0
    if total is None or due is None:
        return "balance_unreadable", f"invoice {row['number']} has no total or nothing that says what is due"
    if due != total - paid - (row.get("credited_minor") or 0):
        return "stale_balance", f"invoice {row['number']}: what is due is not its total less payments and credits"
    if payments != paid:
        return (
            "stale_balance",
            f"invoice {row['number']}: {paid} minor units are paid by its own account, {payments} by the payments",
        )
    return None


def _rows(services: Services, entity: str, *standing: str) -> tuple[list[dict[str, Any]], list[Rejection]]:
    mapping = services.ledger.mappings[entity]
    frame = staging.read(
        services.engine, mapping.staged_entity(), services.ledger.name, column=_column(mapping, "standing"),
        values=mapping.words("standing", *standing),
    )  # fmt: skip
    if frame.empty:
        return [], []
    outcome = compile_read(mapping, services.link)(frame)
    return rows(outcome.frame), list(outcome.rejections)


def _payments(services: Services, invoice_ids: Sequence[str]) -> dict[str, int]:
    """invoice id -> minor units that its payments come to."""
    if not invoice_ids:
        return {}
    found, _ = common_rows(services, services.ledger, "payment", parents=invoice_ids, parent="invoice_id")
    sums: dict[str, int] = defaultdict(int)
    for row in found:
        if row["kind"] == "payment" and row["standing"] == SETTLED:
            sums[row["invoice_id"]] += row["amount_minor"] or 0
    return sums


def _doubts(services: Services, entity: str, bad: Iterable[Rejection]) -> dict[str, tuple[str, str]]:
    """Customers of documents that could not be read, or that the checks stopped."""
    why = {item.source_id: item.message for item in bad}
    with services.engine.connect() as conn:
        letters = dead_letters.open_keys(conn, services.ledger.name, entity)
    why |= {key: f"it is in quarantine: {reason}" for key, reason in letters.items()}
    if not why:
        return {}
    mapping = services.ledger.mappings[entity]
    table, customer = mapping.staged_entity().table, _column(mapping, "customer_id")
    with services.engine.connect() as conn:
        found = conn.execute(
            text(
                f"select _source_id, {customer} as customer from staging.{table} "  # noqa: S608 - from the mapping
                "where _connection = :connection and _source_id = any(:ids) and not _deleted"
            ),
            {"connection": services.ledger.name, "ids": list(why)},
        )
        return {
            row.customer: ("balance_unreadable", f"{entity} {row._source_id}: {why[row._source_id]}")
            for row in found
            if row.customer
        }


def _rates(services: Services, today: date) -> Rates:
    """The rate of the ledger's latest document in each currency until today; where it has none, the CRM's."""
    base, ledger = services.link.base_currency, services.ledger
    mapping = ledger.mappings["invoice"]
    table = mapping.staged_entity().table
    currency, rate, day = (_column(mapping, name) for name in ("currency", "exchange_rate", "date"))
    with services.engine.connect() as conn:
        latest = conn.execute(
            text(
                f"""
                select distinct on ({currency}) _source_id from staging.{table}
                where _connection = :connection and not _deleted and {rate} > 0 and {day} <= :today
                order by {currency}, {day} desc, _source_id desc
                """  # noqa: S608 - from the mapping
            ),
            {"connection": ledger.name, "today": today},
        ).scalars()
        ids = list(latest)
    found: dict[str, Any] = {}
    dated, _ = common_rows(services, services.crm, "exchange_rate")
    for row in sorted((row for row in dated if row["date"] <= today), key=lambda row: row["date"]):
        found[row["to_currency"]] = row["rate"]
    if ids:
        own, _ = common_rows(services, ledger, "invoice", ids=ids)
        found |= {row["currency"]: row["exchange_rate"] for row in own if row.get("exchange_rate")}
    return Rates(base, {code: value for code, value in found.items() if code != base})


def _column(mapping: EntityMapping, field: str) -> str:
    return mapping.read[field].source[0]
