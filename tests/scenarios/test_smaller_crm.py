"""A CRM without quotes, contacts, returns and a place for finance's invoices: its orders are billed and tied out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from tests.scenarios.format import Given
from tests.scenarios.test_reconciliation import PLACE, order
from tests.scenarios.world import World, services_of
from tests.support.sandbox import SandboxProcess
from tieout.model.link import Link
from tieout.scenarios import fiscal_period, quote_to_cash, reconciliation
from tieout.scenarios.periods.calendar import calendar_of
from tieout.scenarios.services import Services

pytestmark = pytest.mark.slow
#: Mappings that such a CRM has.
HAS = ("account", "order", "order_line", "order_status", "currency")


@pytest.fixture
def world(sandbox: SandboxProcess, engine: Engine) -> Iterator[World]:
    given = {
        "story": "Two orders.", "today": "2026-03-31",
        "link": {"reconciliation": {"areas": ["invoices", "tax", "payments"], "cut_off_hours": 0}},
        "crm": {"accounts": [{"name": "Acme Ltd", **PLACE}],
                "orders": [order("A-1", "Acme Ltd", 2), order("A-2", "Acme Ltd", 4)]},
    }  # fmt: skip
    made = World(Given.model_validate(given), sandbox, engine)
    made.begin()
    yield made
    made.close()


@contextmanager
def smaller(world: World) -> Iterator[Services]:
    """The scenario's services, with the few mappings."""
    link: Link = world.link
    with services_of(link, world._crm, world._ledger, world.engine) as services:
        mappings = {name: one for name, one in services.crm.mappings.items() if name in HAS}
        yield replace(services, crm=replace(services.crm, mappings=mappings))


def test_its_orders_are_billed_and_tie_out(world: World) -> None:
    with smaller(world) as services:
        first = quote_to_cash.run(services)
        assert (first["posted"], first["held"]) == (2, 0)
        # Nobody asks the CRM to show it: it has no place for it.
        contact = world.hand.all("Contacts")[0]["ContactID"]
        world.hand.invoice("MAN-7", {"ContactID": contact}, Decimal("50.00"), date(2026, 3, 15))
        second = quote_to_cash.run(services)
        assert (second["posted"], second["unchanged"]) == (0, 2)
        assert reconciliation.run(services, as_of=datetime.now(UTC).date())["state"] == "tied"
        march = calendar_of(services).period_of(date(2026, 3, 15)).label
        assert fiscal_period.run(services, march)["lines"] == {}
    assert sorted(one["InvoiceNumber"] for one in world.hand.all("Invoices"))[-1] == "MAN-7"
    assert len(world.hand.all("Invoices")) == 3
