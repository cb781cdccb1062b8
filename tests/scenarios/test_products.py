"""Items of the ledger in the CRM, over real HTTP and a real database: product_sync from one end to the other."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.support.products import Shop, item
from tests.support.sandbox import SandboxProcess
from tieout.mapping.load import load_link
from tieout.model.settings import PROJECT
from tieout.scenarios import product_sync
from tieout.scenarios.delivering import deliver_side
from tieout.scenarios.demo_books import load_price_list
from tieout.scenarios.demo_products import products_day, setup_products
from tieout.store import dead_letters

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "items, prices, stock and price lists reach the CRM once; edits there are put back",
        scenario="product_sync",
        pair=("salesforce", "xero"),
    ),
]


@pytest.fixture
def shop(sandbox: SandboxProcess, engine: Engine) -> Iterator[Shop]:
    shop = Shop(sandbox, engine)
    try:
        yield shop
    finally:
        shop.close()


def test_items_become_products_and_a_second_run_writes_nothing(shop: Shop) -> None:
    (tracked,) = shop.raw_items(item("CHAIR", "50.25", Description=" Beech,\r\noiled\n", QuantityOnHand=Decimal("7")))
    shop.items({**item("DESK", "200.00"), "Name": "Desk  of  oak "}, {**item("PAPER"), "IsSold": False})
    there = shop.insert("Product2", Name="An old name", ProductCode="desk", IsActive=False, Family="Office")

    first = shop.run()

    assert (first["read"], first["posted"], first["not_billable"], first["put_back"]) == (2, 2, 1, 3)
    chair = shop.product("CHAIR")
    assert (chair["Name"], chair["Description"], chair["IsActive"]) == ("Chair", "Beech,\r\noiled", True)
    assert (chair["Tieout_Stock__c"], chair["Tieout_Item_Id__c"]) == (Decimal(7), tracked)
    assert shop.prices("CHAIR") == {"GBP": Decimal("50.25")}
    desk = shop.product("DESK")
    assert (desk["Id"], desk["Name"], desk["IsActive"]) == (there, "Desk of oak", True)
    assert shop.prices("DESK") == {"GBP": Decimal("200.00")}
    before = shop.rows("select count(*), max(intent_id) from tieout.intent")
    second = shop.run()
    assert (second["posted"], second["unchanged"], second["put_back"]) == (0, 2, 0)
    assert shop.rows("select count(*), max(intent_id) from tieout.intent") == before


def test_a_change_in_the_crm_is_put_back_and_reported_with_both_values(shop: Shop) -> None:
    shop.items(item("CHAIR", "50.25"))
    shop.run()
    chair = shop.product("CHAIR")
    (entry,) = (row["Id"] for row in shop.crm.rows("PricebookEntry", ("Product2Id",)))
    shop.update("Product2", Id=chair["Id"], Name="Sale!", Family="Furniture")
    shop.update("PricebookEntry", Id=entry, UnitPrice=Decimal("1.00"))
    numbers = shop.run()
    assert (numbers["posted"], numbers["unchanged"], numbers["put_back"]) == (1, 0, 2)
    assert shop.product("CHAIR")["Name"] == "Chair"
    assert shop.prices("CHAIR") == {"GBP": Decimal("50.25")}
    (detail,) = (row[0]["fields"] for row in shop.rows(
        "select detail from tieout.audit_event where event = 'master.overwrote' and subject like 'product:%'"
    ))  # fmt: skip
    assert detail == {
        "Name": {"master": "Chair", "overwritten": "Sale!"},
        "GBP UnitPrice": {"master": "50.25", "overwritten": "1"},
    }
    # What finance changes itself is no conflict.
    items = shop.hand.all("Items")
    shop.hand.change("Items", {"ItemID": items[0]["ItemID"], "Code": "CHAIR", "Name": "Armchair",
                               "SalesDetails": {"UnitPrice": Decimal("55.00")}})  # fmt: skip
    changed = shop.run()
    assert changed["put_back"] == 0
    assert (shop.product("CHAIR")["Name"], shop.prices("CHAIR")) == ("Armchair", {"GBP": Decimal("55.00")})


def test_what_is_not_sold_any_more_is_deactivated_and_a_quote_of_it_flagged(shop: Shop) -> None:
    sold, _, gone = shop.items(item("CHAIR", "50.00"), item("DESK", "200.00"), item("LAMP", "9.99"))
    shop.run()
    quotes = {code: _quote(shop, code) for code in ("CHAIR", "DESK", "LAMP")}
    accepted = _quote(shop, "DESK", Status="Accepted")
    shop.hand.change("Items", {"ItemID": sold, "Code": "CHAIR", "IsSold": False})
    shop.hand.delete("Items", gone)
    desk = next(one["ItemID"] for one in shop.hand.all("Items") if one["Code"] == "DESK")
    shop.hand.change("Items", {"ItemID": desk, "Code": "DESK", "SalesDetails": {"UnitPrice": Decimal("210.5")}})

    numbers = shop.run()
    # Xero does not tell of a deleted item: it is seen by the next whole read.
    assert (numbers["cancelled"], numbers["outdated_quotes"]) == (1, 2)
    with shop.engine.begin() as conn:
        conn.execute(sa.text("update tieout.watermark set at = at - interval '25 hours' where kind = 'whole'"))
    numbers = shop.run()
    assert (numbers["read"], numbers["cancelled"], numbers["outdated_quotes"]) == (3, 2, 3)
    assert [shop.product(code)["IsActive"] for code in ("CHAIR", "DESK", "LAMP")] == [False, True, False]
    assert {code: _flag(shop, quotes[code]) for code in quotes} == {
        "CHAIR": (True, "CHAIR is not sold any more"),
        "DESK": (True, "DESK: 200.00 is now 210.50"),
        "LAMP": (True, "LAMP is not sold any more"),
    }
    assert _flag(shop, accepted) == (False, None)
    # Right again: the flag goes. Nothing is written twice.
    shop.hand.change("Items", {"ItemID": desk, "Code": "DESK", "SalesDetails": {"UnitPrice": Decimal("200.00")}})
    assert shop.run()["outdated_quotes"] == 2
    assert _flag(shop, quotes["DESK"]) == (False, None)
    assert shop.rows("select count(*) from tieout.intent where operation = 'quotes.write_back'") == [(4,)]


def test_a_price_list_gives_currencies_dates_and_breaks_and_an_own_price_book(
    sandbox: SandboxProcess, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEOUT_HOME", str(tmp_path))
    shop = Shop(sandbox, engine, price_list="prices.csv", price_book="Wholesale")
    try:
        shop.insert("Pricebook2", Name="Wholesale", IsActive=True)
        currencies = {row["IsoCode"] for row in shop.crm.rows("CurrencyType", ("IsoCode",))}
        assert {"EUR", "USD"} <= currencies and "XAF" not in currencies
        shop.items(item("CHAIR", "50.00"), item("DESK", None), item("LAMP", "9.00"), item("SOFA", "800.00"))
        head = "code,currency,price,valid_from,valid_to,from_quantity\n"
        (tmp_path / "prices.csv").write_text(
            head + "CHAIR,EUR,58.00,2020-01-01,,\nchair,EUR,55.00,,,10\nCHAIR,USD,60,2020-01-01,2020-12-31,\n"
            "DESK,GBP,199.00,,,\nLAMP,XAF,5000,,,\nSOFA,EUR,900,,,\nSOFA,EUR,901,,,\n"
        )
        numbers = shop.run()
        assert (numbers["posted"], numbers["held"]) == (2, 2)
        assert {reason for _, reason, _ in numbers["reasons"]} == {"currency_not_in_crm", "price_list_overlaps"}
        assert shop.prices("CHAIR") == {"GBP": Decimal("50.00"), "EUR": Decimal("58.00")}
        assert shop.prices("CHAIR", "Wholesale") == shop.prices("CHAIR")
        assert shop.product("CHAIR")["Tieout_Quantity_Prices__c"] == "from 10: 55.00 EUR"
        assert shop.prices("DESK") == {"GBP": Decimal("199.00")}
        # The euro price ends: the entry is inactive, and the euro price of another product is no more ours.
        (tmp_path / "prices.csv").write_text(head + "DESK,GBP,199.00,,,\n")
        numbers = shop.run()
        assert (numbers["held"], numbers["posted"]) == (0, 2 + 1)
        assert shop.prices("CHAIR") == shop.prices("CHAIR", "Wholesale") == {"GBP": Decimal("50.00")}
        assert shop.product("CHAIR")["Tieout_Quantity_Prices__c"] is None
        assert shop.run()["unchanged"] == 4
    finally:
        shop.close()


def test_bad_items_wait_with_their_reason_and_the_others_go_on(shop: Shop) -> None:
    begin = "BRACKET-STAINLESS-STEEL-M8-240"
    assert len(begin) == 30
    shop.raw_items(
        item("NO-PRICE", None), item("NEGATIVE", "-1.00"), item("BELOW", QuantityOnHand=Decimal("-2")),
        item("twin"), item("TWIN"), {**item("LONG"), "Name": "n" * 300}, item(begin), item("C" * 31),
        {**item("CUT-1"), "Name": "x" * 50}, {**item("CUT-2"), "Name": "x" * 50}, item("GOOD"),
    )  # fmt: skip
    for tail in ("-LEFT", "-RIGHT"):
        shop.insert("Product2", Name=tail, ProductCode=begin + tail, IsActive=True)
    numbers = shop.run()
    assert (numbers["read"], numbers["posted"], numbers["held"], numbers["quarantined"]) == (11, 1, 9, 1)
    # The two would be one item if finance made items of them.
    assert numbers["cut_shared"] == 2
    found = dict(shop.rows("select source_number, reason from tieout.document where outcome <> 'posted'"))
    assert found == {
        "NO-PRICE": "price_missing", "NEGATIVE": "price_negative", "BELOW": "stock_negative", "twin": "code_shared",
        "TWIN": "code_shared", "LONG": "text_too_long", begin: "code_cut_shared", "C" * 31: "code_too_long",
        "CUT-1": "name_cut_shared", "CUT-2": "name_cut_shared",
    }  # fmt: skip
    letters = shop.rows(
        "select connection, count(*), count(distinct reason) from tieout.dead_letter where stage = 'transform' "
        "and state = 'open' group by 1 order by 1"
    )
    assert letters == [("crm", 2, 1), ("ledger", 9, 7)]
    products = {row["ProductCode"]: row["Id"] for row in shop.crm.rows("Product2", ("ProductCode",))}
    assert products.keys() == {"GOOD", begin + "-LEFT", begin + "-RIGHT"}
    # Sales renames one: the other is what the item stands for.
    shop.update("Product2", Id=products[begin + "-LEFT"], ProductCode="LEFT")
    numbers = shop.run()
    assert (numbers["posted"], numbers["held"], numbers["cut_shared"]) == (1, 8, 0)
    assert shop.product(begin + "-RIGHT")["Tieout_Item_Id__c"] is not None


def test_an_item_made_anew_under_a_deleted_ones_code_waits_until_that_is_known(shop: Shop) -> None:
    (old,) = shop.items(item("CHAIR", "50.00"))
    shop.run()
    before = shop.product("CHAIR")["Id"]
    shop.hand.delete("Items", old)
    shop.items(item("CHAIR", "60.00"))
    numbers = shop.run()
    assert (numbers["held"], numbers["quarantined"]) == (0, 2)
    assert shop.prices("CHAIR") == {"GBP": Decimal("50.00")}
    with shop.engine.begin() as conn:
        conn.execute(sa.text("update tieout.watermark set at = at - interval '25 hours' where kind = 'whole'"))
    numbers = shop.run()
    assert (numbers["posted"], numbers["cancelled"], numbers["held"]) == (1, 1, 0)
    products = {row["Id"]: row["IsActive"] for row in shop.crm.rows("Product2", ("IsActive",))}
    assert len(products) == 2 and products[before] is False
    assert shop.rows("select count(*) from tieout.dead_letter where state = 'open'") == [(0,)]


def test_a_name_that_the_ledger_had_to_cut_stays_whole_in_the_crm(shop: Shop) -> None:
    name, code = "Garden table of oiled teak, extensible, with two leaves", "TABLE-GARDEN-TEAK-EXTENSIBLE-2-LEAVES"
    there = shop.insert("Product2", Name=name, ProductCode=code, IsActive=True)
    shop.items({**item(code[:30], "899.00"), "Name": name[:50]})
    numbers = shop.run()
    assert (numbers["posted"], numbers["put_back"]) == (1, 0)
    product = shop.product(code)
    assert (product["Id"], product["Name"]) == (there, name)
    assert shop.prices(code) == {"GBP": Decimal("899.00")}


def test_lost_answers_make_no_second_product_and_no_second_price(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is due later is left to the next run instead of being slept for.
    monkeypatch.setattr(product_sync, "PATIENCE_SECONDS", 0.0)
    shop.items(*(item(f"P-{number}", f"{number}.50") for number in range(1, 6)))
    shop.sandbox.faults({"system": "salesforce", "path": "*/composite/sobjects*", "fault": "lost_answer",
                         "probability": 1, "times": 2})  # fmt: skip
    for _ in range(4):
        numbers = shop.run()
        shop.later()
    assert (numbers["read"], numbers["unchanged"], numbers["in_flight"], numbers["held"]) == (5, 5, 0, 0)
    assert len(shop.sandbox.hits()) == 2
    assert sorted(row["ProductCode"] for row in shop.crm.rows("Product2", ("ProductCode",))) == [
        f"P-{number}" for number in range(1, 6)
    ]
    assert len(list(shop.crm.rows("PricebookEntry", ("Product2Id",)))) == 5


def test_the_demos_products_and_its_day(shop: Shop) -> None:
    prices = load_price_list()
    shop.link = load_link(PROJECT / "include" / "links" / "demo.yaml").model_copy(
        update={"crm": shop.link.crm, "ledger": shop.link.ledger}
    )
    if not any(row["IsoCode"] == "JPY" for row in shop.crm.rows("CurrencyType", ("IsoCode",))):
        shop.insert("CurrencyType", IsoCode="JPY", ConversionRate=Decimal(190), DecimalPlaces=0, IsActive=True)
    shop.items(*({"Code": one.code, "Name": one.name} for one in prices.products))
    assert setup_products(shop.ledger, shop.sandbox.url) == len(prices.products)
    assert setup_products(shop.ledger, shop.sandbox.url) == 0
    numbers = shop.run()
    assert (numbers["read"], numbers["posted"]) == (len(prices.products), len(prices.products))
    for one in (prices.products[0], prices.products[-1]):
        assert shop.prices(one.code) == {currency: prices.price(one, currency) for currency in prices.factors}
    assert len(products_day(shop.crm_connection, shop.ledger)) == 5
    assert products_day(shop.crm_connection, shop.ledger) == ()
    numbers = shop.run()
    assert (numbers["posted"], numbers["cancelled"], numbers["put_back"]) == (4, 1, 2)


def test_what_the_crm_refuses_waits_until_it_is_mended_and_replayed(shop: Shop) -> None:
    shop.items(item("CHAIR", "50.00"), item("LAMP", "19.99"))
    lamp = shop.insert("Product2", Name="Lamp", ProductCode="LAMP", IsActive=True)
    _family_is_required(shop, active=True)
    numbers = shop.run()
    assert (numbers["read"], numbers["posted"], numbers["held"], numbers["in_flight"]) == (2, 0, 2, 0)
    assert [row["Id"] for row in shop.crm.rows("Product2", ())] == [lamp]
    sends = shop.rows("select sum(sends) from tieout.intent")
    # Nothing is mended, so that nothing is sent again.
    assert shop.run()["held"] == 2
    assert shop.rows("select sum(sends) from tieout.intent") == sends
    assert _letters(shop) == ["CHAIR", "LAMP"]

    # Sales gives the lamp what the rule asks for, and both are replayed: one of them in vain, which is told again.
    shop.update("Product2", Id=lamp, Family="Light")
    _replay(shop)
    assert _letters(shop) == []
    numbers = shop.run()
    assert (numbers["posted"], numbers["held"]) == (1, 1)
    assert (shop.prices("LAMP"), _letters(shop)) == ({"GBP": Decimal("19.99")}, ["CHAIR"])

    _family_is_required(shop, active=False)
    _replay(shop)
    numbers = shop.run()
    assert (numbers["posted"], numbers["unchanged"], numbers["held"]) == (1, 1, 0)
    assert (shop.prices("CHAIR"), _letters(shop)) == ({"GBP": Decimal("50.00")}, [])
    assert len(list(shop.crm.rows("Product2", ()))) == len(list(shop.crm.rows("PricebookEntry", ()))) == 2


def test_each_step_can_be_done_again(shop: Shop) -> None:
    shop.items(item("CHAIR", "50.00"), item("DESK", "200.00"))
    with shop.services() as services:
        run_id = product_sync.start(services)
        for name in product_sync.STEPS:
            getattr(product_sync, name)(services, run_id)
            numbers = getattr(product_sync, name)(services, run_id)
    assert (numbers["read"], numbers["posted"]) == (2, 2)
    assert shop.rows("select count(*), sum(sends) from tieout.intent") == [(4, 4)]


def test_a_run_that_ends_after_it_wrote_is_carried_on_by_the_next(shop: Shop) -> None:
    shop.items(item("CHAIR", "50.00"), item("DESK", "200.00"))
    with shop.services() as services:
        run_id = product_sync.start(services)
        for name in ("extract", "check", "transform"):
            getattr(product_sync, name)(services, run_id)
        # All is in the CRM, and nobody has read it back.
        deliver_side(services, services.crm, UUID(run_id), "killed", 0.0)
    assert shop.rows("select outcome, count(*) from tieout.document group by 1") == [("pending", 2)]
    numbers = shop.run()
    assert (numbers["read"], numbers["posted"], numbers["in_flight"]) == (2, 2, 0)
    assert shop.rows("select count(*), sum(sends) from tieout.intent") == [(4, 4)]


def test_a_field_that_the_link_leaves_to_sales_stays_theirs(shop: Shop) -> None:
    override = {"product.name": {"from": "name", "transform": "collapse_spaces", "master": "crm"}}
    shop.link = shop.link.model_copy(update={"field_overrides": override})
    shop.items(item("CHAIR", "50.00"))
    shop.run()
    shop.update("Product2", Id=shop.product("CHAIR")["Id"], Name="Our chair", Description="Sales' words")
    numbers = shop.run()
    chair = shop.product("CHAIR")
    assert (numbers["put_back"], chair["Name"], chair["Description"]) == (1, "Our chair", None)


def _quote(shop: Shop, code: str, **fields: Any) -> str:
    """A quote of one line at the list price of the day."""
    (book,) = (row["Id"] for row in shop.crm.rows("Pricebook2", ("IsStandard",)) if row["IsStandard"])
    product = shop.product(code)["Id"]
    entry = next(row["Id"] for row in shop.crm.rows("PricebookEntry", ("Product2Id",)) if row["Product2Id"] == product)
    head = {"Name": code, "Pricebook2Id": book, "CurrencyIsoCode": "GBP"}
    deal = shop.insert("Opportunity", **head, StageName="Prospecting", CloseDate="2026-12-31")
    quote = shop.insert("Quote", **head, OpportunityId=deal, **fields)
    # An agreed price is not an outdated one.
    shop.insert("QuoteLineItem", QuoteId=quote, PricebookEntryId=entry, Quantity=1, UnitPrice=Decimal("1.00"))
    return quote


def _family_is_required(shop: Shop, *, active: bool) -> None:
    """An administrator's validation rule, which knows nothing of Tieout."""
    rule = {"object": "Product2", "name": "Family", "when": [{"field": "Family", "blank": True}],
            "message": "A product needs a family.", "active": active}  # fmt: skip
    answer = httpx.post(f"{shop.sandbox.url}/salesforce/_sandbox/metadata", json={"rules": [rule]})
    assert answer.status_code == 200, answer.text


def _replay(shop: Shop) -> None:
    """A person replays every dead letter that is open."""
    with shop.engine.begin() as conn:
        found = conn.execute(sa.text("select dead_letter_id from tieout.dead_letter where state = 'open'")).scalars()
        assert dead_letters.replay(conn, list(found), "a clerk") > 0


def _letters(shop: Shop) -> list[str]:
    """The codes of the items that have an open dead letter of delivery."""
    return [code for (code,) in shop.rows(
        "select distinct d.source_number from tieout.dead_letter l join tieout.document d on d.source_id = l.source_id "
        "where l.state = 'open' and l.stage = 'deliver' order by 1"
    )]  # fmt: skip


def _flag(shop: Shop, quote: str) -> tuple[bool, str | None]:
    names = ("Tieout_Price_Outdated__c", "Tieout_Price_Message__c")
    (row,) = (row for row in shop.crm.rows("Quote", names) if row["Id"] == quote)
    return row[names[0]], row[names[1]]
