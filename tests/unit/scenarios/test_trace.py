"""Everything that is known of one record, whichever of its ids or numbers somebody has in hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from tests.unit.scenarios.conftest import Begin
from tieout.scenarios import quote_to_cash
from tieout.scenarios.trace import trace

pytestmark = pytest.mark.slow


def test_any_id_or_number_leads_to_the_whole_story(begin: Begin, engine: Engine) -> None:
    world, services = begin("order_becomes_invoice")
    quote_to_cash.run(services)
    with engine.connect() as conn:
        intent = conn.execute(text("select * from tieout.intent where kind = 'invoice'")).mappings().one()
        order = conn.execute(text("select * from tieout.document where object = 'order'")).mappings().one()
    stories = {
        key: [(step.step, step.title) for step in trace(engine, key)]
        for key in (intent["source_id"], order["source_number"], intent["doc_uid"], intent["vendor_id"],
                    intent["vendor_number"])
    }  # fmt: skip
    whole = stories[intent["source_id"]]
    assert {step for step, _ in whole} == {"record", "judgement", "intent", "attempt", "link"}
    titles = [title for _, title in whole]
    assert f"salesforce: order {world.ids['order:A-1']}" in titles
    assert f"xero: invoice {intent['vendor_id']}" in titles
    assert "invoice revision 1: invoices.create is CONFIRMED" in titles
    assert all(story == whole for story in stories.values())


def test_steps_are_in_order_of_time_and_the_payment_is_among_them(begin: Begin, engine: Engine) -> None:
    world, services = begin("order_becomes_invoice")
    quote_to_cash.run(services)
    world.hand.pay(world.hand.all("Invoices")[0]["InvoiceID"], Decimal(50), date(2026, 3, 20))
    quote_to_cash.run(services)
    steps = trace(engine, world.ids["order:A-1"])
    times = [step.at for step in steps if step.at is not None]
    assert times == sorted(times)
    assert [step.title.split()[:2] for step in steps if "payment" in step.title] == [["xero:", "payment"]]
    bodies = [step.facts["body"] for step in steps if "body" in step.facts]
    assert any('"UnitAmount":50' in body for body in bodies)


def test_what_nobody_knows_is_an_empty_story(begin: Begin, engine: Engine) -> None:
    _, services = begin("order_becomes_invoice")
    quote_to_cash.extract(services, quote_to_cash.start(services))
    assert trace(engine, "INV-99999999") == []


def test_a_record_that_was_only_staged_has_its_image(begin: Begin, engine: Engine) -> None:
    world, services = begin("order_becomes_invoice")
    quote_to_cash.extract(services, quote_to_cash.start(services))
    (step,) = trace(engine, world.ids["order:A-1"])
    assert step.step == "record" and step.facts["_source_id"] == world.ids["order:A-1"]
