"""A small company over some months, for the tests of period reports, the close and the recount."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import Given
from tests.scenarios.world import World, services_of
from tests.support.sandbox import SandboxProcess
from tieout.model.calendar import Period, parse
from tieout.scenarios import credit_sync, product_sync, quote_to_cash, reconciliation, returns, steps
from tieout.scenarios.frames import common_rows
from tieout.scenarios.periods import report
from tieout.scenarios.services import Services
from tieout.scenarios.steps import Numbers

MONTHS = parse("months", {"kind": "months"})
PLACE = {"city": "Leeds", "country": "United Kingdom"}
SCENARIOS = (quote_to_cash, returns, credit_sync, product_sync)
FLOWS = ("invoices", "tax", "payments", "credit_memos")


def order(name: str, account: str, day: str, chairs: int, **more: Any) -> dict[str, Any]:
    """An order of so many chairs at 50.00."""
    lines = [{"product": "CHAIR", "quantity": chairs, "price": Decimal("50.00")}]
    return {"order": name, "account": account, "date": day, "lines": lines, **more}


GIVEN: dict[str, Any] = {
    "story": "Two customers, orders in three months, in two currencies.", "today": "2026-03-31",
    "link": {"reconciliation": {"cut_off_hours": 0}},
    "crm": {
        "accounts": [{"name": "Acme Ltd", "tax_id": "GB980780684", **PLACE}, {"name": "Bolt Ltd", **PLACE}],
        "orders": [
            order("J-1", "Acme Ltd", "2026-01-10", 2), order("J-2", "Bolt Ltd", "2026-01-31", 4,
                                                             expected_tax=Decimal("40.00")),
            order("J-3", "Acme Ltd", "2026-01-20", 8, currency="EUR"), order("F-1", "Acme Ltd", "2026-02-03", 1),
            order("F-2", "Bolt Ltd", "2026-02-28", 6), order("F-3", "Bolt Ltd", "2026-02-14", 10, currency="EUR"),
            order("M-1", "Bolt Ltd", "2026-03-10", 3), order("M-2", "Acme Ltd", "2026-03-11", 20),
        ],
    },
}  # fmt: skip


class Company:
    """A world with all scenarios run once."""

    def __init__(self, sandbox: SandboxProcess, engine: Engine, given: dict[str, Any] = GIVEN) -> None:
        self.world, self.engine = World(Given.model_validate(given), sandbox, engine), engine
        self.world.begin()
        self.sync()

    @property
    def link(self) -> str:
        return self.world.link.name

    @contextmanager
    def services(self) -> Iterator[Services]:
        with services_of(self.world.link, self.world._crm, self.world._ledger, self.engine) as services:
            yield services

    def sync(self, *scenarios: Any) -> None:
        with self.services() as services:
            for scenario in scenarios or SCENARIOS:
                scenario.run(services)
        self.read()

    def read(self) -> None:
        """Reads both systems whole, as the first reconciliation of a day does, and compares nothing."""
        with self.engine.begin() as conn:
            conn.execute(sa.text("delete from tieout.watermark where kind = 'whole'"))
        with self.services() as services:
            reconciliation.extract(services, reconciliation.start(services, as_of=datetime.now(UTC).date()))

    def reconcile(self, as_of: date | None = None) -> dict[str, Any]:
        """A day's report, today's where none is named; both systems are read whole."""
        with self.engine.begin() as conn:
            conn.execute(sa.text("delete from tieout.watermark where kind = 'whole'"))
        with self.services() as services:
            return reconciliation.run(services, as_of=as_of or datetime.now(UTC).date())

    def report(self, period: Period, known_at: datetime | None = None) -> Numbers:
        """The report of a period from what is staged."""
        with self.services() as services:
            return report.make(services, period, UUID(steps.start(services, "reconciliation")), known_at)

    def invoice(self, of: str) -> dict[str, Any]:
        """The live invoice of an order as the ledger has it."""
        return self.world._open_invoice(of)

    def invoices(self) -> Sequence[dict[str, Any]]:
        with self.services() as services:
            return [dict(row) for row in common_rows(services, services.ledger, "invoice")[0]]


def quick(monkeypatch: Any) -> None:
    """Nobody waits for what is due soon."""
    for module in (credit_sync, product_sync, quote_to_cash, returns, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
