"""An order that is cancelled while a payment comes in: the ledger refuses the void, and nobody may think it is gone."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import Step, load_scenario
from tests.scenarios.world import World, services_of
from tests.support.sandbox import SandboxProcess
from tieout.scenarios import quote_to_cash

pytestmark = pytest.mark.slow


def test_an_invoice_that_the_ledger_does_not_void_is_held_not_cancelled(
    sandbox: SandboxProcess, engine: Engine
) -> None:
    given, _ = load_scenario("cancelled_order_voids_its_invoice")
    world = World(given, sandbox, engine)
    try:
        world.begin()
        world.run()
        for step in given.steps:
            world.happen(step)
        with services_of(world.link, world._crm, world._ledger, engine) as services:
            run_id = quote_to_cash.start(services)
            for name in quote_to_cash.STEPS:
                if name == "deliver":  # the void is planned on an unpaid invoice; now the customer pays
                    world.happen(Step.model_validate({"pay": "A-1", "amount": 10}))
                getattr(quote_to_cash, name)(services, run_id)
        assert _states(engine) == [("invoice", "CONFIRMED"), ("void", "REJECTED")]
        world.run()
        assert _outcome(engine) == ("held", "reversal_refused"), "the invoice is in force"
    finally:
        world.close()


def _states(engine: Engine) -> list[tuple[Any, ...]]:
    query = "select kind, state from tieout.intent where kind in ('invoice', 'void') order by kind"
    with engine.connect() as conn:
        return [tuple(row) for row in conn.execute(sa.text(query))]


def _outcome(engine: Engine) -> tuple[Any, ...]:
    with engine.connect() as conn:
        return tuple(conn.execute(sa.text("select outcome, reason from tieout.document where object = 'order'")).one())
