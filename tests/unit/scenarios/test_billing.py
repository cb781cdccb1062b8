"""What is billed for an order: lines, quoted prices, splits, tax codes, locked periods."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.model.link import Link, Policies, Split, SplitPart
from tieout.model.money import round_to_minor
from tieout.scenarios.billing import Bill, Closed, Hold, Rules, bill, first_open, posting_date

LINK = Link(
    name="acme", crm="sf", crm_system="salesforce", ledger="xero", ledger_system="xero", base_currency="GBP",
    revenue_account="200", tax_codes={"standard": "OUTPUT2", "zero": "ZERORATEDOUTPUT"},
    product_accounts={"SUPPORT": "210"},
    policies=Policies(default_tax_code="standard", freight_product_code="FREIGHT"),
)  # fmt: skip
RULES = Rules(
    link=LINK, items=dict.fromkeys(("CHAI", "SUPPORT", "FREIGHT", "LICENCE"), "item"),
    currencies=frozenset({"GBP", "EUR", "JPY"}),
    tax_rates={"OUTPUT2": Decimal(20), "ZERORATEDOUTPUT": Decimal(0)}, aliases={"GTXPro": "CHAI"}, locked_until=None,
    today=date(2026, 5, 1),
)  # fmt: skip
ORDER = {
    "order_id": "801A", "number": "00000100", "account_id": "001A", "currency": "GBP", "order_date": date(2026, 3, 31),
    "total_minor": 10000, "freight_minor": None, "expected_tax_minor": 2000, "exchange_rate": None,
    "product_code": None, "reference": "PO 7",
}  # fmt: skip
LINE = {
    "line_id": "802A", "position": 1, "product_code": "CHAI", "description": "Chai", "quantity": Decimal(3),
    "unit_price": Decimal("9.995"), "discount_percent": Decimal(5), "tax_code": "standard",
}  # fmt: skip


def policies(**changes: object) -> Rules:
    return replace(RULES, link=LINK.model_copy(update={"policies": LINK.policies.model_copy(update=changes)}))


def billed(order=ORDER, lines=(LINE,), quote=None, quote_lines=(), rules=RULES) -> Bill:
    result = bill(order, lines, quote, quote_lines, rules)
    assert isinstance(result, Bill), result
    return result


def held(order=ORDER, lines=(LINE,), quote=None, quote_lines=(), rules=RULES) -> Hold:
    result = bill(order, lines, quote, quote_lines, rules)
    assert isinstance(result, Hold), result
    assert result.remedy
    assert result.expected
    return result


def test_line_net_is_rounded_once_after_quantity_and_discount():
    # 3 x 9.995 = 29.985, less 5% = 28.48575
    assert billed().net_minor == 2849


def test_half_a_cent_rounds_away_from_zero():
    line = LINE | {"quantity": Decimal(1), "unit_price": Decimal("0.125"), "discount_percent": None}
    assert billed(lines=[line]).net_minor == 13


def test_freight_is_a_line_of_its_own():
    result = billed(ORDER | {"freight_minor": 1250})
    assert result.lines[-1].product_code == "FREIGHT"
    assert result.net_minor == 2849 + 1250


def test_freight_without_a_product_code_in_the_link_is_held():
    assert (
        held(ORDER | {"freight_minor": 1250}, rules=policies(freight_product_code=None)).reason == "freight_not_mapped"
    )


def test_product_with_an_account_of_its_own_is_booked_there():
    assert billed(lines=[LINE | {"product_code": "SUPPORT"}]).lines[0].account_code == "210"


def test_accepted_quote_gives_price_and_discount_and_the_order_gives_quantity():
    quote = {"quote_id": "0Q0", "number": "Q1", "currency": "GBP", "freight_minor": None, "tax_minor": 1}
    accepted = LINE | {
        "line_id": "0QL",
        "quantity": Decimal(99),
        "unit_price": Decimal(8),
        "discount_percent": Decimal(25),
    }
    result = billed(quote=quote, quote_lines=[accepted])
    assert (result.lines[0].quantity, result.net_minor) == (Decimal(3), 1800)
    assert result.expected_tax_minor == 1


def test_two_quoted_prices_of_one_product_are_not_guessed():
    quote = {"quote_id": "0Q0", "number": "Q1", "currency": "GBP"}
    lines = [LINE | {"line_id": "a", "unit_price": Decimal(8)}, LINE | {"line_id": "b", "unit_price": Decimal(9)}]
    assert held(quote=quote, quote_lines=lines).reason == "quote_line_ambiguous"


def test_deal_without_lines_is_split_by_percentages_and_sums_exactly():
    parts = tuple(SplitPart(product_code=code, percent=Decimal("33.33")) for code in ("CHAI", "LICENCE"))
    parts += (SplitPart(product_code="SUPPORT", percent=Decimal("33.34")),)
    result = billed(
        ORDER | {"total_minor": 10001}, lines=[], rules=policies(split=Split(rule="percentages", parts=parts))
    )
    assert sum(line.net_minor for line in result.lines) == 10001
    assert len(result.lines) == 3


@given(st.integers(1, 10**15), st.lists(st.integers(1, 99), min_size=1, max_size=8))
def test_any_split_sums_to_the_deal(total, weights):
    percents = [Decimal(weight) * 100 / sum(weights) for weight in weights]
    parts = tuple(SplitPart(product_code="CHAI", percent=percent) for percent in percents)
    rules = policies(split=Split(rule="percentages", parts=parts))
    assert billed(ORDER | {"total_minor": total}, lines=[], rules=rules).net_minor == total


def test_deal_is_split_by_the_schedule_of_its_product():
    schedules = {
        "CHAI": (
            SplitPart(product_code="LICENCE", percent=Decimal(70)),
            SplitPart(product_code="SUPPORT", percent=Decimal(30)),
        )
    }
    rules = policies(split=Split(rule="schedule", schedules=schedules))
    result = billed(ORDER | {"product_code": "GTXPro"}, lines=[], rules=rules)
    assert [(line.product_code, line.net_minor) for line in result.lines] == [("LICENCE", 7000), ("SUPPORT", 3000)]
    assert held(ORDER | {"product_code": "NEW"}, lines=[], rules=rules).reason == "split_schedule_missing"


def test_alias_that_a_person_approved_names_the_item():
    assert billed(lines=[LINE | {"product_code": "GTXPro"}]).lines[0].product_code == "CHAI"


def test_yen_has_no_decimals_and_the_line_says_what_was_rounded():
    line = LINE | {"quantity": Decimal(3), "unit_price": Decimal("99.5"), "discount_percent": None}
    made = billed(ORDER | {"currency": "JPY"}, lines=[line]).lines[0]
    assert (made.quantity, made.unit_price, made.net_minor, made.tax_minor) == (Decimal(1), Decimal(299), 299, 60)
    assert made.description == "Chai (3 x 99.5)"


def test_ledger_computes_the_tax_of_a_currency_with_cents():
    assert billed().lines[0].tax_minor is None


def test_third_decimal_of_a_dinar_is_held_because_the_ledger_has_two():
    rules = replace(RULES, currencies=frozenset({"BHD"}))
    line = LINE | {"quantity": Decimal(1), "unit_price": Decimal("1.005"), "discount_percent": None}
    assert held(ORDER | {"currency": "BHD"}, lines=[line], rules=rules).reason == "too_precise_for_the_ledger"


@pytest.mark.parametrize(
    ("order", "line", "reason"),
    [
        ({"currency": "XXX"}, {}, "unknown_currency"),
        ({"currency": None}, {}, "unknown_currency"),
        ({"account_id": None}, {}, "customer_missing"),
        ({"order_date": None}, {}, "date_missing"),
        ({}, {"product_code": "NOPE"}, "unknown_product"),
        ({}, {"product_code": None}, "unknown_product"),
        ({}, {"tax_code": "luxury"}, "unknown_tax_code"),
        ({}, {"quantity": Decimal(-1)}, "line_not_billable"),
        ({}, {"quantity": None}, "quantity_missing"),
        ({}, {"unit_price": None}, "unit_price_missing"),
        ({}, {"discount_percent": Decimal(101)}, "line_not_billable"),
        ({"freight_minor": -1}, {}, "freight_negative"),
    ],
)
def test_what_cannot_be_billed_is_held_with_its_reason(order, line, reason):
    assert held(ORDER | order, lines=[LINE | line]).reason == reason


def test_order_without_lines_or_amount_is_held():
    assert held(ORDER | {"total_minor": 0}, lines=[]).reason == "lines_missing"


def test_order_in_closed_period_is_held_or_dated_in_the_next_open_one():
    locked = replace(RULES, locked_until=date(2026, 3, 31))
    assert held(rules=locked).reason == "period_locked"
    moved = billed(rules=replace(policies(closed_period="next_open"), locked_until=date(2026, 3, 31)))
    assert (moved.posting_date, moved.original_date) == (date(2026, 4, 1), date(2026, 3, 31))


APRIL, JUNE = (
    Closed(date(2026, 4, 1), date(2026, 4, 30), "FY2026-P04", "Rex", datetime(2026, 5, 4, tzinfo=UTC)),
    Closed(date(2026, 6, 1), date(2026, 6, 30), "FY2026-P06", "Eve", datetime(2026, 7, 2, tzinfo=UTC)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("day", "locked", "reason", "first"),
    [
        (date(2026, 3, 31), None, None, date(2026, 3, 31)),
        (date(2026, 4, 1), None, "period_closed", date(2026, 5, 1)),
        (date(2026, 4, 30), None, "period_closed", date(2026, 5, 1)),
        (date(2026, 5, 1), None, None, date(2026, 5, 1)),
        (date(2026, 3, 31), date(2026, 3, 31), "period_locked", date(2026, 5, 1)),  # the ledger's, then ours
        (date(2026, 5, 31), date(2026, 5, 31), "period_locked", date(2026, 7, 1)),
        (date(2026, 4, 15), date(2026, 5, 15), "period_closed", date(2026, 5, 16)),  # ours is told: it names people
        (date(2026, 6, 30), date(2026, 5, 15), "period_closed", date(2026, 7, 1)),
    ],
)
def test_a_day_that_the_ledger_has_locked_or_the_link_has_closed(day, locked, reason, first):
    rules = replace(RULES, locked_until=locked, closed=(APRIL, JUNE))
    found = posting_date(day, rules)
    assert (found.reason if isinstance(found, Hold) else None) == reason
    moving = replace(policies(closed_period="next_open"), locked_until=locked, closed=(APRIL, JUNE))
    assert posting_date(day, moving) == first_open(day, rules) == first


def test_who_waits_for_a_closed_period_is_told_who_closed_it_and_what_to_do():
    told = held(rules=replace(RULES, closed=(replace_days(APRIL, ORDER["order_date"]),)))
    assert told.message.endswith("is in FY2026-P04, which Rex closed on 2026-05-04")
    assert f"`tieout period reopen {RULES.link.name} FY2026-P04`" in told.remedy


def replace_days(closed: Closed, day: date) -> Closed:
    return closed._replace(first=day, last=day)


def test_what_was_posted_keeps_its_date_whatever_was_closed_since():
    shut = replace(RULES, locked_until=date(2027, 1, 1))
    kept = bill(ORDER, [LINE], None, [], shut, dated=ORDER["order_date"])
    assert isinstance(kept, Bill) and kept.content() == billed().content()


def test_rate_of_the_crm_is_taken_only_when_the_link_says_so():
    order = ORDER | {"currency": "EUR", "exchange_rate": Decimal("1.17")}
    assert billed(order).exchange_rate is None
    assert billed(order, rules=policies(exchange_rate="crm")).exchange_rate == Decimal("1.17")
    assert held(order | {"exchange_rate": None}, rules=policies(exchange_rate="crm")).reason == "exchange_rate_missing"


def test_equal_numbers_written_differently_are_the_same_content():
    other = LINE | {"quantity": Decimal("3.000"), "unit_price": Decimal("9.9950"), "discount_percent": Decimal("5.0")}
    assert billed(lines=[other]).content() == billed().content()


def test_a_line_beyond_what_money_can_be_is_held_and_stops_nobody_else() -> None:
    held = bill(ORDER, [LINE | {"quantity": Decimal("1e12"), "unit_price": Decimal("1e12")}], None, [], RULES)
    assert isinstance(held, Hold)
    assert (held.reason, held.remedy) == ("amount_out_of_range", "correct the line in the CRM")
    assert "beyond 64 bits" in held.found


def test_a_ledger_whose_lines_take_no_discount_is_billed_the_pieces_at_their_net():
    line = billed(rules=replace(RULES, line_discounts=False)).lines[0]
    assert (line.quantity, line.unit_price, line.discount_percent) == (3, Decimal("9.4967"), 0)
    assert round_to_minor(line.quantity * line.unit_price, "USD") == line.net_minor
    assert line.description == "Chai (3 x 9.995 less 5%)"
    assert line.net_minor == billed().lines[0].net_minor == 2849
    plain = billed(lines=[{**LINE, "discount_percent": None}], rules=replace(RULES, line_discounts=False)).lines[0]
    assert (plain.quantity, plain.unit_price) == (3, Decimal("9.995"))


def test_where_no_price_of_a_piece_comes_to_the_net_a_discounted_line_is_one_piece():
    many = [{**LINE, "quantity": Decimal(1500), "unit_price": Decimal("0.019")}]
    line = billed(lines=many, rules=replace(RULES, line_discounts=False, unit_decimals=2)).lines[0]
    assert (line.quantity, line.unit_price) == (1, Decimal("27.08"))
    assert line.net_minor == 2708
