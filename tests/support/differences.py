"""Differences as the engine hands them to record.py, and reports made of them: for tests of what comes after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from tieout.reconcile import record, report_store
from tieout.reconcile.record import Recorded
from tieout.reconcile.report_store import Report

LINK = "acme"
RUN = UUID("00000000-0000-4000-8000-000000000005")


@dataclass(frozen=True)
class Difference:
    """One row of `recon_difference`; `key` is the record that it hangs on."""

    key: str
    amount: int
    class_: str = "amount"
    area: str = "invoices"
    currency: str = "GBP"
    component: str = "amount"
    within_tolerance: bool = False
    fields: Sequence[str] = ()
    b_keys: Sequence[str] = ()
    customer_id: str | None = None
    customer_name: str | None = None
    numbers: Sequence[str] = ()
    fix: str | None = None
    a: dict[str, Any] = field(default_factory=dict)
    b: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        return hashlib.sha256(f"{self.area}|{self.component}|{self.key}".encode()).hexdigest()

    def row(self) -> dict[str, Any]:
        return {
            "area": self.area, "identity": self.identity, "component": self.component, "class": self.class_,
            "currency": self.currency, "scale": 2, "amount": self.amount, "within_tolerance": self.within_tolerance,
            "a_keys": [self.key], "b_keys": list(self.b_keys), "customer_id": self.customer_id,
            "customer_name": self.customer_name, "numbers": list(self.numbers), "a": json.dumps(self.a),
            "b": json.dumps(self.b), "fields": json.dumps(list(self.fields)),
            "explanation": f"{self.key} differs by {self.amount}", "fix": self.fix,
        }  # fmt: skip


def put(conn: Connection, differences: Sequence[Difference]) -> None:
    """Makes `recon_difference` and fills it."""
    record.create_differences(conn)
    if not differences:
        return
    columns = list(differences[0].row())
    values = ", ".join(f"cast(:{name} as jsonb)" if name in ("a", "b", "fields") else f":{name}" for name in columns)
    conn.execute(
        sa.text(f"insert into recon_difference ({', '.join(columns)}) values ({values})"),
        [one.row() for one in differences],
    )


def opened(conn: Connection, day: date, link: str = LINK, rules_hash: str = "rules-1") -> Report:
    """A report without figures."""
    known_at = datetime(day.year, day.month, day.day, 23, tzinfo=UTC)
    return report_store.open_report(conn, link, day, known_at, RUN, rules_hash, "mapping-1", "test")


def total(conn: Connection, report: Report, area: str, currency: str, a: int, b: int) -> None:
    """Both sides of an area, as the engine counts them."""
    conn.execute(
        sa.text(
            "insert into tieout.report_total (report_id, area, currency, scale, a_count, b_count, a_amount, b_amount, "
            "explained) values (:report, :area, :currency, 2, 1, 1, :a, :b, 0)"
        ),
        {"report": report.report_id, "area": area, "currency": currency, "a": a, "b": b},
    )


def reconciled(
    engine: Engine, day: date, differences: Sequence[Difference], *, off_by: int = 0, link: str = LINK,
    rules_hash: str = "rules-1",
) -> tuple[Report, Recorded]:  # fmt: skip
    """A finished report of a day. The sides differ by the differences, and by `off_by` more in GBP invoices."""
    with engine.begin() as conn:
        report = opened(conn, day, link, rules_hash)
        sides = {("invoices", "GBP"): 0}
        for one in differences:
            key = (one.area, one.currency)
            sides[key] = sides.get(key, 0) + one.amount
        for (area, currency), amount in sides.items():
            more = off_by if (area, currency) == ("invoices", "GBP") else 0
            total(conn, report, area, currency, 1_000_000 + amount + more, 1_000_000)
        put(conn, differences)
        recorded = record.record(conn, report)
        return report_store.finish(conn, report), recorded


def live(engine: Engine, link: str = LINK) -> dict[str, Any]:
    """The first key of each break -> its row."""
    with engine.connect() as conn:
        rows = conn.execute(sa.text("select * from tieout.break where link = :link"), {"link": link}).mappings()
        return {row["a_keys"][0]: row for row in rows}


def history(engine: Engine, key: str) -> list[str]:
    """The events of the break that hangs on a record, in order."""
    query = (
        "select e.event from tieout.break_event e join tieout.break b using (break_id) where b.a_keys[1] = :key "
        "order by event_id"
    )
    with engine.connect() as conn:
        return list(conn.execute(sa.text(query), {"key": key}).scalars())
