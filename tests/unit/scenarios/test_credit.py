"""Balances, shared limits and the policy file: pure rules, without a database."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.scenarios.credit.balances import OpenItem, Rates, RateUnknown, balance, rates_in_words
from tieout.scenarios.credit.policy import policy_of
from tieout.scenarios.credit.policy_file import COLUMNS, Customer, read
from tieout.store.credit import Limit

TODAY = date(2026, 3, 31)
RATES = Rates("GBP", {"EUR": Decimal("1.25"), "JPY": Decimal("190.5"), "KWD": Decimal("0.39")})


def item(minor: int, currency: str = "GBP", due: date | None = date(2026, 3, 1), *, draft: bool = False) -> OpenItem:
    return OpenItem("d", "c", currency, minor, due, is_draft=draft)


def test_a_balance_is_what_is_due_less_open_credit_and_drafts_stand_apart() -> None:
    items = [item(100_00), item(50_00, due=TODAY), item(-30_00, due=None), item(999_00, draft=True)]
    found = balance(items, "GBP", TODAY, RATES)
    assert (found.open_minor, found.overdue_minor, found.draft_minor) == (120_00, 100_00, 999_00)
    assert balance([], "GBP", TODAY, RATES).open_minor == 0


def test_documents_in_other_currencies_are_added_first_and_converted_once() -> None:
    found = balance([item(1, "EUR"), item(1, "EUR"), item(10_00)], "GBP", TODAY, RATES)
    assert found.open_minor == 10_02, "0.02 EUR are 0.016 GBP; 0.008 twice would be 0.02 as well, once rounded each"
    assert found.converted == ("EUR",)
    assert balance([item(3, "EUR")] * 3, "GBP", TODAY, RATES).open_minor == 7, "0.072, not three times 0.02"
    assert rates_in_words("GBP", found.converted, RATES) == "GBP 1 = EUR 1.25"
    assert rates_in_words("EUR", ("GBP", "JPY"), RATES) == "GBP 1 = EUR 1.25, GBP 1 = JPY 190.5"
    assert rates_in_words("EUR", (), RATES) is None
    with pytest.raises(RateUnknown, match="GBP to CHF"):
        balance([item(1, "CHF")], "GBP", TODAY, RATES)


PLACES = {"GBP": 2, "EUR": 2, "JPY": 0, "KWD": 3}


@given(st.integers(-(10**12), 10**12), st.sampled_from(list(PLACES)), st.sampled_from(list(PLACES)))
def test_conversion_is_that_of_decimal_arithmetic(minor: int, source: str, target: str) -> None:
    amount = Decimal(minor).scaleb(-PLACES[source])
    exact = amount if source == target else amount / RATES.of(source) * RATES.of(target)
    step = Decimal(1).scaleb(-PLACES[target])
    ours = Decimal(RATES.convert(minor, source, target)).scaleb(-PLACES[target])
    # Decimal rounds the quotient at 28 digits: one exactly at the half may fall to either side of it.
    assert abs(ours - exact) <= step / 2 + Decimal("1e-12")
    if abs(abs(exact / step) % 1 - Decimal("0.5")) > Decimal("1e-9"):
        assert ours == exact.quantize(step, ROUND_HALF_UP)


def test_a_child_draws_on_its_parents_limit_and_only_on_one_that_exists() -> None:
    policy = policy_of({
        "parent": Limit("parent", TODAY, "GBP", 500_00),
        "child": Limit("child", TODAY, shares_with="parent"),
        "orphan": Limit("orphan", TODAY, shares_with="nobody"),
        "grandchild": Limit("grandchild", TODAY, shares_with="child"),
    })  # fmt: skip
    assert policy.limits["child"] is policy.limits["parent"]
    assert policy.members_of("child") == ("child", "parent")
    assert set(policy.limits) == {"parent", "child"}, "no limit to share, or one that is itself shared: none"
    assert policy.members_of("orphan") == ("orphan",)


CUSTOMERS = [
    Customer("001000000000001AAA", "Acme Ltd", "A-100", "GBP", None),
    Customer("001000000000002AAA", "Acme Leeds", None, "GBP", "001000000000001AAA"),
    Customer("001000000000003AAA", "Euro GmbH", None, "EUR", "001000000000001AAA"),
    Customer("001000000000004AAA", "Twin", None, "GBP", None),
    Customer("001000000000005AAA", "Twin", None, "GBP", None),
    Customer("001000000000006AAA", "Naoko", None, "JPY", None),
]
HEADER = ",".join(COLUMNS)


def refusals(*lines: str) -> list[tuple[int, str]]:
    found = read([HEADER + "\n", *(f"{line}\n" for line in lines)], CUSTOMERS, {})
    assert not found.limits, "one bad line, and nothing is taken"
    return [(one.line, one.reason) for one in found.refusals]


def test_customers_are_known_by_id_number_and_name() -> None:
    lines = ["001000000000001,GBP,10000.00,2026-01-01,", "acme leeds,,,2026-01-01,A-100", "Naoko,JPY,5000,2026-02-01,"]
    found = read([HEADER + "\n", "\n", *(f"{line}\n" for line in lines)], CUSTOMERS, {})
    assert found.refusals == ()
    assert found.limits == (
        Limit("001000000000001AAA", date(2026, 1, 1), "GBP", 1_000_000, None, 3),
        Limit("001000000000002AAA", date(2026, 1, 1), None, None, "001000000000001AAA", 4),
        Limit("001000000000006AAA", date(2026, 2, 1), "JPY", 5000, None, 5),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Nobody,GBP,1.00,2026-01-01,", "unknown_customer"),
        (",GBP,1.00,2026-01-01,", "unknown_customer"),
        ("Twin,GBP,1.00,2026-01-01,", "ambiguous_customer"),
        ("Acme Ltd,EUR,1.00,2026-01-01,", "limit_in_other_currency"),
        ("Acme Ltd,,1.00,2026-01-01,", "limit_in_other_currency"),
        ("Acme Ltd,GBP,-0.01,2026-01-01,", "negative_limit"),
        ("Acme Ltd,GBP,1.005,2026-01-01,", "no_amount"),
        ("Naoko,JPY,1.5,2026-01-01,", "no_amount"),
        ("Acme Ltd,GBP,NaN,2026-01-01,", "no_amount"),
        ("Acme Ltd,GBP,1e40,2026-01-01,", "no_amount"),
        ('Acme Ltd,GBP,"1,000.00",2026-01-01,', "no_amount"),
        ("Acme Ltd,GBP,,2026-01-01,", "no_amount"),
        ("Acme Ltd,GBP,1.00,01/02/2026,", "no_date"),
        ("Acme Ltd,GBP,1.00,2026-01-01", "wrong_columns"),
        ("Acme Ltd,GBP,1.00,2026-01-01,Twin", "limit_and_share"),
        ("Acme Ltd,,,2026-01-01,Acme Ltd", "shares_with_itself"),
        ("Acme Leeds,,,2026-01-01,Acme Ltd", "no_limit_to_share"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(line: str, reason: str) -> None:
    assert refusals("Naoko,JPY,5000,2026-01-01,", line) == [(3, reason)]


def test_what_is_no_csv_is_refused_from_there_on() -> None:
    assert refusals("Naoko,JPY,5000,2026-01-01,", "Acme Ltd,GBP\rPound") == [(3, "not_csv")]


def test_lines_that_contradict_each_other_are_refused() -> None:
    same = "Acme Ltd,GBP,1.00,2026-01-01,"
    assert refusals(same, "A-100,GBP,2.00,2026-01-01,") == [(3, "duplicate_row")]
    assert refusals(same, "Acme Leeds,,,2026-01-01,Naoko") == [(3, "not_a_parent")]
    assert refusals(same, "Euro GmbH,,,2026-01-01,Acme Ltd") == [(3, "limit_in_other_currency")]
    assert [one.reason for one in read(["customer;limit\n"], CUSTOMERS, {}).refusals] == ["wrong_header"]
