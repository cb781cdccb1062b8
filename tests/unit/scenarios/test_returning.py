"""Returns: what is credited, and why something waits. Pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tieout.model.link import Link
from tieout.scenarios.billing import Hold, Rules
from tieout.scenarios.returning.rules import Billed, Return, Sold, Taken, by_line, content, credit, kept

TODAY = date(2026, 3, 31)


def _rules(locked: date | None = None, closed: str = "hold", **returns: Any) -> Rules:
    link = Link.model_validate({
        "name": "rules", "crm": "crm", "crm_system": "salesforce", "ledger": "ledger", "ledger_system": "xero",
        "base_currency": "GBP", "revenue_account": "200", "tax_codes": {"standard": "OUTPUT2", "zero": "ZERO"},
        "policies": {"closed_period": closed}, "returns": returns,
    })  # fmt: skip
    rates = {"OUTPUT2": Decimal(20), "ZERO": Decimal(0)}
    return Rules(link, {}, frozenset({"GBP"}), rates, {}, locked, TODAY)


def _sold(quantity: str, net: int, tax: int, line_id: str = "item-1", price: str = "10") -> Sold:
    return Sold(line_id, "CHAIR", "Chair", Decimal(quantity), Decimal(price), "201", "OUTPUT2", net, tax)


def _billed(*lines: Sold, due: int | None = None, currency: str = "GBP", **more: Any) -> Billed:
    total = sum(line.net_minor + line.tax_minor for line in lines)
    return Billed("inv", "INV-1", "acc", "con", currency, None, total, total if due is None else due, lines, **more)


def _line(quantity: str, of: str | None = "item-1", **more: Any) -> dict[str, Any]:
    return {"order_line_id": of, "quantity": Decimal(quantity), "position": 1, **more}


def _head(**more: Any) -> dict[str, Any]:
    return {"account_id": "acc", "currency": "GBP", **more}


def _made(billed: Billed, taken: Taken, rules: Rules, *lines: dict[str, Any], **head: Any) -> Return:
    made = credit(_head(**head), lines, billed, taken, rules)
    assert isinstance(made, Return), made
    made.added_to(taken)
    return made


def _reason(made: Return | Hold) -> str:
    assert isinstance(made, Hold)
    return made.reason


@pytest.mark.parametrize("net", [1, 100, 9499, 10_001, 33_333])
@pytest.mark.parametrize("parts", [["7"], ["1"] * 7, ["2", "4", "1"], ["0.5"] * 14, ["6.99", "0.01"]])
def test_returns_of_everything_come_to_the_line_and_its_tax(net: int, parts: list[str]) -> None:
    tax, rules, taken = round(net / 5), _rules(), Taken()
    billed = _billed(_sold("7", net, tax))
    nets, taxes = 0, 0
    for part in parts:
        made = credit(_head(), [_line(part)], billed, taken, rules)
        if isinstance(made, Hold):  # less than half a coin: nothing to credit, and nothing is lost
            assert made.reason == "nothing_to_credit"
            return
        made.added_to(taken)
        nets, taxes = nets + made.net_minor, taxes + made.tax_minor
        for row in made.lines:
            # What the ledger computes of quantity and unit amount is what is sent.
            assert row["unit_price"] == round(row["unit_price"], 4)
            computed = (row["quantity"] * row["unit_price"] * 100).quantize(Decimal(1), "ROUND_HALF_UP")
            assert computed == row["net_minor"]
    assert (nets, taxes) == (net, tax)
    assert taken.total_minor == billed.total_minor
    assert _reason(credit(_head(), [_line("0.01")], billed, taken, rules)) == "more_than_sold"


def test_a_quantity_that_four_places_cannot_price_gets_a_line_for_the_rounding() -> None:
    made = _made(_billed(_sold("10000", 1_000_049, 0)), Taken(), _rules(), _line("7001"))
    assert [row["description"] for row in made.lines] == ["Chair", "Rounding: Chair"]
    assert sum(row["net_minor"] for row in made.lines) == made.net_minor == 700_134


def test_yen_are_credited_in_whole_coins() -> None:
    taken, rules, billed = Taken(), _rules(), _billed(_sold("3", 1000, 100), currency="JPY")
    first = _made(billed, taken, rules, _line("2"), currency="JPY")
    second = _made(billed, taken, rules, _line("1"), currency="JPY")
    assert (first.net_minor, first.tax_minor, second.net_minor, second.tax_minor) == (667, 67, 333, 33)
    for row in (*first.lines, *second.lines):
        assert round(row["quantity"] * row["unit_price"], 2) == row["net_minor"]


def test_two_lines_of_one_return_share_what_was_sold() -> None:
    billed = _billed(_sold("3", 1000, 200))
    made = _made(billed, Taken(), _rules(), _line("1"), _line("2", damaged=True))
    assert (made.net_minor, made.tax_minor) == (1000, 200)
    assert _reason(credit(_head(), [_line("2"), _line("2")], billed, Taken(), _rules())) == "more_than_sold"


@pytest.mark.parametrize(
    ("line", "product"),
    [
        ({}, "CHAIR"),
        ({"damaged": True}, None),
        ({"damaged": True, "restock": True}, "CHAIR"),
        ({"restock": False}, None),
    ],
)
def test_damaged_goods_are_credited_without_their_item(line: dict[str, Any], product: str | None) -> None:
    made = _made(_billed(_sold("3", 1000, 200)), Taken(), _rules(damaged_account="310"), _line("1", **line))
    assert made.lines[0]["product_code"] == product
    assert made.lines[0]["account_code"] == ("201" if product else "310")


def test_a_fee_is_a_line_or_reduces_the_others() -> None:
    billed = _billed(_sold("2", 1000, 200), _sold("1", 500, 0, "item-2"))
    lines = (_line("2"), _line("1", "item-2"))
    made = _made(billed, Taken(), _rules(fee_account="260", fee_tax_code="zero"), *lines, fee_minor=150)
    assert [(row["net_minor"], row["tax_minor"]) for row in made.lines] == [(1000, 200), (500, 0), (-150, 0)]
    assert (made.lines[2]["account_code"], made.lines[2]["tax_code"]) == ("260", "ZERO")
    taxed = _made(billed, Taken(), _rules(), *lines, fee_minor=150)
    assert (taxed.net_minor, taxed.tax_minor) == (1350, 170)
    reduced = _made(billed, Taken(), _rules(restocking_fee="reduce"), *lines, fee_minor=150)
    assert [(row["net_minor"], row["tax_minor"]) for row in reduced.lines] == [(900, 180), (450, 0)]
    # The fee does not give the customer something to return a second time.
    assert [part.net_minor for part in reduced.parts] == [1000, 500]
    for fee in (1500, 2000, -1):
        assert _reason(credit(_head(fee_minor=fee), lines, billed, Taken(), _rules())) == "fee_out_of_range"
    wrong = credit(_head(fee_minor=1), lines, billed, Taken(), _rules(fee_tax_code="nothing"))
    assert _reason(wrong) == "tax_code_unknown"


def test_only_what_is_due_is_set_against_the_invoice() -> None:
    billed, taken = _billed(_sold("3", 3000, 600), due=2000), Taken()
    assert _made(billed, taken, _rules(), _line("1")).allocate_minor == 1200
    # The first allocation is on its way: the ledger does not show it yet.
    assert _made(billed, taken, _rules(), _line("1")).allocate_minor == 800
    assert _made(billed, taken, _rules(), _line("1")).allocate_minor == 0
    assert _reason(credit(_head(), [_line("2")], billed, Taken(), _rules(of_paid="hold"))) == "invoice_paid"


def test_what_finance_credited_is_not_credited_again() -> None:
    billed = _billed(_sold("2", 2000, 400), foreign_minor=1300)
    assert _reason(credit(_head(), [_line("1")], billed, Taken(), _rules())) == "credited_already"
    assert _made(replace(billed, foreign_minor=1200), Taken(), _rules(), _line("1")).total_minor == 1200


def test_a_credit_is_dated_in_the_open_period() -> None:
    billed = _billed(_sold("1", 100, 20))
    assert _made(billed, Taken(), _rules(locked=date(2026, 3, 30)), _line("1")).day == TODAY
    locked = date(2026, 4, 30)
    assert _reason(credit(_head(), [_line("1")], billed, Taken(), _rules(locked))) == "period_locked"
    assert _made(billed, Taken(), _rules(locked, "next_open"), _line("1")).day == date(2026, 5, 1)


@pytest.mark.parametrize(
    ("head", "line", "reason"),
    [
        ({"account_id": "other"}, {}, "account_differs"), ({"currency": "EUR"}, {}, "currency_differs"),
        ({}, {"of": "item-9"}, "line_not_billed"), ({}, {"of": None}, "line_not_billed"),
        ({}, {"quantity": "0"}, "quantity_not_positive"), ({}, {"quantity": "-1"}, "quantity_not_positive"),
        ({}, {"unit_price": Decimal("9.99")}, "price_differs"), ({}, {"quantity": "3.01"}, "more_than_sold"),
    ],
)  # fmt: skip
def test_bad_returns_wait(head: dict[str, Any], line: dict[str, Any], reason: str) -> None:
    row = _line(**{"quantity": "1", **line})
    assert _reason(credit(_head(**head), [row], _billed(_sold("3", 1000, 200)), Taken(), _rules())) == reason


def test_a_return_without_lines_and_of_an_invoice_with_a_problem_waits() -> None:
    billed = _billed(_sold("3", 1000, 200))
    assert _reason(credit(_head(), [], billed, Taken(), _rules())) == "lines_missing"
    problem = Hold("closed", "", "", "", "")
    assert credit(_head(), [_line("1")], replace(billed, problem=problem), Taken(), _rules()) is problem


def test_parts_survive_the_store_and_a_status_is_no_change() -> None:
    made = _made(_billed(_sold("3", 1000, 200)), Taken(), _rules(), _line("1.50"))
    assert tuple(by_line(kept(made.parts))) == made.parts
    one = content(_head(status="Approved"), [_line("1.0")])
    assert one == content(_head(status="Closed"), [_line("1")]) != content(_head(), [_line("2")])
