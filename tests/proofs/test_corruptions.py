"""More than 40 kinds of corruption at once, put straight into both sandboxes: each is found in its class with its
amount, nothing else is, and after mending all of them are cleared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.proofs.corruptions import CASES, LAST, LIMIT, LOCKED, Case, Found, Hands
from tests.scenarios.format import Given
from tests.scenarios.world import World, services_of
from tests.support.days import today
from tests.support.sandbox import SandboxProcess
from tieout.scenarios import credit_sync, product_sync, quote_to_cash, reconciliation, returns, steps

pytestmark = [
    pytest.mark.long,
    pytest.mark.proves(
        "each of many corruptions is found in its class with its amount, and nothing else is",
        scenario="reconciliation",
        pair=("salesforce", "xero"),
    ),
]
LIMITED = ("limit_typed_over", "available_typed_over")


class Company:
    """Everybody's orders are billed, paid, returned; credit and products carried over."""

    def __init__(self, sandbox: SandboxProcess, engine: Engine) -> None:
        given = [one.given() for one in CASES]
        self.world = World(Given.model_validate({
            "story": "A customer for each corruption.", "today": "2026-03-31",
            "link": {"reconciliation": {"cut_off_hours": 0}, "policies": {"exchange_rate": "crm"}},
            "credit_limits": [{"customer": one.customer, **LIMIT} for one in CASES if one.name in LIMITED],
            "crm": {
                "accounts": [account for account, _ in given],
                "orders": [each for _, orders in given for each in orders],
                "products": [
                    {"code": "LAMP", "name": "Lamp", "prices": {"GBP": "20.00"}},
                    {"code": "STOOL", "name": "Stool", "prices": {"GBP": "15.00"}},
                ],
            },
            "ledger": {"items": [
                {"code": "CHAIR", "name": "Chair", "price": "50.00"},
                {"code": "STOOL", "name": "Stool", "price": "15.00", "stock": 7},
                {"code": "DESK", "name": "Desk", "price": "200.00"},
                {"code": "BOOK", "name": "Book", "price": "10.00"},
                {"code": "LAMP", "name": "Lamp", "price": "20.00"},
                {"code": "FREIGHT", "name": "Freight", "price": "1"},
            ]},
        }), sandbox, engine)  # fmt: skip
        self.engine = engine
        self.world.begin()
        self.hands = Hands(self.world, sandbox.url)
        self.sync(quote_to_cash)
        for one in CASES:
            if one.before is not None:
                one.before(one, self.hands)
        self.sync(returns, quote_to_cash, credit_sync, product_sync)
        self.world.doors.settings("xero", period_lock_date=LOCKED.isoformat())

    def sync(self, *scenarios: Any) -> None:
        with services_of(self.world.link, self.world._crm, self.world._ledger, self.engine) as services:
            for scenario in scenarios:
                scenario.run(services)

    def reconcile(self) -> dict[str, Any]:
        """A report of today that reads all documents whole, as the first one of a day does."""
        with self.engine.begin() as conn:
            conn.execute(sa.text("delete from tieout.watermark where kind = 'whole'"))
        with services_of(self.world.link, self.world._crm, self.world._ledger, self.engine) as services:
            return reconciliation.run(services, as_of=today(self.world.link))

    def found(self) -> Counter[Found]:
        """Everything that differs now."""
        with self.engine.connect() as conn:
            rows = conn.execute(
                sa.text("select area, component, class, currency, amount from tieout.break where cleared_on is null")
            )
            return Counter(tuple(row) for row in rows)

    def explained(self, one: Case) -> list[str]:
        """What is told of a case's customer."""
        with self.engine.connect() as conn:
            rows = conn.execute(
                sa.text("select explanation from tieout.break where cleared_on is null and customer_name = :name"),
                {"name": one.customer},
            )
            return list(rows.scalars())


@pytest.fixture
def company(sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    for module in (credit_sync, product_sync, quote_to_cash, returns, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    made = Company(sandbox, engine)
    yield made
    made.world.close()


def test_every_corruption_is_found_in_its_class_with_its_amount_and_nothing_else_is(company: Company) -> None:
    assert len([one for one in CASES if one.finds]) >= 25
    anyway = Counter(found for one in CASES for found in one.anyway)
    numbers = company.reconcile()
    assert (numbers["state"], company.found()) == ("tied", anyway)
    mended = company.hands.snapshot()

    for one in CASES:
        if one.name not in LAST:
            one.do(one, company.hands)
    company.sync(credit_sync)
    shown = company.hands.snapshot()
    for one in CASES:
        if one.name in LAST:
            one.do(one, company.hands)
    numbers = company.reconcile()
    assert company.found() - anyway == Counter(found for one in CASES for found in one.finds)
    assert numbers["state"] == "tied"

    company.hands.restore({**mended, "crm/Account": shown["crm/Account"]})
    # What was raised by hand is gone without a trace again: the whole read sees it, and credit-sync tells the CRM.
    company.reconcile()
    company.sync(credit_sync)
    numbers = company.reconcile()
    assert (numbers["state"], company.found()) == ("tied", anyway)
