"""A period's plan of several chunks: credit is used up from the oldest order to the newest, wherever a chunk ends."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from tests.scenarios.format import Given
from tests.scenarios.observe import documents
from tests.scenarios.world import World, services_of
from tests.support.sandbox import SandboxProcess
from tieout.model.link import Periods
from tieout.scenarios import fiscal_period, frames, quote_to_cash, steps
from tieout.scenarios.periods import planning
from tieout.scenarios.services import Services
from tieout.store import period_plans

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "a plan of several chunks holds what its posting would hold", scenario="backfill", pair=("salesforce", "xero")
    ),
]
PERIOD = "FY2026-P02"


def order(day: int, chairs: int) -> dict[str, object]:
    """60 pounds a chair, with tax."""
    lines = [{"product": "CHAIR", "quantity": chairs, "price": Decimal("50.00")}]
    return {"order": f"F-{day}", "account": "Acme Ltd", "date": f"2026-02-{day:02}", "lines": lines}


#: Of 500 pounds the three oldest would ask for 540; the two after them fit in what is left without the third.
GIVEN = Given.model_validate({
    "story": "The newest order came into the CRM first.", "today": "2026-03-31",
    "link": {"policies": {"credit": "hold"}},
    "credit_limits": [{"customer": "Acme Ltd", "currency": "GBP", "limit": "500.00"}],
    "crm": {"accounts": [{"name": "Acme Ltd", "tax_id": "GB980780684", "city": "Leeds", "country": "United Kingdom"}],
            "orders": [order(20, 3), order(15, 1), order(10, 5), order(5, 2), order(1, 2)]},
})  # fmt: skip


@pytest.fixture
def services(
    sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[World, Services]]:
    for module in (quote_to_cash, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    world = World(GIVEN, sandbox, engine)
    world.begin()
    world.link = world.link.model_copy(update={"periods": Periods(approval="never")})
    with services_of(world.link, world._crm, world._ledger, engine) as made:
        # A credit is known once the ledger was read whole.
        quote_to_cash.extract(made, quote_to_cash.start(made))
        yield world, made
    world.close()


def test_a_plan_holds_what_its_posting_would_hold(
    services: tuple[World, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, made = services
    whole = fiscal_period.run(made, PERIOD, dry_run=True)
    hashes = set()
    for size, together in ((1, 1), (2, 2), (2, 4), (3, 3)):
        monkeypatch.setattr(frames, "CHUNK", size)
        monkeypatch.setattr(planning, "FORESEEN", together)
        hashes.add(fiscal_period.run(made, PERIOD, dry_run=True)["hash"])
    assert hashes == {whole["hash"]}
    posted = fiscal_period.run(made, PERIOD)
    assert (posted["lines"], posted["applied"], posted["changed"]) == ({"create": 4, "hold": 1}, 5, 0)
    with made.engine.connect() as conn:
        (held,) = (one.line for one in period_plans.lines(conn, posted["plan"]) if one.line.action == "hold")
    assert (held.source_id, held.reason, held.held_minor) == (world.ids["order:F-10"], "credit_exceeded", 25_000)
    assert sorted(one["of"] for one in documents(world)) == ["F-1", "F-15", "F-20", "F-5"]
