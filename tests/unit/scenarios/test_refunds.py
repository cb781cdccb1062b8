"""What was paid back on credit notes: whose it is, what the CRM and the trace show of it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.scenarios.format import Step
from tests.scenarios.world import World
from tests.unit.scenarios.conftest import Begin
from tieout.scenarios import quote_to_cash
from tieout.scenarios.refunds import Refund, Refunds
from tieout.scenarios.trace import trace

FIELDS = ("Tieout_Refunded__c", "Tieout_Refunded_On__c", "Tieout_Message__c")
DAY = date(2026, 3, 25)


def shown(world: World, name: str = "A-1") -> list[Any]:
    row = next(row for row in world.crm.rows("Order", FIELDS) if row["Id"] == world.ids[f"order:{name}"])
    return [row[field] for field in FIELDS]


def test_refunds_of_one_currency_add_up_and_the_last_day_counts() -> None:
    both = Refunds((Refund("CN-1", "GBP", 2000, DAY), Refund("CN-2", "GBP", 550, date(2026, 3, 1))))
    assert both.shown("GBP") == {"refunded_minor": 2550, "refunded_on": DAY, "message": None}


def test_a_refund_in_another_currency_or_of_several_orders_is_named_and_not_added() -> None:
    mixed = Refunds(
        (
            Refund("CN-1", "GBP", 2000, DAY),
            Refund("CN-3", "EUR", 700, DAY),
            Refund("CN-2", "GBP", 900, date(2026, 3, 29), shared=True),
        )
    )
    assert mixed.shown("GBP") == {
        "refunded_minor": 2000,
        "refunded_on": DAY,
        "message": "Also refunded, see the ledger: credit note CN-2, CN-3",
    }


def test_nothing_refunded_shows_nothing() -> None:
    assert Refunds(()).shown("GBP") == {"refunded_minor": None, "refunded_on": None, "message": None}


@pytest.mark.slow
def test_a_refund_is_in_the_crm_and_in_the_trace_until_it_is_taken_back(begin: Begin, engine: Engine) -> None:
    world, services = begin("order_becomes_invoice")
    quote_to_cash.run(services)
    (invoice,) = world.hand.all("Invoices")
    world.hand.pay(invoice["InvoiceID"], Decimal(120), DAY)
    world.happen(Step(give_back="A-1", amount=Decimal(20), date=DAY))
    quote_to_cash.run(services)
    assert shown(world) == [Decimal(20), "2026-03-25", None]
    (note,) = world.hand.all("CreditNotes")
    by_order = [step.title for step in trace(engine, world.ids["order:A-1"])]
    payments = {one["PaymentID"]: one for one in world.hand.all("Payments")}
    assert {f"xero: payment {id_}" for id_ in payments} <= set(by_order) and len(payments) == 2
    assert f"xero: credit_memo {note['CreditNoteID']}" in by_order
    assert [step.title for step in trace(engine, invoice["InvoiceNumber"])] == by_order

    written = quote_to_cash.run(services)
    assert written["posted"] == 0 and shown(world) == [Decimal(20), "2026-03-25", None]
    (refund,) = (id_ for id_, one in payments.items() if one["PaymentType"] == "ARCREDITPAYMENT")
    world.hand.change("Payments", {"PaymentID": refund, "Status": "DELETED"})
    quote_to_cash.run(services)
    assert shown(world) == [None, None, None]


@pytest.mark.slow
def test_a_credit_note_of_two_orders_is_named_on_both_and_added_to_neither(begin: Begin) -> None:
    world, services = begin("unknown_customer_is_created")
    quote_to_cash.run(services)
    bills = world.hand.all("Invoices")
    note = world.hand.credit(bills[0]["Contact"]["ContactID"], Decimal(50), DAY, "GBP", "ZERORATEDOUTPUT")
    for bill in bills:
        world.hand.allocate(note["CreditNoteID"], bill["InvoiceID"], Decimal(10), DAY)
    world.hand.pay_back(note["CreditNoteID"], Decimal(30), DAY)
    quote_to_cash.run(services)
    told = [None, None, f"Also refunded, see the ledger: credit note {note['CreditNoteNumber']}"]
    assert [shown(world, "A-1"), shown(world, "A-2")] == [told, told]
