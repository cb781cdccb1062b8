"""Every class of differences is decided by its rule, and in every case the differences foot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.support.postgres import PostgresServer
from tests.support.seeded import AS_OF, CRM, LEDGER, LINK, LONG_AGO, NOW, Bench, alone, billed, sold
from tieout.reconcile.classes import CLASSES, ORDERED
from tieout.store.engine import connect


@pytest.fixture(scope="module")
def shared(postgres_server: PostgresServer) -> Iterator[Engine]:
    """One database for all of them: what they find is undone, and the rest is taken away after each."""
    url = postgres_server.migrated_database()
    engine = connect(url)
    yield engine
    engine.dispose()
    postgres_server.drop(url)


@pytest.fixture
def engine(shared: Engine) -> Iterator[Engine]:
    yield shared
    with shared.begin() as conn:
        conn.execute(sa.text("set local session_replication_role = replica"))  # a match is never removed in earnest
        conn.execute(sa.text("truncate tieout.dead_letter, tieout.intent, tieout.matching cascade"))


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


def letter(engine: Engine, source_id: str, **more: Any) -> None:
    """An open dead letter of an order."""
    values = {"connection": CRM, "system": "salesforce", "entity": "order", "source_id": source_id, "stage": "deliver",
              "reason": "period_locked", "message": "the period is locked", "expected": "-", "found": "-",
              "remedy": "-", "run_id": uuid4(), "first_seen": LONG_AGO, "link": LINK, **more}  # fmt: skip
    names = ", ".join(values)
    with engine.begin() as conn:
        conn.execute(
            sa.text(f"insert into tieout.dead_letter ({names}) values ({', '.join(f':{name}' for name in values)})"),
            values,
        )


def intent(engine: Engine, source_id: str, state: str, **more: Any) -> None:
    """A write for an order."""
    values = {
        "link": LINK, "target": LEDGER, "doc_uid": uuid4().hex, "kind": "invoice", "operation": "invoices.create",
        "entity": "invoice", "revision": 1, "source": CRM, "source_object": "Order", "source_id": source_id,
        "source_system": "salesforce", "source_entity": "order", "natural_key": "INV-1", "idempotency_key": "k",
        "body": b"{}", "state": state, "run_id": uuid4(), "created_at": LONG_AGO, "updated_at": LONG_AGO, "owner": "x",
        "posting_date": LONG_AGO.date(),
        **more,
    }  # fmt: skip
    names = ", ".join(values)
    with engine.begin() as conn:
        conn.execute(
            sa.text(f"insert into tieout.intent ({names}) values ({', '.join(f':{name}' for name in values)})"), values
        )


def test_what_is_alike_is_no_difference(bench: Bench) -> None:
    assert bench.find([sold(1), sold(2)], [billed(1), billed(2)]).rows == []


def test_an_order_with_an_open_letter_is_held_and_says_why(bench: Bench, engine: Engine) -> None:
    letter(engine, "1")
    found = bench.find([sold(1, linked=False)], [])
    assert found.short == [("presence", "rejected_or_held", 10000)]
    assert found.rows[0]["explanation"] == (
        "Order 1 of Acme Ltd: expected 100.00 GBP in the ledger, found none. Tieout holds it: period_locked: "
        "the period is locked."
    )
    assert found.rows[0]["fix"] == "resend"


def test_a_letter_of_later_than_the_report_is_not_known_yet(bench: Bench, engine: Engine) -> None:
    letter(engine, "1", first_seen=NOW + timedelta(hours=1))
    assert bench.find([sold(1, linked=False)], []).short == [("presence", "missing_in_finance", 10000)]


@pytest.mark.parametrize(("state", "expected"), [
    ("READY", "in_transit"), ("UNKNOWN", "in_transit"), ("REJECTED", "rejected_or_held"),
    ("CANCELLED", "missing_in_finance"),
])  # fmt: skip
def test_an_intent_says_why_an_invoice_is_not_there(bench: Bench, engine: Engine, state: str, expected: str) -> None:
    intent(engine, "1", state, reason="vendor_refused", message="it said no")
    assert bench.find([sold(1, linked=False)], []).short == [("presence", expected, 10000)]


def test_a_record_that_cannot_be_read_is_listed_with_nothing(bench: Bench) -> None:
    found = bench.find([sold(1, 0, reason="line_unreadable: a line has no price", linked=False)], [])
    assert found.short == [("presence", "rejected_or_held", 0)]


def test_an_order_of_the_last_hour_is_on_its_way(bench: Bench) -> None:
    bench.cut_off_hours = 2
    new = sold(1, linked=False, changed_at=NOW - timedelta(hours=1))
    old = sold(2, linked=False, changed_at=NOW - timedelta(hours=3))
    assert bench.find([new, old], []).short == [
        ("presence", "in_transit", 10000), ("presence", "missing_in_finance", 10000),
    ]  # fmt: skip
    # The sync has begun after it was changed, and passed it over.
    bench.synced = {"invoices": NOW - timedelta(minutes=30)}
    assert bench.find([new], []).short == [("presence", "missing_in_finance", 10000)]


def test_an_invoice_dated_after_the_day_is_in_transit_within_the_days_and_a_date_beyond(bench: Bench) -> None:
    for days, expected in ((1, "in_transit"), (9, "date")):
        later = billed(1, 0, live=False, later_days=days, date=AS_OF + timedelta(days=days))
        assert bench.find([sold(1)], [later]).short == [("presence", expected, 10000)]


def test_cash_that_is_set_against_nothing_is_unapplied(bench: Bench) -> None:
    cash = {"area": "payments", "key": "payment:1", "match_key": "payment:1", "measure": "paid", "currency": "GBP",
            "scale": 2, "amount": 5000, "customer": "acme", "state": "unapplied", "label": "payment"}  # fmt: skip
    assert bench.find([], [cash]).short == [("presence", "unapplied_cash", -5000)]


def test_a_second_invoice_of_the_same_is_a_duplicate_and_one_of_another_customer_is_not(bench: Bench) -> None:
    found = bench.find([sold(1)], [billed(1), alone(2, number="X-2", match_number="X-2")])
    assert found.short == [("presence", "duplicate", -10000)]
    assert found.rows[0]["fix"] == "void_duplicate"
    other = alone(2, number="X-2", match_number="X-2", customer="bolt")
    assert bench.find([sold(1)], [billed(1), other]).short == [("presence", "missing_in_crm", -10000)]


def test_two_payments_alike_of_which_the_crm_shows_one_are_a_duplicate(bench: Bench) -> None:
    shown = {"area": "payments", "key": "order:1", "match_key": "order:1", "measure": "paid", "currency": "GBP",
             "scale": 2, "amount": 3000, "label": "order 1"}  # fmt: skip
    pays = [{**shown, "key": f"payment:{n}", "date": date(2026, 3, 12), "label": f"payment {n}"} for n in (1, 2)]
    assert bench.find([shown], pays).short == [("paid", "duplicate", -3000)]
    pays[1]["date"] = date(2026, 3, 13)
    assert bench.find([shown], pays).short == [("paid", "amount", -3000)]


def test_an_amount_that_changed_after_its_period_was_locked(bench: Bench) -> None:
    bench.locked_until = date(2026, 3, 15)
    edited = billed(1, 9000, changed_at=NOW)
    assert bench.find([sold(1)], [edited]).short == [("amount", "closed_period_change", 1000)]
    before = billed(1, 9000, changed_at=LONG_AGO - timedelta(days=10))
    old = sold(1, changed_at=LONG_AGO - timedelta(days=10))
    assert bench.find([old], [before]).short == [("amount", "amount", 1000)]


def test_an_amount_that_changed_after_the_link_closed_its_period(bench: Bench) -> None:
    march = (date(2026, 3, 1), date(2026, 3, 31))
    bench.closed = ((*march, NOW - timedelta(days=1)),)
    edited = billed(1, 9000, changed_at=NOW)
    assert bench.find([sold(1)], [edited]).short == [("amount", "closed_period_change", 1000)]
    bench.closed = ((*march, NOW + timedelta(days=1)),)
    assert bench.find([sold(1)], [edited]).short == [("amount", "amount", 1000)]
    bench.closed = ((date(2026, 2, 1), date(2026, 2, 28), NOW - timedelta(days=1)),)
    assert bench.find([sold(1)], [edited]).short == [("amount", "amount", 1000)]


@pytest.mark.parametrize("ledger", [
    [], [billed(1, 0, live=False, state="voided")],
    [billed(1), billed(1, -10000, key="credit_memo:1", main=False)],
])  # fmt: skip
def test_what_the_ledger_took_back_is_voided_or_deleted(bench: Bench, ledger: list[Any]) -> None:
    assert bench.find([sold(1)], ledger).short == [("presence", "voided_or_deleted", 10000)]


@pytest.mark.parametrize("crm", [[], [sold(1, 0, live=False, state="cancelled")]])
def test_what_the_crm_took_back_is_voided_or_deleted(bench: Bench, crm: list[Any]) -> None:
    assert bench.find(crm, [billed(1)]).short == [("presence", "voided_or_deleted", -10000)]


def test_missing_on_either_side(bench: Bench) -> None:
    assert bench.find([sold(1, linked=False)], []).short == [("presence", "missing_in_finance", 10000)]
    assert bench.find([], [alone(2)]).short == [("presence", "missing_in_crm", -10000)]


def test_two_currencies_give_both_amounts(bench: Bench) -> None:
    found = bench.find([sold(1)], [billed(1, currency="USD")])
    assert found.short == [("currency", "currency", -10000), ("currency", "currency", 10000)]
    assert {row["currency"] for row in found.rows} == {"GBP", "USD"}
    assert "found 100.00 GBP in the CRM and 100.00 USD in the ledger" in found.rows[0]["explanation"]


LONG_NUMBER = "INV-2026-00000000000000001"


@pytest.mark.parametrize(("crm", "ledger", "expected"), [
    (sold(1), billed(1, number="INV-9"), ("number", "unlinked", 0)),
    (sold(1, number=LONG_NUMBER), billed(1, number=LONG_NUMBER[:21]), ("number", "truncated", 0)),
    (sold(1, number=None, status=None, total=None, due=None), billed(1), ("link", "unlinked", 0)),
    (sold(1), billed(1, customer="bolt", customer_name="Bolt Ltd"), ("customer", "customer", 0)),
    (sold(1, rate="1.17"), billed(1, rate="1.25"), ("rate", "rate", 0)),
    (sold(1), billed(1, date=date(2026, 3, 20)), ("date", "date", 0)),
    (sold(1), billed(1, status="PAID"), ("status", "status", 0)),
    (sold(1), billed(1, total=12000), ("total", "status", 0)),
    (sold(1), billed(1, due=500), ("due", "status", 0)),
    (sold(1), billed(1, paid_on=date(2026, 3, 20)), ("paid_on", "date", 0)),
    (sold(1), billed(1, 10002), ("amount", "rounding", -2)),
    (sold(1), billed(1, 10003), ("amount", "amount", -3)),
])  # fmt: skip
def test_a_field_that_differs(bench: Bench, crm: Any, ledger: Any, expected: tuple[str, str, int]) -> None:
    assert bench.find([crm], [ledger]).short == [expected]


def test_a_tax_that_differs(bench: Bench) -> None:
    def tax(item: dict[str, Any], amount: int) -> dict[str, Any]:
        kept = ("key", "match_key", "currency", "scale", "label", "linked")
        return {**{name: item[name] for name in kept}, "area": "tax", "measure": "tax", "amount": amount}

    found = bench.find([sold(1), tax(sold(1), 2000)], [billed(1), tax(billed(1), 2100)])
    assert found.short == [("tax", "tax", -100)]


def standing(amount: int, **more: Any) -> dict[str, Any]:
    return {"area": "balances", "key": "account:1", "match_key": "balance:1", "measure": "balance", "currency": "GBP",
            "scale": 2, "amount": amount, "label": "open balance", **more}  # fmt: skip


def test_a_balance_is_stale_when_the_ledger_changed_since_and_else_an_amount(bench: Bench) -> None:
    shown = standing(5000, as_of=LONG_AGO)
    assert bench.find([shown], [standing(7000, changed_at=NOW)]).short == [("balance", "stale_credit", -2000)]
    before = standing(7000, changed_at=LONG_AGO - timedelta(days=1))
    assert bench.find([shown], [before]).short == [("balance", "amount", -2000)]


def test_one_pair_can_differ_in_several_things_each_with_an_identity_of_its_own(bench: Bench) -> None:
    found = bench.find([sold(1)], [billed(1, 9000, customer="bolt", date=date(2026, 3, 11))])
    assert found.short == [("amount", "amount", 1000), ("customer", "customer", 0), ("date", "date", 0)]
    assert len({row["identity"] for row in found.rows}) == 3
    assert [row["within_tolerance"] for row in found.rows] == [False, False, True]  # a day is within the link's three


def test_an_identity_stays_when_class_and_amount_change(bench: Bench) -> None:
    first = bench.find([sold(1)], [billed(1, 9000)])
    second = bench.find([sold(1)], [billed(1, 10001)])
    assert [row["class"] for row in (*first.rows, *second.rows)] == ["amount", "rounding"]
    assert first.rows[0]["identity"] == second.rows[0]["identity"]


def test_what_follows_from_a_payment_is_not_told_again(bench: Bench) -> None:
    shown = {"area": "payments", "key": "order:1", "match_key": "order:1", "measure": "paid", "currency": "GBP",
             "scale": 2, "amount": 0, "label": "order 1"}  # fmt: skip
    payment = {**shown, "key": "payment:1", "amount": 10000, "label": "payment 1"}
    found = bench.find([sold(1, due=10000)], [billed(1, status="PAID", paid_on=date(2026, 3, 20)), payment])
    assert found.short == [("presence", "missing_in_crm", -10000)]


def test_within_tolerance_is_listed_and_marked(bench: Bench) -> None:
    found = bench.find([sold(1), sold(2)], [billed(1, 9999), billed(2, 9000)])
    assert sorted((row["class"], row["within_tolerance"]) for row in found.rows) == [
        ("amount", False), ("rounding", True),
    ]  # fmt: skip


def test_every_class_has_a_rule_in_words_and_the_last_takes_what_is_left() -> None:
    assert len(CLASSES) == len(ORDERED) == 19
    assert all(one.words and one.meaning and one.rule and one.when for one in ORDERED)
    assert ORDERED[-1].when == "true" and [one.when for one in ORDERED].count("true") == 1
    assert {fix for one in ORDERED for fix in one.fixes} == {"resend", "relink", "void_duplicate", "write_off"}


@pytest.mark.parametrize("amount", [10**17, -(10**17) + 1])
def test_amounts_of_eighteen_digits_are_exact(bench: Bench, amount: int) -> None:
    found = bench.find([sold(1, amount)], [billed(1, amount - 1)])
    assert [row["amount"] for row in found.rows] == [1]
