"""Money against plain Decimal arithmetic: the oracle shares no code with the module."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.model import money

ROWS = settings(max_examples=60, deadline=None)


def decimals(places: int, digits: int = 18) -> st.SearchStrategy[Decimal]:
    bound = 10**digits - 1
    return st.integers(-bound, bound).map(lambda n: Decimal(n).scaleb(-places))


def half_away(value: Decimal, places: int) -> int:
    with localcontext(prec=90):
        return int(value.scaleb(places).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def decimal128(values: list[Decimal | None], precision: int, scale: int) -> pd.Series[Any]:
    return pd.Series(values, dtype=pd.ArrowDtype(pa.decimal128(precision, scale)))


@pytest.mark.parametrize(
    ("currency", "places"),
    [("EUR", 2), ("GBP", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("RSD", 2), ("IQD", 3), ("UYW", 4), ("HUF", 2)],
)
def test_exponent_is_that_of_iso_4217(currency: str, places: int) -> None:
    assert money.exponent(currency) == places


@pytest.mark.parametrize("currency", ["EURO", "eur", "", "XXX", "XAU", "ZZZ", "€"])
def test_unknown_currency_is_named(currency: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        money.exponent(currency)


def test_amount_with_too_many_decimals_is_refused_unless_rounding_is_asked() -> None:
    with pytest.raises(ValueError, match=r"at most 2 decimals for EUR, found 1\.005"):
        money.to_minor(Decimal("1.005"), "EUR")
    assert money.round_to_minor(Decimal("1.005"), "EUR") == 101
    assert money.to_minor(Decimal("1.500"), "EUR") == 150


def test_negative_half_mirrors_positive_half() -> None:
    assert money.round_to_minor(Decimal("-2.165"), "GBP") == -217
    assert money.round_to_minor(Decimal("2.164"), "GBP") == 216


@pytest.mark.parametrize("bad", [Decimal("NaN"), Decimal("Infinity"), Decimal("1E+30")])
def test_no_number_or_too_large_a_number_is_refused(bad: Decimal) -> None:
    with pytest.raises(ValueError):
        money.round_to_minor(bad, "EUR")


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_minor_units_come_back_as_they_went(minor: int, currency: str) -> None:
    assert money.to_minor(money.from_minor(minor, currency), currency) == minor


@ROWS
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), decimals(4, 8)),
            st.one_of(st.none(), decimals(4, 15)),
            st.one_of(st.none(), st.integers(0, 10000).map(lambda n: Decimal(n).scaleb(-2))),
            st.sampled_from([0, 2, 3]),
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_line_is_product_rounded_once(lines: list[tuple[Any, Any, Any, int]], arrow: bool) -> None:
    quantity, price, discount, places = (list(column) for column in zip(*lines, strict=True)) if lines else ([],) * 4
    expected = []
    for q, p, d, e in lines:
        with localcontext(prec=90):
            exact = None if q is None or p is None else q * p * (100 - (d or 0)) / 100
        expected.append(None if exact is None else half_away(exact, e))
    if any(value is not None and abs(value) >= 2**63 for value in expected):
        return
    make = (
        (lambda values, p, s: decimal128(values, p, s))
        if arrow
        else lambda values, p, s: pd.Series(values, dtype=object)
    )
    found = money.line_net_minor(
        make(quantity, 38, 10), make(price, 38, 18), make(discount, 38, 12), pd.Series(places, dtype="Int64")
    )
    assert found.dtype == "Int64"
    assert [None if value is pd.NA else value for value in found] == expected


@pytest.mark.parametrize(
    ("exact", "places", "rounded"),
    [("2.165", 2, 217), ("2.155", 2, 216), ("-2.165", 2, -217), ("-2.155", 2, -216), ("2.164", 2, 216), ("0.5", 0, 1),
     ("1.5", 0, 2), ("2.5", 0, 3), ("-2.5", 0, -3), ("0.0005", 3, 1)],
)  # fmt: skip
def test_halves_in_columns_are_rounded_away_from_zero(exact: str, places: int, rounded: int) -> None:
    amount = pd.Series([Decimal(exact)])
    assert money.line_net_minor(pd.Series([Decimal(1)]), amount, None, places).tolist() == [rounded]
    assert money.line_net_minor(amount, pd.Series([Decimal(2)]), pd.Series([Decimal(50)]), places).tolist() == [rounded]
    assert money.minor_column(amount, places)[0].tolist() == [rounded]


def test_half_a_cent_of_tax_is_rounded_away_from_zero() -> None:
    nets = pd.Series([250, 50, -250, -50], dtype="Int64")
    assert money.tax_minor(nets, Decimal(1)).tolist() == [3, 1, -3, -1]


def test_three_factors_of_more_than_38_digits_are_exact() -> None:
    quantity, price, discount = Decimal("0.123456789012345678"), Decimal("9999999999999999.99"), Decimal("33.333333333")
    with localcontext(prec=90):
        expected = half_away(quantity * price * (100 - discount) / 100, 2)
    for make in (lambda value: pd.Series([value]), lambda value: decimal128([value], 38, 18)):
        assert money.line_net_minor(make(quantity), make(price), make(discount), 2).tolist() == [expected]


def test_a_product_beyond_exact_arithmetic_is_an_error() -> None:
    long = pd.Series([Decimal("1." + "1" * 37)])
    with pytest.raises(ValueError, match="beyond exact arithmetic"):
        money.line_net_minor(long, long, long, 2)


def test_line_of_eighteen_digits_is_exact() -> None:
    price = pd.Series([Decimal("9999999999999999.99")])
    found = money.line_net_minor(pd.Series([Decimal(1)]), price, pd.Series([Decimal("12.5")]), 2)
    assert found.tolist() == [874999999999999999]


def test_line_beyond_64_bits_is_an_error_and_no_wrapped_figure() -> None:
    price = pd.Series([Decimal("9999999999999999.99")])
    with pytest.raises(ValueError, match="64 bits"):
        money.line_net_minor(pd.Series([Decimal(1000)]), price, None, 2)


def test_floats_are_refused() -> None:
    with pytest.raises(TypeError, match="floats"):
        money.line_net_minor(pd.Series([1.5]), pd.Series([Decimal(1)]), None, 2)


def test_rows_keep_their_index_even_when_it_repeats() -> None:
    found = money.line_net_minor(
        pd.Series([Decimal(1), None], index=[7, 7]), pd.Series([Decimal(2), Decimal(3)], index=[7, 7]), None, 2
    )
    assert found.index.tolist() == [7, 7]
    assert found.isna().tolist() == [False, True]


@ROWS
@given(
    st.lists(st.one_of(st.none(), st.integers(-(10**18), 10**18)), max_size=20),
    st.integers(0, 100000).map(lambda n: Decimal(n).scaleb(-4)),
)
def test_tax_is_net_times_rate_rounded_once(nets: list[int | None], rate: Decimal) -> None:
    found = money.tax_minor(pd.Series(nets, dtype="Int64"), rate)
    expected = []
    for net in nets:
        with localcontext(prec=90):
            expected.append(None if net is None else half_away(Decimal(net) * rate / 100, 0))
    assert [None if value is pd.NA else value for value in found] == expected
    for net, value in zip(nets, expected, strict=True):
        if net is not None:
            assert money.tax_minor(net, rate) == value


def test_tax_as_in_xeros_own_example() -> None:
    nets = pd.Series([2506, 2561, 2563], dtype="Int64")
    assert money.tax_minor(nets, Decimal(15)).sum() == 1144


@ROWS
@given(st.lists(st.one_of(st.none(), decimals(4, 16)), max_size=20), st.sampled_from([0, 2, 3, 4]))
def test_minor_column_rounds_and_says_where(amounts: list[Decimal | None], places: int) -> None:
    minor, inexact = money.minor_column(pd.Series(amounts, dtype=object), places)
    expected = [None if amount is None else half_away(amount, places) for amount in amounts]
    assert [None if value is pd.NA else value for value in minor] == expected
    assert inexact.tolist() == [
        amount is not None and Decimal(value).scaleb(-places) != amount
        for amount, value in zip(amounts, (value or 0 for value in expected), strict=True)
    ]
    back = money.decimal_objects(money.amount_column(minor, places))
    assert [None if pd.isna(value) else half_away(value, places) for value in back] == expected


def test_columns_of_several_currencies() -> None:
    amounts = pd.Series([Decimal("1.5"), Decimal("150"), Decimal("1.234"), Decimal(1)], index=list("abcd"))
    minor, inexact = money.minor_column(amounts, pd.Series([2, 0, 3, None], index=list("abcd"), dtype="Int64"))
    assert minor.tolist() == [150, 150, 1234, pd.NA]
    assert not inexact.any()
    assert money.decimal_objects(money.amount_column(minor[:3], pd.Series([2, 0, 3], index=list("abc")))).tolist() == [
        Decimal("1.5"), Decimal(150), Decimal("1.234"),
    ]  # fmt: skip


weights = st.lists(decimals(3, 9).map(abs), min_size=1, max_size=12).filter(lambda values: sum(values) > 0)


@given(st.integers(-(10**18), 10**18), weights)
def test_parts_sum_to_the_total_and_are_near_their_share(total: int, shares: list[Decimal]) -> None:
    parts = money.apportion(total, shares)
    assert sum(parts) == total
    with localcontext(prec=90):
        for part, share in zip(parts, shares, strict=True):
            assert abs(part - total * share / sum(shares)) < 1


@given(st.integers(-(10**6), 10**6), weights, st.randoms(use_true_random=False))
def test_parts_do_not_depend_on_the_order_of_the_weights(total: int, shares: list[Decimal], random: Any) -> None:
    shuffled = random.sample(shares, len(shares))
    one = sorted(zip(shares, money.apportion(total, shares), strict=True))
    two = sorted(zip(shuffled, money.apportion(total, shuffled), strict=True))
    assert one == two


@pytest.mark.parametrize("total", [2, 10, -2])
def test_tie_of_remainders_goes_to_the_heavier_weight(total: int) -> None:
    # 2 by 1:3 is 0.5 and 1.5.
    assert money.apportion(total, [1, 3]) == money.apportion(total, [3, 1])[::-1]
    assert money.apportion(2, [1, 3]) == [0, 2]


def test_equal_weights_share_the_remainder_from_the_first_on() -> None:
    assert money.apportion(5, [1, 1, 1]) == [2, 2, 1]


@pytest.mark.parametrize("bad", [[], [0, 0], [1, -1], [2, -1]])
def test_weights_that_divide_nothing_are_refused(bad: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        money.apportion(100, bad)


def test_decimal_column_keeps_every_digit() -> None:
    values = [Decimal("123456789012345678.90"), None, Decimal("-0.000001")]
    column = money.decimal_column(pd.Series(values))
    assert column.dtype == pd.ArrowDtype(pa.decimal128(38, 6))
    assert [None if pd.isna(value) else value for value in money.decimal_objects(column)] == values
    with pytest.raises(ValueError, match="decimals"):
        money.decimal_column(pd.Series(values), scale=2)


@given(
    decimals(4, 18), decimals(6, 18), st.one_of(st.none(), st.integers(0, 10000).map(lambda n: Decimal(n).scaleb(-2)))
)
def test_one_line_is_what_its_column_says(quantity: Decimal, price: Decimal, discount: Decimal | None) -> None:
    with localcontext(prec=90):
        expected = half_away(quantity * price * (100 - (discount or 0)) / 100, 2)
    if abs(expected) >= 2**63:
        with pytest.raises(ValueError, match="64 bits"):
            money.line_net(quantity, price, discount, "EUR")
    else:
        assert money.line_net(quantity, price, discount, "EUR") == expected


def test_inverse_rate_is_rounded_once() -> None:
    assert money.inverse_rate(Decimal("0.85"), 6) == Decimal("1.176471")
