"""The reconciliation of a small company: it ties to the cent after a run, and what is changed afterwards is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import Given
from tests.scenarios.world import World, services_of
from tests.support.reconciliation import reconcile as books
from tests.support.sandbox import SandboxProcess
from tieout.model.errors import BooksDoNotClose, ConfigurationFault
from tieout.reconcile import suggestions
from tieout.scenarios import credit_sync, product_sync, quote_to_cash, receivables, reconciliation, returns, steps
from tieout.scenarios.frames import common_rows
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import Services
from tieout.store import runs

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


@pytest.mark.proves(
    "what was just carried over ties to the cent in every area",
    scenario="reconciliation",
    pair=("salesforce", "xero"),
    ties_out=True,
)
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


def test_what_was_known_at_an_instant_has_the_same_hash_whatever_came_later(tied: Tied) -> None:
    with tied.engine.connect() as conn:
        then = conn.execute(sa.text("select clock_timestamp()")).scalar_one()
    first = tied.reconcile(known_at=then)
    with tied.services() as services:
        rows, _ = common_rows(services, services.ledger, "invoice")
        invoice = next(row for row in rows if row["total_minor"] == 24000)
        with LedgerHand(tied.world._ledger) as hand:
            hand.pay(invoice["invoice_id"], Decimal("240.00"), date(2026, 3, 25))
    tied.sync()
    assert tied.reconcile(known_at=then)["hash"] == first["hash"]
    now = tied.reconcile()
    paid = {(one["area"], one["currency"]): one["b_amount"] for one in now["totals"]}
    assert now["hash"] != first["hash"] and paid["payments", "GBP"] == 24000


def test_a_report_that_does_not_tie_fails_its_run_and_says_by_how_much(tied: Tied) -> None:
    """The engine's own proof: one item more on a side than the differences know of."""
    with tied.services() as services:
        run_id = reconciliation.start(services, as_of=date(2026, 3, 31))
        reconciliation.extract(services, run_id)
        books(tied.engine, date(2026, 3, 31), [], link=services.link.name, off_by=1, run_id=UUID(run_id))
        with tied.engine.begin() as conn:
            runs.end_step(conn, UUID(run_id), "tie_out", {"breaks": {"live": 0}})
        with pytest.raises(BooksDoNotClose, match=r"unexplained are invoices 0\.01 EUR"):
            reconciliation.summarise(services, run_id)
    with tied.engine.connect() as conn:
        run = runs.get(conn, UUID(run_id))
    assert run is not None and run.state == "failed" and run.counts["state"] == "untied"


def test_a_day_that_has_not_come_is_refused(tied: Tied) -> None:
    with tied.services() as services, pytest.raises(ConfigurationFault, match="not in the future"):
        reconciliation.start(services, as_of=date(2999, 1, 1))


def test_receivables_are_what_the_ledgers_invoices_leave_open(tied: Tied) -> None:
    """Net 350.00 and 40.00 of tax were billed on the 10th of March, due in 30 days; 60.00 came in."""
    with tied.services() as services:
        rows, _ = common_rows(services, services.ledger, "invoice")
        due = {row["due_date"] for row in rows}
        total = sum(row["total_minor"] for row in rows)
        with LedgerHand(tied.world._ledger) as hand:
            hand.pay(rows[0]["invoice_id"], Decimal("60.00"), date(2026, 3, 25))
        tied.sync(quote_to_cash)
        mapping = services.ledger.mappings["invoice"]
        [owed] = receivables.of_link(services.engine, services.link, mapping, date(2026, 4, 10))
    assert due == {date(2026, 4, 9)} and (owed.currency, owed.due, owed.invoiced) == ("GBP", total - 6000, total)
    assert owed.buckets == {"not due": 0, "1-30": total - 6000, "31-60": 0, "61-90": 0, "over 90": 0}
    assert owed.days_outstanding == (Decimal(owed.due) * 90 / total).quantize(Decimal("0.1"))
