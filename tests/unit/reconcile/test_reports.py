"""A report's hash is of its facts; the newest report of a day counts; a period's roll-forward closes over its days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.support.differences import LINK, RUN, Difference, opened, reconciled
from tieout.reconcile import report_store, rolls
from tieout.reconcile.report_store import NoSuchReport
from tieout.reconcile.rolls import Roll

FEB_28, MAR_1, MAR_2, MAR_3 = date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
EDITED, DOUBLE = Difference("order:1", 44000), Difference("payment:2", -12000, "duplicate", "payments")
SHORT_LIVED = Difference("order:9", 700)


def test_the_same_facts_have_the_same_hash(engine: Engine) -> None:
    first, _ = reconciled(engine, MAR_1, [EDITED, DOUBLE])
    again, _ = reconciled(engine, MAR_1, [DOUBLE, EDITED])
    assert first.hash == again.hash
    assert len(first.hash or "") == 64


def test_the_hash_does_not_depend_on_what_an_earlier_day_said(engine: Engine) -> None:
    first, _ = reconciled(engine, MAR_2, [EDITED])
    reconciled(engine, MAR_1, [EDITED])
    again, _ = reconciled(engine, MAR_2, [EDITED])
    assert (again.previous_report_id, first.previous_report_id) != (None, None)
    assert first.hash == again.hash


@pytest.mark.parametrize(
    "changed",
    [
        [replace(EDITED, amount=44001), DOUBLE],
        [replace(EDITED, class_="tax"), DOUBLE],
        [replace(EDITED, currency="EUR"), DOUBLE],
        [EDITED],
        [EDITED, DOUBLE, Difference("order:3", 0, "date")],
    ],
    ids=["an amount", "a class", "a currency", "one less", "one more of no amount"],
)
def test_any_other_item_is_another_hash(engine: Engine, changed: list[Difference]) -> None:
    first, _ = reconciled(engine, MAR_1, [EDITED, DOUBLE])
    again, _ = reconciled(engine, MAR_1, changed)
    assert first.hash != again.hash


def test_other_totals_rules_days_and_links_are_other_hashes(engine: Engine) -> None:
    hashes = {
        reconciled(engine, MAR_1, [EDITED])[0].hash,
        reconciled(engine, MAR_1, [EDITED], off_by=1)[0].hash,
        reconciled(engine, MAR_1, [EDITED], rules_hash="rules-2")[0].hash,
        reconciled(engine, MAR_2, [EDITED])[0].hash,
        reconciled(engine, MAR_1, [EDITED], link="other")[0].hash,
    }
    assert len(hashes) == 5


def test_a_finished_report_is_in_the_audit_trail_with_its_hash(engine: Engine) -> None:
    report, _ = reconciled(engine, MAR_1, [EDITED])
    with engine.connect() as conn:
        detail = conn.execute(
            sa.text("select detail from tieout.audit_event where chain = 'link:acme' and event = 'report.finished'")
        ).scalar_one()
    assert detail == {"as_of": "2026-03-01", "state": "tied", "hash": report.hash}


def test_the_newest_report_of_a_day_counts_and_a_running_one_does_not(engine: Engine) -> None:
    with engine.connect() as conn:
        assert report_store.newest(conn, LINK) is None
    reconciled(engine, MAR_2, [EDITED])
    past, _ = reconciled(engine, MAR_1, [EDITED])
    rerun, _ = reconciled(engine, MAR_2, [])
    with engine.begin() as conn:
        running = opened(conn, MAR_3)
        assert report_store.of_run(conn, RUN) == running
        assert report_store.newest(conn, LINK) == rerun
        assert report_store.newest(conn, LINK, MAR_1) == past
        assert report_store.newest(conn, LINK, MAR_3) is None
        assert report_store.previous(conn, rerun) == past
        assert report_store.previous(conn, past) is None
        with pytest.raises(NoSuchReport, match="there is no report 999"):
            report_store.get(conn, 999)


def test_a_period_adds_its_days_and_shows_what_came_and_went(engine: Engine) -> None:
    reconciled(engine, FEB_28, [DOUBLE])
    reconciled(engine, MAR_1, [EDITED, DOUBLE])
    reconciled(engine, MAR_2, [replace(EDITED, amount=40000), DOUBLE, SHORT_LIVED])
    reconciled(engine, MAR_3, [replace(EDITED, amount=40000)])
    with engine.connect() as conn:
        found = rolls.period(conn, LINK, MAR_1, date(2026, 3, 31))
    assert found.opened_with is not None
    assert (found.opened_with.as_of, [one.as_of for one in found.reports]) == (FEB_28, [MAR_1, MAR_2, MAR_3])
    assert found.rolls == (
        Roll("invoices", "GBP", 0, 0, 2, 44700, 1, 700, -4000, 1, 40000),
        Roll("payments", "GBP", 1, -12000, 0, 0, 1, -12000, 0, 0, 0),
    )


def test_a_period_closes_although_a_day_in_it_was_reconciled_again(engine: Engine) -> None:
    reconciled(engine, MAR_1, [EDITED])
    reconciled(engine, MAR_2, [EDITED])
    reconciled(engine, MAR_3, [EDITED])
    reconciled(engine, MAR_2, [DOUBLE, SHORT_LIVED])  # MAR_3 still opens with the report that this one replaces
    with engine.connect() as conn:
        found = rolls.period(conn, LINK, MAR_1, MAR_3)
    assert found.rolls == (
        Roll("invoices", "GBP", 0, 0, 3, 88700, 2, 44700, 0, 1, 44000),
        Roll("payments", "GBP", 0, 0, 1, -12000, 1, -12000, 0, 0, 0),
    )


def test_a_period_without_a_report_says_so(engine: Engine) -> None:
    with engine.connect() as conn, pytest.raises(NoSuchReport, match="has no reconciliation from 2026-03-01"):
        rolls.period(conn, LINK, MAR_1, MAR_3)
