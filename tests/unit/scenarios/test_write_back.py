"""What goes back to the CRM, with both systems: confirmed facts, once; what finance takes back is taken back there."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from tests.scenarios.world import World
from tests.unit.scenarios.conftest import Begin
from tieout.scenarios import quote_to_cash, write_back

pytestmark = pytest.mark.slow
SHOWN = ("Tieout_Invoice_Status__c", "Tieout_Amount_Due__c", "Tieout_Amount_Paid__c", "Tieout_Paid_On__c")


def shown(world: World) -> list[Any]:
    row = next(row for row in world.crm.rows("Order", SHOWN) if row["Id"] == world.ids["order:A-1"])
    return [row[name] for name in SHOWN]


def written(engine: Engine) -> int:
    with engine.connect() as conn:
        return int(conn.execute(text("select count(*) from tieout.intent where kind = 'write_back'")).scalar_one())


def test_nothing_is_written_where_nothing_changed(begin: Begin, engine: Engine) -> None:
    _, services = begin("order_becomes_invoice")
    run_id = quote_to_cash.run(services)["run_id"]
    assert written(engine) == 2  # the account and the order
    again = write_back.plan(services, UUID(run_id))
    assert again == {"accounts": 0, "documents": 0, "raised_by_hand": 0}
    second = quote_to_cash.run(services)
    assert (second["posted"], second["unchanged"]) == (0, 1)
    assert written(engine) == 2


def test_a_payment_that_is_taken_back_takes_its_date_back(begin: Begin, engine: Engine) -> None:
    world, services = begin("order_becomes_invoice")
    quote_to_cash.run(services)
    assert shown(world) == ["AUTHORISED", Decimal(120), Decimal(0), None]
    invoice = world.hand.all("Invoices")[0]["InvoiceID"]
    world.hand.pay(invoice, Decimal(120), date(2026, 3, 20))
    quote_to_cash.run(services)
    assert shown(world) == ["PAID", Decimal(0), Decimal(120), "2026-03-20"]
    payment = world.hand.all("Payments")[0]["PaymentID"]
    world.hand.change("Payments", {"PaymentID": payment, "Status": "DELETED"})
    quote_to_cash.run(services)
    assert shown(world) == ["AUTHORISED", Decimal(120), Decimal(0), None]
