"""Items of both sides put straight into the reconciliation's tables, and what it makes of them: no systems needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tieout.model.settings import PROJECT
from tieout.reconcile import differences, items, match, record
from tieout.reconcile.match import Matched
from tieout.reconcile.rules import Rules, load_rules

LINK, CRM, LEDGER = "acme", "crm", "ledger"
AS_OF, DAY = date(2026, 3, 31), date(2026, 3, 10)
NOW = datetime(2026, 4, 1, 6, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=20)
Item = Mapping[str, Any]


def sold(which: int, amount: int = 10000, **more: Any) -> dict[str, Any]:
    """An order of the CRM that shows invoice INV-<which>."""
    key = f"order:{which}"
    return {
        "area": "invoices", "key": key, "match_key": key, "currency": "GBP", "scale": 2, "amount": amount,
        "customer": "acme", "date": DAY, "number": f"INV-{which}", "status": "AUTHORISED", "total": amount, "due": 0,
        "mark": str(which), "match_number": f"INV-{which}", "linked": True, "label": f"order {which}",
        "title": str(which), "customer_name": "Acme Ltd", "changed_at": LONG_AGO, "version": which, **more,
    }  # fmt: skip


def billed(which: int, amount: int = 10000, **more: Any) -> dict[str, Any]:
    """The ledger's invoice of that order, as the crosswalk joins it."""
    return {**sold(which, amount), "key": f"invoice:{which}", "label": f"invoice INV-{which}", **more}


def alone(which: int, amount: int = 10000, **more: Any) -> dict[str, Any]:
    """An invoice of the ledger that no crosswalk joins to anything."""
    key = f"invoice:{which}"
    return {**billed(which, amount), "match_key": key, "linked": False, "mark": None, **more}


@dataclass(frozen=True)
class Found:
    """What the reconciliation found: rows of `recon_difference`, and how they were matched."""

    rows: Sequence[Mapping[str, Any]]
    matched: Matched
    suggested: Sequence[Mapping[str, Any]]

    @property
    def short(self) -> list[tuple[str, str, int]]:
        """(component, class, amount), sorted."""
        return sorted((row["component"], row["class"], row["amount"]) for row in self.rows)


@dataclass
class Bench:
    """One reconciliation over seeded items."""

    engine: Engine
    days: int = 3
    cut_off_hours: int = 0
    locked_until: date | None = None
    closed: tuple[tuple[date, date, datetime], ...] = ()
    synced: dict[str, datetime] = field(default_factory=dict)
    known_at: datetime = NOW

    @property
    def rules(self) -> Rules:
        return load_rules(PROJECT / "include")

    def find(self, a: Sequence[Item], b: Sequence[Item]) -> Found:
        """Matches and classifies in a transaction that is undone."""
        import pandas as pd

        with self.engine.connect() as conn:
            items.create(conn)
            for side, rows in (("a", a), ("b", b)):
                frame = pd.DataFrame(list(rows))
                if not frame.empty:
                    frame["alone"] = ~frame.duplicated(["area", "match_key"], keep=False)
                    for name in ("amount", "scale", "total", "due", "version", "later_days"):
                        if name in frame:
                            frame[name] = frame[name].astype("Int64")
                items.fill(conn, side, frame)  # type: ignore[arg-type] # a or b
            items.ready(conn)
            matched = match.match(conn, LINK, self.rules, self.days, self.known_at)
            record.create_differences(conn)
            differences.find(conn, self.rules, self._context())
            rows = conn.execute(sa.text("select * from recon_difference order by area, component, identity"))
            found = [dict(row) for row in rows.mappings()]
            suggested = [dict(row) for row in conn.execute(sa.text("select * from recon_suggested")).mappings()]
            self._foots(conn, found)
            return Found(found, matched, suggested)

    def _foots(self, conn: sa.Connection, found: Sequence[Mapping[str, Any]]) -> None:
        """Whatever was put in: CRM less ledger is the sum of the differences, in each area and currency."""
        sides = conn.execute(
            sa.text(
                "select area, currency, sum(amount) as difference from (select area, currency, amount from recon_a "
                "where live union all select area, currency, -amount from recon_b where live) x group by 1, 2"
            )
        )
        explained: dict[tuple[str, str], int] = {}
        for row in found:
            key = (row["area"], row["currency"])
            explained[key] = explained.get(key, 0) + row["amount"]
        for row in sides:
            assert explained.get((row.area, row.currency), 0) == row.difference, (row, found)

    def _context(self) -> differences.Context:
        return differences.Context(
            link=LINK, crm=("salesforce", CRM), ledger=("xero", LEDGER),
            objects={"order": "Order", "ledger:invoice": "Invoices"}, as_of=AS_OF, known_at=self.known_at,
            days=self.days, cut_off_hours=self.cut_off_hours, locked_until=self.locked_until, time_zone="Europe/London",
            synced=self.synced, closed=self.closed,
        )  # fmt: skip
