"""What arrives, or is corrected, after its period was closed: what is posted, what waits, and where it is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import ClosedPeriod, Step
from tests.scenarios.test_reconciliation import PLACE, Tied, order
from tests.support.sandbox import SandboxProcess
from tieout.delivery import intents
from tieout.scenarios import credit_sync, posting, product_sync, quote_to_cash, returns, steps
from tieout.scenarios.rules import load_rules
from tieout.scenarios.trace import trace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "what is late for a closed period waits or goes into the next open one, and is reported",
        scenario="quote_to_cash",
        pair=("salesforce", "xero"),
    ),
]
FEBRUARY = ClosedPeriod(label="FY2026-P02", first=date(2026, 2, 1), last=date(2026, 2, 28), by="Rex")
Make = Callable[..., Tied]


@pytest.fixture
def make(sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes the world of these orders, closed or not; everything was run once."""
    for module in (credit_sync, product_sync, quote_to_cash, returns, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    made: list[Tied] = []

    def tied(*orders: dict[str, Any], closed: bool = False, **policies: str) -> Tied:
        given = {
            "story": "Orders of February.", "today": "2026-03-31", "closed_periods": [FEBRUARY] if closed else [],
            "link": {"reconciliation": {"cut_off_hours": 0}, "policies": policies},
            "crm": {"accounts": [{"name": "Acme Ltd", **PLACE}], "orders": list(orders)},
        }  # fmt: skip
        made.append(Tied(sandbox, engine, given))
        return made[-1]

    yield tied
    for one in made:
        one.world.close()


def february(name: str = "A-1", **more: Any) -> dict[str, Any]:
    return order(name, "Acme Ltd", 2, **({"date": "2026-02-20"} | more))


def happens(tied: Tied, **step: Any) -> None:
    tied.world.happen(Step.model_validate(step))


def judged(tied: Tied) -> tuple[str, str | None, str | None]:
    with tied.engine.connect() as conn:
        row = conn.execute(sa.text("select outcome, reason, message from tieout.document where object = 'order'")).one()
    return row.outcome, row.reason, row.message


def test_a_late_order_that_waits_is_told_with_who_closed_and_what_to_do_and_stands_in_the_tie_out(make: Make) -> None:
    tied = make(february(), closed=True)
    outcome, reason, message = judged(tied)
    assert (outcome, reason) == ("held", "period_closed")
    assert message is not None and message.startswith("2026-02-20 is in FY2026-P02, which Rex closed on ")
    with tied.engine.connect() as conn:
        letter = conn.execute(
            sa.text("select expected, found, remedy from tieout.dead_letter where entity = 'order'")
        ).one()
    assert letter.expected == "a date in an open period, such as 2026-03-01" and letter.found == "2026-02-20"
    assert f"`tieout period reopen {tied.world.link.name} FY2026-P02`" in letter.remedy
    tied.reconcile()
    assert tied.found() == [("invoices", "presence", "rejected_or_held", 10000)]
    assert "Tieout holds it: period_closed: 2026-02-20 is in FY2026-P02" in tied.breaks()[0]["explanation"]


def test_a_late_order_in_the_next_open_period_ties_and_its_own_date_is_noted_everywhere(make: Make) -> None:
    tied = make(february(), closed=True, closed_period="next_open")
    moved = "dated 2026-03-01 in the ledger: the period of 2026-02-20 was closed when it was billed"
    assert judged(tied) == ("posted", None, moved)
    assert tied.reconcile()["state"] == "tied" and tied.found() == []
    with tied.engine.connect() as conn:
        key = conn.execute(sa.text("select source_id from tieout.document where object = 'order'")).scalar_one()
    facts = {step.title.split(" ")[0]: step.facts for step in trace(tied.engine, key) if step.step == "intent"}
    assert facts["invoice"]["frozen"]["original_date"] == "2026-02-20"
    assert facts["invoice"]["frozen"]["bill"]["date"] == "2026-03-01"
    assert facts["invoice"]["posting_date"] == date(2026, 3, 1) and "A-1 (of 2026-02-20)" in facts["invoice"]["body"]
    # The period is opened again: the invoice stays where it is, and the tie-out tells that it is not of its day.
    happens(tied, reopen_period="FY2026-P02")
    tied.reconcile()
    assert tied.found() == [("invoices", "date", "date", 0)]


def test_a_payment_dated_back_into_a_closed_period_is_read_and_ties(make: Make) -> None:
    tied = make(february())
    happens(tied, close_period=FEBRUARY)
    happens(tied, pay="A-1", amount=Decimal("120.00"), date=date(2026, 2, 25))
    tied.sync()
    with tied.engine.connect() as conn:
        ours = conn.execute(
            sa.text("select count(*) from tieout.intent where target = :name and posting_date is not null"),
            {"name": tied.world.link.ledger},
        )
        assert ours.scalar_one() == 1, "nothing but the invoice was ever posted"
    assert tied.reconcile()["state"] == "tied" and tied.found() == []


def test_a_rate_that_the_crm_corrects_changes_nothing_that_is_posted_and_is_told(make: Make) -> None:
    tied = make(february(currency="EUR", rate=Decimal("1.20")), exchange_rate="crm")
    happens(tied, close_period=FEBRUARY)
    happens(tied, change_order="A-1", set={"Exchange_Rate__c": Decimal("1.25")})
    tied.sync()
    words = "posted at the rate 1.2; the CRM says 1.25 since, and what is posted stays"
    assert judged(tied) == ("posted", None, words)
    tied.reconcile()
    assert tied.found() == [("invoices", "rate", "rate", 0)]


def test_a_period_that_is_closed_while_a_run_plans_keeps_its_documents_out(make: Make) -> None:
    """The run had read which periods are open; the database refuses what it made of that, and the next try holds it."""
    tied = make(february(activated=False))
    happens(tied, change_order="A-1", set={"activated": True})
    with tied.services() as services:
        run_id = quote_to_cash.start(services, "test")
        quote_to_cash.extract(services, run_id)
        quote_to_cash.check(services, run_id)
        read_before = load_rules(services)
        happens(tied, close_period=FEBRUARY)
        with pytest.raises(intents.ClosedPeriod, match=r"Order .* is dated 2026-02-20, in period FY2026-P02"):
            posting.plan(services, read_before, UUID(run_id))
        quote_to_cash.transform(services, run_id)
    assert judged(tied)[:2] == ("held", "period_closed")


def test_what_the_ledger_locks_and_what_the_link_closes_are_both_among_the_rules(make: Make) -> None:
    tied = make(february(), closed=True)
    happens(tied, lock_until=date(2026, 1, 31))
    tied.sync(quote_to_cash)
    with tied.services() as services:
        rules = load_rules(services)
    assert rules.locked_until == date(2026, 1, 31)
    assert [(one.first, one.last, one.label, one.by) for one in rules.closed] == [
        (FEBRUARY.first, FEBRUARY.last, FEBRUARY.label, "Rex")
    ]
