"""The demo's books before they are loaded: the same everywhere, complete, and dirty in each of the named ways."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tieout.scenarios.crm_load import Ref
from tieout.scenarios.customers import normalised_name
from tieout.scenarios.demo_books import DemoBooks
from tieout.scenarios.demo_data import CUSTOMERS, LOAD_ORDER, ORDERS, generate
from tieout.scenarios.demo_dirt import CUSTOMER_DIRT, order_dirt

TODAY = date(2026, 3, 31)


@pytest.fixture(scope="module")
def books() -> DemoBooks:
    return generate(20, TODAY)


def test_same_seed_and_day_give_the_same_books(books: DemoBooks) -> None:
    assert generate(20, TODAY) == books
    assert generate(21, TODAY).expectations != books.expectations


def test_another_day_moves_the_dates_and_not_the_amounts(books: DemoBooks) -> None:
    later = generate(20, TODAY + timedelta(days=40))
    assert [(e.order, e.outcome, e.net) for e in later.expectations.values()] == [
        (e.order, e.outcome, e.net) for e in books.expectations.values()
    ]


def test_sizes_are_those_of_the_task(books: DemoBooks) -> None:
    assert len(books.records["Account"]) == CUSTOMERS
    assert len(books.records["Order"]) == ORDERS == len(books.expectations)
    assert {record.fields["CurrencyIsoCode"] for record in books.records["Order"]} == {"GBP", "EUR", "USD", "JPY"}
    lines = Counter(record.fields["OrderId"] for record in books.records["OrderItem"])
    assert set(lines.values()) == {1, 2, 3, 4, 5, 6}


def test_every_reference_names_a_record_that_is_loaded_before(books: DemoBooks) -> None:
    known = {"standard-price-book"}
    for name in LOAD_ORDER:
        for record in books.records[name]:
            wanted = {value.key for value in record.fields.values() if isinstance(value, Ref)}
            assert wanted <= known, f"{record.key} names {wanted - known}"
        known |= {record.key for record in books.records[name]}
    assert len(known) == 1 + sum(len(records) for records in books.records.values()), "a key is used twice"


def test_each_kind_of_dirt_is_there_and_says_what_becomes_of_it(books: DemoBooks) -> None:
    found = {e.dirt for e in books.expectations.values() if e.dirt}
    assert {dirt.kind for dirt in order_dirt(books.locked_until)} | set(CUSTOMER_DIRT) <= found
    for expected in books.expectations.values():
        assert (expected.net is None) == (expected.outcome != "posted")


def test_a_clean_order_is_the_sum_of_its_rounded_lines_and_freight(books: DemoBooks) -> None:
    lines: dict[str, list[Decimal]] = {}
    for record in books.records["OrderItem"]:
        if "QuoteLineItemId" in record.fields:
            continue
        discount = record.fields["Discount_Percent__c"] or Decimal(0)
        exact = record.fields["Quantity"] * record.fields["UnitPrice"] * (1 - discount / 100)
        lines.setdefault(record.fields["OrderId"].key, []).append(exact)
    checked = 0
    for order in books.records["Order"]:
        expected = books.expectations[order.key]
        if expected.net is None or "QuoteId" in order.fields:
            continue
        unit = Decimal(1) if order.fields["CurrencyIsoCode"] == "JPY" else Decimal("0.01")
        net = sum((exact.quantize(unit, "ROUND_HALF_UP") for exact in lines[order.key]), Decimal(0))
        assert expected.net == net + (order.fields["Freight__c"] or 0)
        checked += 1
    assert checked > 350


def test_quoted_orders_are_billed_at_the_accepted_price_and_not_at_their_own(books: DemoBooks) -> None:
    offers = {record.key: record.fields for record in books.records["QuoteLineItem"]}
    nets: dict[str, Decimal] = {}
    differs = 0
    for line in books.records["OrderItem"]:
        if "QuoteLineItemId" not in line.fields:
            continue
        offer = offers[line.fields["QuoteLineItemId"].key]
        differs += offer["UnitPrice"] != line.fields["UnitPrice"]
        order = books.record("Order", line.fields["OrderId"].key)
        unit = Decimal(1) if order.fields["CurrencyIsoCode"] == "JPY" else Decimal("0.01")
        exact = line.fields["Quantity"] * offer["UnitPrice"] * (100 - (offer["Discount"] or 0)) / 100
        nets[order.key] = nets.get(order.key, order.fields["Freight__c"] or Decimal(0))
        nets[order.key] += exact.quantize(unit, "ROUND_HALF_UP")
    assert differs > 50
    assert {key: books.expectations[key].net for key in nets} == nets


def test_only_the_meant_accounts_share_a_tax_id_and_no_two_names_are_one_customer(books: DemoBooks) -> None:
    tax_ids = Counter(record.fields["Tax_Id__c"] for record in books.records["Account"] if record.fields["Tax_Id__c"])
    assert [number for number, count in tax_ids.items() if count > 1] == ["GB980780684"]
    names = Counter(normalised_name(record.fields["Name"]) for record in books.records["Account"])
    assert [name for name, count in names.items() if count > 1] == []


def test_clean_orders_are_dated_in_the_open_period(books: DemoBooks) -> None:
    for order in books.records["Order"]:
        day = date.fromisoformat(order.fields["EffectiveDate"])
        locked = books.expectations[order.key].dirt == "period_locked"
        assert (day <= books.locked_until) == locked
        assert day <= TODAY
