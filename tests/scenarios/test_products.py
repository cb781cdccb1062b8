"""Items of the ledger in the CRM, over real HTTP and a real database: product_sync from one end to the other."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from tests.support.products import Shop, item
from tests.support.sandbox import SandboxProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(sandbox: SandboxProcess, engine: Engine) -> Iterator[Shop]:
    shop = Shop(sandbox, engine)
    try:
        yield shop
    finally:
        shop.close()


def test_items_become_products_and_a_second_run_writes_nothing(shop: Shop) -> None:
    (tracked,) = shop.raw_items(item("CHAIR", "50.25", Description="Beech", QuantityOnHand=Decimal("7")))
    shop.items(item("DESK", "200.00"), {**item("PAPER"), "IsSold": False})
    there = shop.insert("Product2", Name="An old name", ProductCode="desk", IsActive=False, Family="Office")

    first = shop.run()

    assert (first["read"], first["posted"], first["not_billable"], first["put_back"]) == (2, 2, 1, 3)
    chair = shop.product("CHAIR")
    assert (chair["Name"], chair["Description"], chair["IsActive"]) == ("Chair", "Beech", True)
    assert (chair["Tieout_Stock__c"], chair["Tieout_Item_Id__c"]) == (Decimal(7), tracked)
    assert shop.prices("CHAIR") == {"GBP": Decimal("50.25")}
    desk = shop.product("DESK")
    assert (desk["Id"], desk["Name"], desk["IsActive"]) == (there, "Desk", True)
    assert shop.prices("DESK") == {"GBP": Decimal("200.00")}
    before = shop.rows("select count(*), max(intent_id) from tieout.intent")
    second = shop.run()
    assert (second["posted"], second["unchanged"], second["put_back"]) == (0, 2, 0)
    assert shop.rows("select count(*), max(intent_id) from tieout.intent") == before
