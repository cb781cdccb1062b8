"""What no crosswalk joins is joined by the tiers of the rules: one to one, groups, and what fits more than once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from tests.support.postgres import PostgresServer
from tests.support.seeded import Bench, Found, alone, sold
from tieout.store.engine import connect


@pytest.fixture(scope="module")
def engine(postgres_server: PostgresServer) -> Iterator[Engine]:
    """One database for all of them: nothing is committed."""
    url = postgres_server.migrated_database()
    engine = connect(url)
    yield engine
    engine.dispose()
    postgres_server.drop(url)


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


def order(which: int, amount: int, **more: Any) -> dict[str, Any]:
    """An order whose invoice the crosswalk does not know: made by hand, or before the two systems were joined."""
    return sold(which, amount, linked=False, number=None, status=None, total=None, due=None, mark=None,
                match_number=None, **more)  # fmt: skip


def invoice(which: int, amount: int, **more: Any) -> dict[str, Any]:
    return alone(which, amount, match_number=None, **more)


def used(found: Found) -> dict[str, int]:
    return {name: count for name, count in found.matched.by_tier.items() if count}


def test_one_order_is_joined_to_one_invoice_by_customer_amount_and_a_near_date(bench: Bench) -> None:
    found = bench.find([order(1, 10000)], [invoice(9, 10000)])
    assert used(found) == {"invoices.customer_and_amount": 1}
    assert found.short == [("link", "unlinked", 0)], "they agree, and what is missing is the link"


def test_one_order_is_joined_to_the_invoices_that_carry_its_reference(bench: Bench) -> None:
    found = bench.find(
        [order(1, 30000, reference="PO-7")],
        [invoice(7, 10000, reference="PO-7"), invoice(8, 20000, reference="PO-7")],
    )
    assert used(found) == {"invoices.reference": 2}
    assert found.short == [("link", "unlinked", 0)]


def test_several_orders_are_joined_to_the_one_invoice_that_bills_them(bench: Bench) -> None:
    found = bench.find(
        [order(1, 10000, reference="PO-7"), order(2, 20000, reference="PO-7")],
        [invoice(9, 30000, reference="PO-7")],
    )
    assert used(found) == {"invoices.reference": 2}
    assert found.short == [("link", "unlinked", 0)]


def test_several_orders_are_joined_to_several_invoices_of_the_same_sum(bench: Bench) -> None:
    found = bench.find(
        [order(1, 10000, reference="PO-7"), order(2, 20000, reference="PO-7")],
        [invoice(8, 12000, reference="PO-7"), invoice(9, 18000, reference="PO-7")],
    )
    assert used(found) == {"invoices.reference": 4}
    assert found.short == [("link", "unlinked", 0)]


def test_a_group_whose_sums_differ_is_not_joined(bench: Bench) -> None:
    found = bench.find(
        [order(1, 30000, reference="PO-7")],
        [invoice(7, 10000, reference="PO-7"), invoice(8, 19000, reference="PO-7")],
    )
    assert used(found) == {}
    assert found.short == [
        ("presence", "missing_in_crm", -19000), ("presence", "missing_in_crm", -10000),
        ("presence", "missing_in_finance", 30000),
    ]  # fmt: skip


def test_what_fits_twice_is_suggested_both_times_and_used_never(bench: Bench) -> None:
    found = bench.find([order(1, 10000)], [invoice(8, 10000), invoice(9, 10000)])
    assert used(found) == {}
    assert [(one["a_keys"], one["b_keys"], one["evidence"]["fits"]) for one in found.suggested] == [
        (["order:1"], ["invoice:8"], 2), (["order:1"], ["invoice:9"], 2),
    ]  # fmt: skip
    assert all(one["score"] == pytest.approx(0.5) for one in found.suggested)
    assert ("presence", "missing_in_finance", 10000) in found.short, "it stays a break until a person chooses"


@pytest.mark.parametrize(
    "other", [{"customer": "bolt"}, {"currency": "EUR"}, {"date": None}], ids=["customer", "currency", "undated"]
)
def test_what_is_anothers_is_not_joined(bench: Bench, other: dict[str, Any]) -> None:
    found = bench.find([order(1, 10000)], [invoice(9, 10000, **other)])
    assert used(found) == {} and found.suggested == []


def test_what_an_earlier_tier_joined_a_later_one_does_not_see(bench: Bench) -> None:
    """The invoice that carries the order's mark is its own, although another would fit by amount."""
    found = bench.find([order(1, 10000) | {"mark": "1"}], [invoice(8, 10000), invoice(9, 10000, mark="1")])
    assert used(found) == {"invoices.link_on_the_document": 1}
    assert found.suggested[0]["b_keys"] == ["invoice:9"]
    assert found.short == [("link", "unlinked", 0), ("presence", "missing_in_crm", -10000)]
