"""Rules of product_sync without a database: prices by day, what waits, what the ledger cut."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.mapping.text import cut
from tieout.model.errors import ConfigurationFault
from tieout.scenarios.billing import Hold
from tieout.scenarios.products import price_list
from tieout.scenarios.products.price_list import Entry
from tieout.scenarios.products.rules import Wanted, choose, same_price, uncut, wanted

HEAD = ",".join(price_list.COLUMNS)
TODAY = date(2026, 6, 15)


def _load(folder: Path, *lines: str) -> dict[str, Entry]:
    path = folder / "prices.csv"
    path.write_text("\n".join((HEAD, *lines)) + "\n", encoding="utf-8")
    return price_list.load(path, TODAY)


def test_both_days_of_a_price_belong_to_its_time(tmp_path: Path) -> None:
    found = _load(
        tmp_path,
        "A,EUR,1.00,,2026-06-14,",
        "A,EUR,2.00,2026-06-15,2026-06-15,",
        "A,EUR,3.00,2026-06-16,,",
        "B,USD,9,,,",
    )
    assert found["a"].prices == {"EUR": Decimal("2.00")}
    assert found["b"].prices == {"USD": Decimal(9)}


def test_quantity_breaks_are_words_and_no_list_price(tmp_path: Path) -> None:
    found = _load(tmp_path, "A,EUR,9.00,,,100", "A,EUR,9.50,,,10", "A,GBP,8.25,,,10")
    assert found["a"].prices == {}
    assert found["a"].quantity_prices == "from 10: 9.50 EUR\nfrom 100: 9.00 EUR\nfrom 10: 8.25 GBP"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A,EUR,ten,,,", "price_list_unreadable"),
        ("A,EUR,NaN,,,", "price_list_unreadable"),
        ("A,EURO,1,,,", "price_list_unreadable"),
        ("A,EUR,1,15.06.2026,,", "price_list_unreadable"),
        ("A,EUR,1,2026-06-15,2026-06-01,", "price_list_unreadable"),
        ("A,EUR,1,,,\na,EUR,2,,,", "price_list_overlaps"),
    ],
)
def test_a_line_that_cannot_be_used_stops_its_product_alone(tmp_path: Path, line: str, reason: str) -> None:
    found = _load(tmp_path, line, "GOOD,EUR,5,,,")
    assert found["a"].fault is not None and found["a"].fault.reason == reason
    assert found["good"].prices == {"EUR": Decimal(5)}
    assert isinstance(wanted(_item(code="A"), found["a"], "GBP", {"GBP", "EUR"}, None), Hold)


def test_a_file_of_another_shape_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("code,price\nA,1\n")
    with pytest.raises(ConfigurationFault, match=r"prices.csv:1: expected the columns code,currency"):
        price_list.load(tmp_path / "prices.csv", TODAY)
    with pytest.raises(ConfigurationFault, match=r"prices.csv:2: expected 6 cells"):
        _load(tmp_path, ",EUR,1,,,")
    with pytest.raises(ConfigurationFault, match="no such file"):
        price_list.find("../prices.csv", [tmp_path / "below"])


def test_the_digest_tells_what_changed_and_nothing_else(tmp_path: Path) -> None:
    one = _load(tmp_path, "A,EUR,1.50,,,", "A,EUR,9,2030-01-01,,")["a"].digest
    assert one == _load(tmp_path, "A,EUR,1.5,2026-01-01,,")["a"].digest
    assert one != _load(tmp_path, "A,EUR,1.51,,,")["a"].digest
    assert one != _load(tmp_path, "A,EUR,1.50,,,", "A,EUR,1,,,5")["a"].digest


def test_a_valid_price_in_the_books_currency_goes_before_the_items_own() -> None:
    found = wanted(_item(), Entry({"GBP": Decimal("7.00")}), "GBP", {"GBP"}, None)
    assert isinstance(found, Wanted) and found.prices == {"GBP": Decimal("7.00")}


@pytest.mark.parametrize(
    ("fields", "listed", "reason"),
    [
        ({"price": None}, None, "price_missing"),
        ({"price": Decimal("-0.01")}, None, "price_negative"),
        ({}, Entry({"EUR": Decimal(-1)}), "price_negative"),
        ({}, Entry({"CHF": Decimal(1)}), "currency_not_in_crm"),
        ({"stock": Decimal(-1)}, None, "stock_negative"),
    ],
)
def test_what_waits_for_a_person(fields: dict[str, Any], listed: Entry | None, reason: str) -> None:
    found = wanted(_item(**fields), listed, "GBP", {"GBP", "EUR"}, None)
    assert isinstance(found, Hold) and found.reason == reason


def test_nothing_left_and_not_counted_are_two_things() -> None:
    none_left = wanted(_item(stock=Decimal(0)), None, "GBP", {"GBP"}, None)
    not_counted = wanted(_item(), None, "GBP", {"GBP"}, None)
    assert isinstance(none_left, Wanted) and none_left.product["stock"] == 0
    assert isinstance(not_counted, Wanted) and not_counted.product["stock"] is None


@given(st.text(min_size=1), st.integers(2, 60))
def test_a_text_that_was_cut_is_the_longer_one(text: str, limit: int) -> None:
    ours = cut(text, limit)
    assert uncut(ours, text, limit) == (text if len(ours) < len(text) and ours != text else ours)
    assert uncut("other", text, limit) == (text if cut(text, limit) == "other" and text != "other" else "other")


def test_a_product_is_chosen_by_its_whole_code_before_one_that_was_cut() -> None:
    begin = "B" * 30
    whole, longer, other = _product("1", begin.lower()), _product("2", begin + "-L"), _product("3", begin + "-R")
    assert choose(begin, [whole, longer, other]) is whole
    assert choose(begin, [longer]) is longer
    assert choose(begin, []) is None
    cut_twice, twice = choose(begin, [longer, other]), choose("AB", [_product("1", "AB"), _product("2", "ab")])
    assert isinstance(cut_twice, Hold) and cut_twice.reason == "code_cut_shared"
    assert isinstance(twice, Hold) and twice.reason == "several_products"
    inactive = _product("1", "AB", active=False)
    assert choose("AB", [inactive, active := _product("2", "AB")]) is active


def test_a_price_that_the_crm_rounded_is_no_difference() -> None:
    assert same_price(Decimal("1.2345"), Decimal("1.23"), "EUR")
    assert same_price(Decimal("1.2345"), Decimal("1.2345"), "EUR")
    assert not same_price(Decimal("1.23"), Decimal("1.2"), "EUR")
    assert not same_price(Decimal("1.2345"), Decimal("1.24"), "EUR")
    assert not same_price(Decimal("10.00"), Decimal(11), "JPY")
    assert not same_price(Decimal(0), None, "EUR")


def _item(**fields: Any) -> dict[str, Any]:
    return {"product_id": "i", "code": "A", "name": "A", "price": Decimal(10), "stock": None, "active": True, **fields}


def _product(id_: str, code: str, *, active: bool = True) -> dict[str, Any]:
    return {"product_id": id_, "code": code, "name": code, "active": active}
