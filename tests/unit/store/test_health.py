"""The figures of the health page, from runs, calls and letters that are put there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from tieout.store import health

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def run(conn: Connection, started: datetime, seconds: int, state: str = "succeeded", counts: str = "{}") -> None:
    conn.execute(
        sa.text(
            "insert into tieout.sync_run (run_id, link, scenario, state, trigger, mapping_hash, suite_hash, "
            "code_version, counts, started_at, finished_at) values (:id, 'acme', 'quote_to_cash', :state, 'cli', 'm', "
            "'s', 'c', cast(:counts as jsonb), :started, :finished)"
        ),
        {"id": uuid4(), "state": state, "counts": counts, "started": started,
         "finished": started + timedelta(seconds=seconds)},
    )  # fmt: skip


def attempts(conn: Connection, outcome: str | None, milliseconds: list[int]) -> None:
    intent = conn.execute(
        sa.text(
            "insert into tieout.intent (link, target, doc_uid, kind, operation, entity, revision, source, "
            "source_object, source_id, source_system, source_entity, natural_key, idempotency_key, body, run_id) "
            "values ('acme', 'ledger', :uid, 'customer', 'contacts.create', 'account', 1, 'crm', 'Account', '1', 's', "
            "'account', 'k', 'i', '{}', cast(:run as uuid)) returning intent_id"
        ),
        {"uid": uuid4().hex, "run": uuid4()},
    ).scalar_one()
    for took in milliseconds:
        answered = None if outcome is None else NOW + timedelta(milliseconds=took)
        conn.execute(
            sa.text(
                "insert into tieout.attempt (intent_id, fence, worker, kind, outcome, sent_at, answered_at) "
                "values (:intent, 1, 'w', 'send', :outcome, :sent, :answered)"
            ),
            {"intent": intent, "outcome": outcome, "sent": NOW, "answered": answered},
        )


def test_runs_are_counted_by_day_and_a_days_length_is_their_median(engine: Engine) -> None:
    yesterday = NOW - timedelta(days=1)
    with engine.begin() as conn:
        run(conn, NOW - timedelta(days=40), 5)  # before the days that are looked at
        for seconds, state in ((10, "succeeded"), (20, "partial"), (90, "failed")):
            run(conn, yesterday, seconds, state, '{"read": 4, "posted": 3}')
        run(conn, NOW, 7, counts='{"read": "many"}')
        found = health.runs_by_day(conn, NOW)
    assert [(one.day, one.runs, one.failed, one.partial, one.read, one.posted, one.seconds) for one in found] == [
        (date(2026, 11, 25), 3, 1, 1, 12, 9, 20.0),
        (date(2026, 11, 26), 1, 0, 0, 0, 0, 7.0),
    ]


def test_calls_are_told_by_their_answer_with_median_and_the_slow_end(engine: Engine) -> None:
    with engine.begin() as conn:
        attempts(conn, "applied", [10] * 18 + [1000, 1000])
        attempts(conn, "refused", [30])
        attempts(conn, None, [0])
        applied, *others = health.calls(conn)
    assert (applied.target, applied.kind, applied.outcome, applied.count) == ("ledger", "send", "applied", 20)
    assert (applied.median_ms, applied.p95_ms) == (10.0, 1000.0)
    assert {one.outcome: (one.count, one.median_ms) for one in others} == {
        "refused": (1, 30.0), "no answer yet": (1, None),
    }  # fmt: skip


def test_only_the_newest_calls_are_looked_at(engine: Engine) -> None:
    with engine.begin() as conn:
        attempts(conn, "refused", [10] * 5)
        attempts(conn, "applied", [10] * 3)
        [found] = health.calls(conn, most=3)
    assert (found.outcome, found.count) == ("applied", 3)
