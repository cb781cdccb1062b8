"""Prices, lines and sums; the life of orders, opportunities and quotes; merges."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.sandbox_salesforce.conftest import Api, Shop


def test_orders_are_numbered(api: Api, shop: Shop) -> None:
    assert [api.get("Order", shop.order())["OrderNumber"] for _ in range(3)] == ["00000001", "00000002", "00000003"]


def test_an_order_sums_its_lines_and_moves_its_time_stamp(api: Api, shop: Shop) -> None:
    order = shop.order()
    assert str(api.get("Order", order)["TotalAmount"]) == "0.0"
    api.state.settings["clock_offset_seconds"] = 5
    first, second = shop.line(order, 3, "10.125"), shop.line(order, "1.5", "0.333333")
    assert str(api.get("OrderItem", first)["UnitPrice"]) == "10.125"
    assert str(api.get("OrderItem", first)["TotalPrice"]) == "30.38", "half up"
    assert str(api.get("OrderItem", second)["TotalPrice"]) == "0.5"
    after = api.get("Order", order)
    assert str(after["TotalAmount"]) == "30.88"
    assert after["SystemModstamp"] > after["CreatedDate"]
    api.state.settings["clock_offset_seconds"] = 10
    api.change("OrderItem", first, Description="the sum stays")
    assert api.get("Order", order)["SystemModstamp"] == after["SystemModstamp"]
    api.call("DELETE", f"sobjects/OrderItem/{first}")
    last = api.get("Order", order)
    assert str(last["TotalAmount"]) == "0.5" and last["SystemModstamp"] > after["SystemModstamp"]


def test_amounts_have_the_decimals_of_their_currency(api: Api) -> None:
    yen = Shop(api, "JPY")
    order = yen.order()
    line = yen.line(order, 3, "10.5")
    assert str(api.get("OrderItem", line)["UnitPrice"]) == "10.5"
    assert str(api.get("OrderItem", line)["TotalPrice"]) == "32.0"
    assert api.get("OrderItem", line)["CurrencyIsoCode"] == "JPY"
    assert str(api.get("Order", order)["TotalAmount"]) == "32.0"


def test_an_order_is_activated_only_with_lines(api: Api, shop: Shop) -> None:
    order = shop.order()
    status, code, message = api.refusal("PATCH", f"sobjects/Order/{order}", {"Status": "Activated"})
    assert (status, code, message) == (400, "FAILED_ACTIVATION", "An order must have at least one product.")
    shop.line(order)
    api.change("Order", order, Status="Activated")
    record = api.get("Order", order)
    assert record["StatusCode"] == "Activated" and record["ActivatedDate"] and record["ActivatedById"]
    fields = {"AccountId": shop.account, "EffectiveDate": "2026-01-01", "Status": "Activated"}
    assert api.refusal("POST", "sobjects/Order", fields)[1] == "FAILED_ACTIVATION"
    assert api.refusal("DELETE", f"sobjects/Account/{shop.account}")[1] == "DELETE_FAILED"
    api.change("Order", order, Status="Draft")
    assert api.get("Order", order)["ActivatedDate"] is None


def test_a_line_needs_a_price_of_the_order_s_book_and_currency(api: Api, shop: Shop) -> None:
    wrong = {"Pricebook2Id": shop.book, "Product2Id": shop.product, "CurrencyIsoCode": "EUR"}
    euro = api.create("PricebookEntry", **wrong, UnitPrice=9)
    body = {"OrderId": shop.order(), "PricebookEntryId": euro, "Quantity": 1, "UnitPrice": 9}
    status, code, message = api.refusal("POST", "sobjects/OrderItem", body)
    assert (status, code) == (400, "FIELD_INTEGRITY_EXCEPTION") and "currency code" in message
    bare = api.create("Order", AccountId=shop.account, EffectiveDate="2026-01-01", Status="Draft")
    body = {"OrderId": bare, "PricebookEntryId": shop.entry, "Quantity": 1}
    assert "different pricebook" in api.refusal("POST", "sobjects/OrderItem", body)[2]


def test_currency_is_fixed_once_there_are_lines(api: Api, shop: Shop) -> None:
    order = shop.order()
    api.change("Order", order, CurrencyIsoCode="EUR")
    api.change("Order", order, CurrencyIsoCode="USD")
    shop.line(order)
    body = {"CurrencyIsoCode": "EUR"}
    assert api.refusal("PATCH", f"sobjects/Order/{order}", body)[1] == "FIELD_INTEGRITY_EXCEPTION"


def test_prices(api: Api, shop: Shop) -> None:
    again = {"Pricebook2Id": shop.book, "Product2Id": shop.product, "UnitPrice": 5}
    assert api.refusal("POST", "sobjects/PricebookEntry", again)[1] == "DUPLICATE_VALUE"
    book = api.create("Pricebook2", Name="Partners", IsActive=True)
    other = api.create("Product2", Name="No standard price")
    lonely = {"Pricebook2Id": book, "Product2Id": other, "UnitPrice": 5}
    assert api.refusal("POST", "sobjects/PricebookEntry", lonely)[1] == "STANDARD_PRICE_NOT_DEFINED"
    entry = api.create("PricebookEntry", Pricebook2Id=book, Product2Id=shop.product, UnitPrice="1.123456")
    record = api.get("PricebookEntry", entry)
    assert (record["Name"], record["ProductCode"], str(record["UnitPrice"])) == ("Widget", "W-1", "1.123456")


def test_an_opportunity_follows_its_stage_and_its_lines(api: Api, shop: Shop) -> None:
    deal = api.create(
        "Opportunity", Name="Deal", AccountId=shop.account, StageName="Prospecting", CloseDate="2026-02-01", Amount=100
    )
    record = api.get("Opportunity", deal)
    assert (record["Probability"], record["ExpectedRevenue"]) == (Decimal(10), Decimal(10))
    assert record["IsClosed"] is False and record["HasOpportunityLineItem"] is False
    line = {"OpportunityId": deal, "PricebookEntryId": shop.entry, "Quantity": 3, "UnitPrice": "9.99", "Discount": 10}
    item = api.get("OpportunityLineItem", api.create("OpportunityLineItem", **line))
    assert (str(item["Subtotal"]), str(item["TotalPrice"])) == ("29.97", "26.97")
    api.change("Opportunity", deal, StageName="Closed Won", Amount=1)
    record = api.get("Opportunity", deal)
    assert str(record["Amount"]) == "26.97", "with lines, an amount that is sent is not looked at"
    assert record["IsClosed"] and record["IsWon"] and record["Probability"] == 100
    assert record["Pricebook2Id"] == shop.book and record["HasOpportunityLineItem"]


def test_a_quote_sums_its_lines_tax_and_shipping(api: Api, shop: Shop) -> None:
    deal = api.create("Opportunity", Name="D", AccountId=shop.account, StageName="Prospecting", CloseDate="2026-02-01")
    quote = api.create("Quote", Name="Q", OpportunityId=deal, Tax="2.50", ShippingHandling=5)
    line = {"QuoteId": quote, "PricebookEntryId": shop.entry, "UnitPrice": 10, "Discount": 50}
    first = api.create("QuoteLineItem", **line, Quantity=2)
    record = api.get("Quote", quote)
    assert record["QuoteNumber"] == "00000001" and record["AccountId"] == shop.account
    assert str(api.get("QuoteLineItem", first)["TotalPrice"]) == "10.0"
    assert [str(record[name]) for name in ("Subtotal", "Discount", "TotalPrice", "GrandTotal")] == [
        "20.0",
        "50.0",
        "10.0",
        "17.5",
    ]
    assert record["LineItemCount"] == 1
    api.change("Quote", quote, Tax=0)
    assert str(api.get("Quote", quote)["GrandTotal"]) == "15.0"


def test_merged_accounts(api: Api, shop: Shop) -> None:
    order = shop.order()
    before = api.get("Order", order)["SystemModstamp"]
    master = api.create("Account", Name="Acme Corporation")
    api.state.settings["clock_offset_seconds"] = 5
    api.door("merge", {"object": "Account", "master": master, "losers": [shop.account]})
    record = api.get("Order", order)
    assert record["AccountId"] == master and record["SystemModstamp"] > before
    gone = api.answer("SELECT Id, MasterRecordId, IsDeleted FROM Account WHERE IsDeleted = true", "queryAll")["records"]
    assert [(one["Id"], one["MasterRecordId"]) for one in gone] == [(shop.account, master)]


def test_raw_records_are_not_checked(api: Api, shop: Shop) -> None:
    order = shop.order()
    raw = {"Id": order, "TotalAmount": 999.999, "SystemModstamp": "2020-01-01T00:00:00Z", "CurrencyIsoCode": "ZZZ"}
    assert api.door("raw/Order", raw) == {"ids": [order]}
    record = api.get("Order", order)
    assert record["SystemModstamp"] == "2020-01-01T00:00:00.000+0000"
    assert (str(record["TotalAmount"]), record["CurrencyIsoCode"]) == ("999.999", "ZZZ")
    same = [{"Name": "x" * 300, "SystemModstamp": "2021-01-01T00:00:00Z"}, {"SystemModstamp": "2021-01-01T00:00:00Z"}]
    ids = api.door("raw/Account", {"records": same})["ids"]
    assert api.column("SELECT Id FROM Account WHERE SystemModstamp = 2021-01-01T00:00:00Z ORDER BY Id") == sorted(ids)


def test_long_products_are_exact(api: Api, shop: Shop) -> None:
    line = shop.line(shop.order(), "9999999999.99", "123456.123456")
    # 9999999999.99 x 123456.123456 = 1234561234558765.43876544, whose 22 digits a float does not hold
    assert str(api.get("OrderItem", line)["TotalPrice"]) == "1234561234558765.44"


@pytest.mark.parametrize("number", ["1E400", "99999999999999999999999999", "9" * 45, "9" * 70])
def test_numbers_beyond_any_field_are_refused(api: Api, number: str) -> None:
    content = f'{{"Name": "A", "AnnualRevenue": {number}}}'.encode()
    answer = api.client.post("/services/data/v59.0/sobjects/Account", content=content)
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] in ("JSON_PARSER_ERROR", "NUMBER_OUTSIDE_VALID_RANGE")
