"""Which customer an account has that the CRM made of others: pure rules."""

from __future__ import annotations

import pytest

from tieout.scenarios.successors import Successor, are_one, formers, standing_for


@pytest.mark.parametrize(
    ("text", "ids"),
    [("1;2", ("1", "2")), ("1, 2;9", ("1", "2")), ("9", ()), ("", ()), (" 3 ;; 4 ", ("3", "4"))],
)
def test_the_ids_that_an_account_continues(text: str, ids: tuple[str, ...]) -> None:
    assert formers(text, "9") == ids


@pytest.mark.parametrize(
    ("customers", "carried", "chosen"),
    [
        ({}, None, None),
        ({"1": "A"}, None, "1"),
        ({"2": None}, "A", "2"),  # on its way
        ({"1": "A", "2": "B"}, "B", "2"),
        ({"1": "A", "2": "B"}, None, None),
        ({"1": "A", "2": "B"}, "C", None),
        ({"1": None, "2": None}, None, None),
        ({"1": "A", "9": "C"}, "A", "9"),  # it has one of its own
        ({"1": "A", "7": "Z"}, None, "1"),  # of somebody else
    ],
)
def test_whose_customer_it_has(customers: dict[str, str | None], carried: str | None, chosen: str | None) -> None:
    assert standing_for(Successor("9", ("1", "2"), carried), customers) == chosen


def test_two_ids_of_one_account() -> None:
    nine, eight = Successor("9", ("1", "2"), None), Successor("8", ("3",), None)
    merged = dict.fromkeys(("9", "1", "2"), nine) | dict.fromkeys(("8", "3"), eight)
    assert are_one(merged, "1", "9") and are_one(merged, "1", "2") and are_one({}, "5", "5")
    assert not are_one(merged, "1", "3") and not are_one(merged, "1", "5") and not are_one(merged, None, "1")
