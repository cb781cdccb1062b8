"""The reconciliation of a small company: it ties to the cent after a run, and what is changed afterwards is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import Given
from tests.scenarios.world import World, services_of
from tests.support.sandbox import SandboxProcess
from tieout.reconcile import suggestions
from tieout.scenarios import credit_sync, product_sync, quote_to_cash, reconciliation, returns, steps
from tieout.scenarios.frames import common_rows
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import Services

pytestmark = pytest.mark.slow
PLACE = {"city": "Leeds", "country": "United Kingdom"}


def order(name: str, account: str, chairs: int, **more: Any) -> dict[str, Any]:
    lines = [{"product": "CHAIR", "quantity": chairs, "price": Decimal("50.00")}]
    return {"order": name, "account": account, "date": "2026-03-10", "lines": lines, **more}


GIVEN: dict[str, Any] = {
    "story": "Two customers, three orders.", "today": "2026-03-31",
    "link": {"reconciliation": {"cut_off_hours": 0}},
    "crm": {
        "accounts": [{"name": "Acme Ltd", "tax_id": "GB980780684", **PLACE}, {"name": "Bolt Ltd", **PLACE}],
        "orders": [order("A-1", "Acme Ltd", 2), order("A-2", "Acme Ltd", 4, expected_tax=Decimal("40.00")),
                   order("B-1", "Bolt Ltd", 1)],
    },
}  # fmt: skip


class Tied:
    """A world with all scenarios run once."""

    def __init__(self, sandbox: SandboxProcess, engine: Engine, given: dict[str, Any] = GIVEN) -> None:
        self.world, self.engine = World(Given.model_validate(given), sandbox, engine), engine
        self.world.begin()
        self.sync()

    @contextmanager
    def services(self) -> Iterator[Services]:
        world = self.world
        with services_of(world.link, world._crm, world._ledger, self.engine) as services:
            yield services

    def sync(self, *scenarios: Any) -> None:
        with self.services() as services:
            for scenario in scenarios or (quote_to_cash, returns, credit_sync, product_sync):
                scenario.run(services)

    def reconcile(self, **more: Any) -> dict[str, Any]:
        """A report as of today."""
        with self.services() as services:
            return reconciliation.run(services, **({"as_of": datetime.now(UTC).date()} | more))

    def breaks(self) -> list[dict[str, Any]]:
        with self.engine.connect() as conn:
            rows = conn.execute(
                sa.text("select * from tieout.break where cleared_on is null order by area, component, identity")
            ).mappings()
            return [dict(row) for row in rows]

    def found(self) -> list[tuple[str, str, str, int]]:
        """(area, component, class, amount) of every break that is there."""
        return [(one["area"], one["component"], one["class"], one["amount"]) for one in self.breaks()]


@pytest.fixture
def tied(sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tied]:
    for module in (credit_sync, product_sync, quote_to_cash, returns, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    made = Tied(sandbox, engine)
    yield made
    made.world.close()


def test_what_was_just_carried_over_ties_to_the_cent(tied: Tied) -> None:
    numbers = tied.reconcile()
    assert tied.found() == []
    totals = {(one["area"], one["currency"]): one for one in numbers["totals"]}
    invoices = totals["invoices", "GBP"]
    assert (invoices["a_count"], invoices["b_count"], invoices["a_amount"], invoices["b_amount"]) == (
        3,
        3,
        35000,
        35000,
    )
    tax = totals["tax", "GBP"]
    assert (tax["a_amount"], tax["b_amount"]) == (4000, 4000)
    balances = totals["balances", "GBP"]
    assert (balances["a_amount"], balances["b_amount"]) == (42000, 42000)
    assert numbers["state"] == "tied" and not any(one["unexplained"] for one in numbers["totals"])


def test_money_that_came_before_it_was_set_against_an_invoice_is_unapplied_cash(tied: Tied) -> None:
    """100.00 and 20.00 of tax is what order A-1 leaves open: finance is told so, and nothing is posted."""
    with tied.services() as services:
        rows, _ = common_rows(services, services.ledger, "invoice")
        invoice = next(row for row in rows if row["total_minor"] == 12000)
        with LedgerHand(tied.world._ledger) as hand:
            paid = hand.receive("overpayment", invoice["customer_id"], Decimal("120.00"), date(2026, 3, 20))
    tied.sync(credit_sync)
    tied.reconcile()
    assert tied.found() == [("payments", "presence", "unapplied_cash", -12000)]
    with tied.engine.connect() as conn:
        [kept] = suggestions.listing(conn, tied.world.link.name)
    assert (kept.tier, kept.b_keys, kept.state) == ("payment_amount", (f"overpayment:{paid}",), "suggested")
    assert next(iter(kept.evidence["a"].values()))["invoice"] == invoice["number"]
    with LedgerHand(tied.world._ledger) as hand:
        hand.set_against("Overpayments", paid, invoice["invoice_id"], Decimal("120.00"), date(2026, 3, 21))
    tied.sync()
    tied.reconcile()
    assert tied.found() == []
    with tied.engine.connect() as conn:
        assert suggestions.listing(conn, tied.world.link.name) == []
