"""Differences become breaks whose identity survives reruns, and every day's roll-forward closes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from tests.support.differences import Difference, history, live, opened, put, reconciled
from tieout.reconcile import record, report_store, rolls
from tieout.reconcile.record import Recorded
from tieout.reconcile.rolls import Roll

MONDAY, TUESDAY, WEDNESDAY = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)
EDITED = Difference("order:1", 44000, fields=("unit_price",), customer_name="Acme")
PAID_TWICE = Difference("payment:2", -12000, "duplicate", "payments")
ROUNDING = Difference("order:3", 1, "rounding", within_tolerance=True)


def of_day(engine: Engine, report: report_store.Report) -> dict[tuple[str, str], Roll]:
    with engine.connect() as conn:
        return {(roll.area, roll.currency): roll for roll in rolls.of_report(conn, report)}


def test_the_first_day_opens_breaks_and_ties_out(engine: Engine) -> None:
    report, recorded = reconciled(engine, MONDAY, [EDITED, PAID_TWICE, ROUNDING])
    assert recorded == Recorded(opened=3, changed=0, cleared=0, reopened=0, live=3)
    assert (report.state, report.previous_report_id) == ("tied", None)
    breaks = live(engine)
    assert {key: (row["state"], row["first_seen"], row["amount"]) for key, row in breaks.items()} == {
        "order:1": ("open", MONDAY, 44000), "payment:2": ("open", MONDAY, -12000), "order:3": ("open", MONDAY, 1),
    }  # fmt: skip
    assert history(engine, "order:1") == ["opened"]
    assert of_day(engine, report) == {
        ("invoices", "GBP"): Roll("invoices", "GBP", 0, 0, 2, 44001, 0, 0, 0, 2, 44001),
        ("payments", "GBP"): Roll("payments", "GBP", 0, 0, 1, -12000, 0, 0, 0, 1, -12000),
    }
    with engine.connect() as conn:
        classes = conn.execute(sa.text("select area, class, count, amount, new_count, within_tolerance from "
                                       "tieout.report_class order by 1, 2")).all()  # fmt: skip
    assert [tuple(row) for row in classes] == [("invoices", "amount", 1, 44000, 1, 0),
                                               ("invoices", "rounding", 1, 1, 1, 1),
                                               ("payments", "duplicate", 1, -12000, 1, 0)]  # fmt: skip


def test_a_difference_that_no_item_explains_leaves_the_report_untied(engine: Engine) -> None:
    report, _ = reconciled(engine, MONDAY, [EDITED], off_by=1)
    assert report.state == "untied"


def test_an_item_whose_area_was_not_counted_leaves_the_report_untied(engine: Engine) -> None:
    with engine.begin() as conn:
        report = opened(conn, MONDAY)
        put(conn, [EDITED])
        record.record(conn, report)
        assert report_store.finish(conn, report).state == "untied"


def test_a_day_with_a_new_a_changed_and_a_cleared_break(engine: Engine) -> None:
    reconciled(engine, MONDAY, [EDITED, PAID_TWICE, ROUNDING])
    new = Difference("order:4", 500)
    report, recorded = reconciled(engine, TUESDAY, [replace(EDITED, amount=40000), ROUNDING, new])
    assert recorded == Recorded(opened=1, changed=1, cleared=1, reopened=0, live=3)
    assert of_day(engine, report) == {
        ("invoices", "GBP"): Roll("invoices", "GBP", 2, 44001, 1, 500, 0, 0, -4000, 3, 40501),
        ("payments", "GBP"): Roll("payments", "GBP", 1, -12000, 0, 0, 1, -12000, 0, 0, 0),
    }
    breaks = live(engine)
    assert (breaks["order:1"]["first_seen"], breaks["order:1"]["amount"]) == (MONDAY, 40000)
    assert (breaks["order:3"]["last_seen"], history(engine, "order:3")) == (TUESDAY, ["opened"])
    gone = breaks["payment:2"]
    assert (gone["state"], gone["cleared_on"], gone["last_seen"]) == ("closed", TUESDAY, MONDAY)
    assert history(engine, "payment:2") == ["opened", "cleared"]
    with engine.connect() as conn:
        told = conn.execute(sa.text("select detail from tieout.break_event where event = 'changed'")).scalar_one()
        new_ones = conn.execute(
            sa.text("select class, new_count from tieout.report_class where report_id = :id order by 1"),
            {"id": report.report_id},
        ).all()
    assert told == {"amount": [44000, 40000]}
    assert [tuple(row) for row in new_ones] == [("amount", 1), ("rounding", 0)]


def test_another_class_is_the_same_break(engine: Engine) -> None:
    reconciled(engine, MONDAY, [replace(EDITED, class_="in_transit")])
    _, recorded = reconciled(engine, TUESDAY, [EDITED])
    assert (recorded.changed, recorded.opened) == (1, 0)
    assert live(engine)["order:1"]["class"] == "amount"


def test_what_comes_back_is_reopened_and_aged_from_the_day_it_was_first_seen(engine: Engine) -> None:
    reconciled(engine, MONDAY, [EDITED])
    reconciled(engine, TUESDAY, [])
    report, recorded = reconciled(engine, WEDNESDAY, [EDITED])
    assert (recorded.reopened, recorded.opened) == (1, 0)
    row = live(engine)["order:1"]
    assert (row["state"], row["cleared_on"], row["first_seen"], row["reopened"]) == ("open", None, MONDAY, 1)
    assert history(engine, "order:1") == ["opened", "cleared", "reopened"]
    assert of_day(engine, report)["invoices", "GBP"].new == 44000


def _set(engine: Engine, key: str, **values: object) -> None:
    columns = ", ".join(f"{name} = :{name}" for name in values)
    with engine.begin() as conn:
        conn.execute(sa.text(f"update tieout.break set {columns} where a_keys[1] = :key"), {"key": key, **values})


def test_what_a_person_closed_and_is_still_there_is_reopened(engine: Engine) -> None:
    reconciled(engine, MONDAY, [EDITED])
    _set(engine, "order:1", state="closed", owner="Ann", reason_code="timing", due_on=TUESDAY)
    _, recorded = reconciled(engine, TUESDAY, [EDITED])
    row = live(engine)["order:1"]
    assert (recorded.reopened, row["state"], row["owner"]) == (1, "open", "Ann")
    assert (row["reason_code"], row["due_on"]) == (None, None)


def test_an_acceptance_holds_for_its_amount_only(engine: Engine) -> None:
    reconciled(engine, MONDAY, [ROUNDING])
    _set(engine, "order:3", state="accepted", reason_code="rounding")
    _, same = reconciled(engine, TUESDAY, [ROUNDING])
    assert (same.reopened, live(engine)["order:3"]["state"]) == (0, "accepted")
    _, other = reconciled(engine, WEDNESDAY, [replace(ROUNDING, amount=2)])
    assert (other.reopened, live(engine)["order:3"]["state"]) == (1, "open")


def test_an_accepted_break_that_is_gone_is_cleared(engine: Engine) -> None:
    reconciled(engine, MONDAY, [ROUNDING])
    _set(engine, "order:3", state="accepted", reason_code="rounding")
    reconciled(engine, TUESDAY, [])
    assert live(engine)["order:3"]["cleared_on"] == TUESDAY


def test_a_rerun_of_the_day_replaces_its_roll_forward(engine: Engine) -> None:
    monday, _ = reconciled(engine, MONDAY, [EDITED, PAID_TWICE])
    first, _ = reconciled(engine, TUESDAY, [EDITED])
    rerun, recorded = reconciled(engine, TUESDAY, [EDITED, PAID_TWICE, ROUNDING])
    assert (first.previous_report_id, rerun.previous_report_id) == (monday.report_id, monday.report_id)
    assert (recorded.opened, recorded.reopened) == (1, 1)
    assert of_day(engine, rerun)["payments", "GBP"] == Roll("payments", "GBP", 1, -12000, 0, 0, 0, 0, 0, 1, -12000)
    with engine.connect() as conn:
        counts = report_store.newest(conn, "acme", TUESDAY)
    assert counts is not None
    assert counts.report_id == rerun.report_id


def test_a_past_day_run_again_leaves_the_breaks_of_today_alone(engine: Engine) -> None:
    reconciled(engine, MONDAY, [PAID_TWICE])
    reconciled(engine, WEDNESDAY, [EDITED])
    before = live(engine)
    past, recorded = reconciled(engine, TUESDAY, [PAID_TWICE, ROUNDING])
    assert recorded == Recorded(0, 0, 0, 0, 2)
    after = live(engine)
    assert after["order:1"] == before["order:1"]
    assert (after["payment:2"]["state"], after["payment:2"]["cleared_on"]) == ("closed", WEDNESDAY)
    only_then = after["order:3"]
    assert (only_then["state"], only_then["first_seen"], only_then["cleared_on"]) == ("closed", TUESDAY, WEDNESDAY)
    assert history(engine, "order:3") == ["opened", "cleared"]
    assert of_day(engine, past)["invoices", "GBP"] == Roll("invoices", "GBP", 0, 0, 1, 1, 0, 0, 0, 1, 1)
    assert past.state == "tied"


def test_days_reconciled_backwards_give_the_same_ages(engine: Engine) -> None:
    for day in (WEDNESDAY, TUESDAY, MONDAY):
        reconciled(engine, day, [EDITED])
    row = live(engine)["order:1"]
    assert (row["first_seen"], row["last_seen"], row["state"]) == (MONDAY, WEDNESDAY, "open")


def test_a_break_that_changes_its_currency_is_cleared_in_one_and_new_in_the_other(engine: Engine) -> None:
    monday, _ = reconciled(engine, MONDAY, [EDITED])
    report, _ = reconciled(engine, TUESDAY, [replace(EDITED, currency="EUR", class_="currency")])
    found = of_day(engine, report)
    assert found["invoices", "GBP"] == Roll("invoices", "GBP", 1, 44000, 0, 0, 1, 44000, 0, 0, 0)
    assert found["invoices", "EUR"] == Roll("invoices", "EUR", 0, 0, 1, 44000, 0, 0, 0, 1, 44000)
    assert of_day(engine, monday)["invoices", "GBP"].closing == 44000


def test_links_do_not_touch_each_other(engine: Engine) -> None:
    reconciled(engine, MONDAY, [EDITED])
    _, recorded = reconciled(engine, MONDAY, [], link="other")
    assert (recorded.cleared, live(engine)["order:1"]["state"]) == (0, "open")


def test_a_report_is_recorded_once(engine: Engine) -> None:
    with engine.begin() as conn:
        report = opened(conn, MONDAY)
        put(conn, [EDITED])
        record.record(conn, report)
        with pytest.raises(record.RecordedAlready, match="is recorded already"):
            record.record(conn, report)


def test_a_finished_report_takes_nothing_more(engine: Engine) -> None:
    report, _ = reconciled(engine, MONDAY, [EDITED])
    reconciled(engine, TUESDAY, [])
    for statement in (
        "update tieout.report set state = 'untied' where report_id = :id",
        "update tieout.report_total set a_amount = 0 where report_id = :id",
        "delete from tieout.report_roll where report_id = :id",
        "update tieout.report_item set amount = 0 where report_id = :id",
        "delete from tieout.break where first_report_id = :id",
        "update tieout.break_event set actor = 'nobody' where report_id = :id",
    ):
        with engine.begin() as conn, pytest.raises(DBAPIError):
            conn.execute(sa.text(statement), {"id": report.report_id})
