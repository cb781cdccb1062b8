"""What customers owe by age, and how many days of sales that is (DSO), from the ledger's own invoices as staged.

DSO = open receivables / invoiced in the last `DAYS` days x `DAYS`, gross on both
sides, each currency by itself. Drafts and voided invoices are neither. Read through the mapping of the ledger's
invoice, so that another ledger needs no word here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import Engine, text

from tieout.mapping.compile import compile_read
from tieout.mapping.load import apply_overrides, load_system
from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.link import Link
from tieout.model.settings import Settings
from tieout.model.standing import IN_THE_BOOKS, OPEN
from tieout.scenarios.billing import Row
from tieout.scenarios.frames import rows
from tieout.scenarios.services import find_link
from tieout.store import staging

#: Days of sales that the receivables are held against.
DAYS = 90
#: Days past the due date: (name, first, last), without overlap. What is not due yet comes first.
BUCKETS: tuple[tuple[str, int | None, int | None], ...] = (
    ("not due", None, 0), ("1-30", 1, 30), ("31-60", 31, 60), ("61-90", 61, 90), ("over 90", 91, None),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Owed:
    """One currency, in minor units.

    Attributes:
        buckets: name -> what is due on invoices of that age.
        counts: name -> how many invoices.
        invoiced: total of invoices dated within the last `DAYS` days.
    """

    currency: str
    buckets: Mapping[str, int]
    counts: Mapping[str, int]
    invoiced: int

    @property
    def due(self) -> int:
        """All that is due."""
        return sum(self.buckets.values())

    @property
    def overdue(self) -> int:
        """What is past its due date."""
        return self.due - self.buckets["not due"]

    @property
    def days_outstanding(self) -> Decimal | None:
        """DSO to one decimal; None where nothing was invoiced."""
        if self.invoiced <= 0:
            return None
        return (Decimal(self.due) * DAYS / self.invoiced).quantize(Decimal("0.1"), ROUND_HALF_UP)


def read(engine: Engine, settings: Settings, link_name: str, today: date) -> list[Owed]:
    """The receivables of a link's ledger as staged, by currency.

    Raises:
        ConfigurationFault: there is no such link, or its files do not hold.
    """
    link = find_link(settings, link_name)
    mapping = apply_overrides(load_system(settings.include / "mappings", link.ledger_system)["invoice"], link)
    return of_link(engine, link, mapping, today)


def of_link(engine: Engine, link: Link, mapping: EntityMapping, today: date) -> list[Owed]:
    """The same; `mapping`: of the ledger's invoice."""
    with engine.connect() as conn:
        table = f'staging."{mapping.staged_entity().table}"'
        if conn.execute(text("select to_regclass(:table)"), {"table": table}).scalar_one() is None:
            return []  # nothing was read yet
    owed = _invoices(engine, link, mapping, (OPEN,))
    sold = _invoices(engine, link, mapping, IN_THE_BOOKS, since=today - timedelta(days=DAYS - 1))
    return summed(owed, [row for row in sold if row["date"] is not None and row["date"] <= today], today)


def summed(owed: list[Row], sold: list[Row], today: date) -> list[Owed]:
    """The figures by currency of invoices that are owed, and of those that were made lately."""
    buckets: dict[str, dict[str, int]] = defaultdict(lambda: {name: 0 for name, _, _ in BUCKETS})
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {name: 0 for name, _, _ in BUCKETS})
    invoiced: dict[str, int] = defaultdict(int)
    for row in owed:
        if row["due_minor"]:
            name = bucket(row["due_date"], today)
            buckets[row["currency"]][name] += row["due_minor"]
            counts[row["currency"]][name] += 1
    for row in sold:
        invoiced[row["currency"]] += row["total_minor"] or 0
    return [
        Owed(code, dict(buckets[code]), dict(counts[code]), invoiced[code]) for code in sorted({*buckets, *invoiced})
    ]


def bucket(due: date | None, today: date) -> str:
    """The bucket of a due date; an invoice is overdue from the day after it. Without one it counts as not due."""
    late = (today - due).days if due is not None else 0
    return next(name for name, _, last in BUCKETS if last is None or late <= last)


def _invoices(
    engine: Engine, link: Link, mapping: EntityMapping, standings: tuple[str, ...], since: date | None = None
) -> list[Row]:
    standing, day = mapping.read["standing"].source[0], mapping.read["date"].source[0]
    frame = staging.read(
        engine, mapping.staged_entity(), link.ledger, column=standing, values=mapping.words("standing", *standings),
        where=f"{day} >= %(since)s" if since else None, parameters={"since": since} if since else None,
    )  # fmt: skip
    if frame.empty:
        return []
    found = rows(compile_read(mapping, link)(frame).frame)
    return [row for row in found if row["kind"] == "invoice" and row.get("currency")]
