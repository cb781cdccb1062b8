"""An order that changes its mind while the ledger refuses, or has not heard: nobody may think that an invoice is gone
that is in force, and nothing may be billed beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import Step, load_scenario
from tests.scenarios.observe import documents
from tests.scenarios.world import World, services_of
from tests.support.sandbox import SandboxProcess
from tieout.scenarios import quote_to_cash

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "a cancelled order whose invoice the ledger does not give up is held, and billed once",
        scenario="quote_to_cash",
        pair=("salesforce", "xero"),
    ),
]


def nothing() -> None:
    """Between planning and delivery."""


@contextmanager
def begun(name: str, sandbox: SandboxProcess, engine: Engine) -> Iterator[World]:
    """The world of a scenario after its first run; its steps have not happened."""
    given, _ = load_scenario(name)
    world = World(given, sandbox, engine)
    try:
        world.begin()
        world.run()
        yield world
    finally:
        world.close()


def happens(world: World, **step: Any) -> None:
    world.happen(Step.model_validate(step))


def run(
    world: World, before_delivery: Callable[[], None] = nothing, steps: Sequence[str] = quote_to_cash.STEPS
) -> None:
    """A run in which something happens between planning and delivery, or which ends early."""
    with services_of(world.link, world._crm, world._ledger, world.engine) as services:
        run_id = quote_to_cash.start(services)
        for name in steps:
            if name == "deliver":
                before_delivery()
            getattr(quote_to_cash, name)(services, run_id)


UNTIL_DELIVERY = quote_to_cash.STEPS[: quote_to_cash.STEPS.index("deliver")]


def test_an_invoice_that_the_ledger_does_not_void_is_held_not_cancelled(
    sandbox: SandboxProcess, engine: Engine
) -> None:
    with begun("cancelled_order_voids_its_invoice", sandbox, engine) as world:
        happens(world, cancel_order="A-1")
        # The void is planned on an unpaid invoice; now the customer pays.
        run(world, lambda: happens(world, pay="A-1", amount=10))
        assert states(engine) == [("invoice", "CONFIRMED"), ("void", "REJECTED")]
        world.run()
        assert outcome(engine) == ("held", "reversal_refused"), "the invoice is in force"


def test_an_order_whose_credit_the_ledger_refuses_is_billed_once(sandbox: SandboxProcess, engine: Engine) -> None:
    with begun("authorised_invoice_is_credited_and_billed_anew", sandbox, engine) as world:
        happens(world, change_order="A-1", set={"quantity": 5})
        # The books are closed while it is under way: the ledger takes no credit note.
        run(world, lambda: happens(world, lock_until="2099-12-31"))
        assert states(engine) == [("credit_memo", "REJECTED"), ("invoice", "CONFIRMED"), ("invoice", "HELD")]
        reopen(world)
        happens(world, change_order="A-1", set={"quantity": 6})
        world.run()
        assert in_force(world) == 1, "what is billed in its place waits for the same credit"
        assert outcome(engine) == ("held", "parent_rejected")
        happens(world, cancel_order="A-1")
        world.run()
        world.run()
        assert in_force(world) == 1
        assert outcome(engine) == ("held", "reversal_refused"), "the first invoice is in force"


def test_a_draft_whose_update_was_not_sent_goes_when_its_order_is_cancelled(
    sandbox: SandboxProcess, engine: Engine
) -> None:
    with begun("draft_invoice_follows_its_order", sandbox, engine) as world:
        happens(world, change_order="A-1", set={"quantity": 7})
        run(world, steps=UNTIL_DELIVERY)  # the ledger is away: nothing is sent
        happens(world, cancel_order="A-1")
        world.run()
        world.run()
        assert outcome(engine) == ("cancelled", "source_cancelled")
        assert [one["status"] for one in documents(world)] == ["DELETED"]


def test_a_draft_whose_update_was_not_sent_follows_the_next_change(sandbox: SandboxProcess, engine: Engine) -> None:
    with begun("draft_invoice_follows_its_order", sandbox, engine) as world:
        happens(world, change_order="A-1", set={"quantity": 7})
        run(world, steps=UNTIL_DELIVERY)
        happens(world, change_order="A-1", set={"quantity": 8})
        world.run()
        assert outcome(engine) == ("posted", None)
        assert [(one["status"], one["lines"][0]["quantity"]) for one in documents(world)] == [("DRAFT", 8)]


def reopen(world: World) -> None:
    world.doors.settings("xero", period_lock_date=None)


def in_force(world: World) -> int:
    return sum(one["status"] in ("AUTHORISED", "DRAFT", "PAID") for one in documents(world) if one["kind"] == "invoice")


def states(engine: Engine) -> list[tuple[Any, ...]]:
    query = "select kind, state from tieout.intent where kind in ('invoice', 'void', 'credit_memo') order by 1, 2"
    with engine.connect() as conn:
        return [tuple(row) for row in conn.execute(sa.text(query))]


def outcome(engine: Engine) -> tuple[Any, ...]:
    with engine.connect() as conn:
        return tuple(conn.execute(sa.text("select outcome, reason from tieout.document where object = 'order'")).one())
