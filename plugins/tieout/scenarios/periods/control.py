"""The ledger's control account of receivables against the subledger, at the end of a period's last day.

The control account is what the ledger's own trial balance says. The subledger is counted from the staged documents, in
the base currency at each document's rate, every posting rounded on its own: invoices less credit notes, overpayments
and prepayments, less payments, plus refunds, with what two rates make of an allocation; each on its own day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.connectors.base import GeneralLedger
from tieout.model.calendar import Period
from tieout.model.errors import ConfigurationFault
from tieout.model.money import exponent, from_minor, to_minor
from tieout.model.standing import DRAFT, VOID
from tieout.scenarios.frames import common_rows
from tieout.scenarios.services import Services, credits_of
from tieout.store.closing_tables import period_control as table
from tieout.store.engine import dumps


@dataclass(frozen=True, slots=True)
class Control:
    """One reading; amounts in minor units of the base currency, `difference` is control less subledger."""

    control_id: int
    link: str
    label: str
    last: date
    read_at: datetime
    run_id: UUID
    account: str
    currency: str
    scale: int
    control: int
    subledger: int
    difference: int
    detail: dict[str, int]


_COLUMNS = [table.c[name] for name in Control.__dataclass_fields__]


def read(services: Services, period: Period, run_id: UUID) -> Control:
    """Asks the ledger for its control account and keeps it beside the subledger.

    Raises:
        ConfigurationFault: the ledger's connector does not say what is in the general ledger.
        PermissionDenied: the app may not read reports.
    """
    if not isinstance(services.ledger.connector, GeneralLedger):
        raise ConfigurationFault(f"{services.ledger.system}: this ledger's control accounts cannot be read")
    said = services.ledger.connector.receivables(period.last)
    base = services.link.base_currency
    if said.currency != base:
        raise ConfigurationFault(
            f"link {services.link.name}: the ledger's books are in {said.currency}, the link says {base}"
        )
    parts = subledger(services, period.last)
    values = {
        "link": services.link.name, "label": period.label, "last": period.last, "run": run_id,
        "account": said.account, "currency": base, "scale": exponent(base), "control": to_minor(said.amount, base),
        "subledger": sum(parts.values()), "detail": dumps(parts),
    }  # fmt: skip
    with services.engine.begin() as conn:
        made = conn.execute(
            sa.text(
                "insert into tieout.period_control (link, label, last, run_id, account, currency, scale, control, "
                "subledger, detail) values (:link, :label, :last, :run, :account, :currency, :scale, :control, "
                ":subledger, cast(:detail as jsonb)) returning control_id"
            ),
            values,
        ).scalar_one()
        return Control(*conn.execute(sa.select(*_COLUMNS).where(table.c.control_id == made)).one())


def newest(conn: Connection, link: str, label: str) -> Control | None:
    """The last reading of a period; None where there is none."""
    query = sa.select(*_COLUMNS).where(table.c.link == link, table.c.label == label)
    row = conn.execute(query.order_by(table.c.control_id.desc()).limit(1)).one_or_none()
    return None if row is None else Control(*row)


def subledger(services: Services, day: date) -> dict[str, int]:
    """Kind of posting -> what it comes to at the end of a day, in minor units of the base currency."""
    found: defaultdict[str, int] = defaultdict(int)
    for kind, on, amount in _postings(services):
        if on is not None and on <= day:
            found[kind] += amount
    return dict(found)


def _postings(services: Services) -> Iterator[tuple[str, date | None, int]]:
    base = services.link.base_currency
    kinds = {"invoice": ("invoice", 1)}
    kinds |= {entity: (kind, -1) for entity, kind in credits_of(services.ledger).items()}
    known: dict[str, tuple[dict[str, Any], int]] = {}
    for entity, (kind, sign) in kinds.items():
        for row in common_rows(services, services.ledger, entity)[0]:
            if row["kind"] == kind and row["standing"] not in (VOID, DRAFT) and row["total_minor"] is not None:
                known[row[f"{entity}_id"]] = (row, sign)
                yield entity, row["date"], sign * _in_base(row["total_minor"], row, base)
    for row in common_rows(services, services.ledger, "payment")[0]:
        target = known.get(row["credit_memo_id"] or "") or known.get(row["invoice_id"] or "")
        if target is not None and row["standing"] not in (VOID, DRAFT) and row["amount_minor"] is not None:
            document, sign = target
            yield (
                "payment" if sign > 0 else "refund",
                row["date"],
                -sign * _in_base(row["amount_minor"], document, base),
            )
    for document, sign in list(known.values()):
        if sign < 0:
            yield from _allocated(document, known, base)


def _allocated(
    document: dict[str, Any], known: dict[str, tuple[dict[str, Any], int]], base: str
) -> Iterator[tuple[str, date | None, int]]:
    """What two rates make of a credit that is set against invoices: nothing where they are the same."""
    texts = (document["allocated_to"], document["allocated_amounts"], document["allocated_on"])
    for to, amount, on in zip(*(one.split("\n") if one else () for one in texts), strict=True):
        if to in known and amount:
            minor = to_minor(Decimal(amount), document["currency"])
            difference = _in_base(minor, document, base) - _in_base(minor, known[to][0], base)
            if difference:
                yield "rates of allocations", date.fromisoformat(on) if on else document["date"], difference


def _in_base(minor: int, document: dict[str, Any], base: str) -> int:
    """At the document's rate (foreign per base), rounded half away from zero as the ledger does."""
    if document["currency"] == base:
        return minor
    rate = document["exchange_rate"] or Decimal(1)
    amount = from_minor(minor, document["currency"]) / rate
    return int(amount.scaleb(exponent(base)).quantize(Decimal(1), ROUND_HALF_UP))
