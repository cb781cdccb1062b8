"""Fiscal periods: their states, reopening by two people, and what the database refuses to everybody."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from tests.support.delivery import RUN, intent, rows
from tests.support.postgres import PostgresServer
from tieout.delivery import intents, people
from tieout.delivery.intents import ClosedPeriod, NewIntent
from tieout.store import audit, migrate, periods
from tieout.store.engine import connect
from tieout.store.periods import Refused

LINK = "acme"


@dataclass(frozen=True)
class Month:
    """A period as model.calendar.Period has it."""

    label: str
    first: date
    last: date


FEBRUARY = Month("FY2026-P02", date(2026, 2, 1), date(2026, 2, 28))
MARCH = Month("FY2026-P03", date(2026, 3, 1), date(2026, 3, 31))


def closed(engine: Engine, month: Month = MARCH) -> None:
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, month, "Ann", "the books of the month")
    with engine.begin() as conn:
        periods.close(conn, LINK, month.label, "Rex", {"report": 7, "hash": "abc"})


def plan(engine: Engine, *made: NewIntent) -> intents.Added:
    with engine.begin() as conn:
        return intents.add(conn, made, RUN, "test")


def sql(engine: Engine, statement: str, **values: Any) -> None:
    with engine.begin() as conn:
        conn.execute(sa.text(statement), values)


def refused(engine: Engine, statement: str, match: str, **values: Any) -> None:
    with pytest.raises(DBAPIError, match=match):
        sql(engine, statement, **values)


# --- states and events ------------------------------------------------------------------------------------------------


def test_a_period_goes_from_open_by_closing_to_closed_and_each_step_is_told(engine: Engine) -> None:
    with engine.connect() as conn:
        assert periods.state_of(conn, LINK, MARCH.label) is None
    closed(engine)
    with engine.connect() as conn:
        (state,) = periods.states(conn, LINK)
        assert (state.label, state.first, state.last) == (MARCH.label, MARCH.first, MARCH.last)
        assert (state.state, state.changed_by) == ("closed", "Rex")
        told = periods.events(conn, LINK, MARCH.label)
        assert [(one.event, one.actor) for one in told] == [("closed", "Rex"), ("closing_begun", "Ann")]
        assert told[0].detail == {"report": 7, "hash": "abc"} and told[1].detail["note"] == "the books of the month"
        assert audit.verify(conn, f"link:{LINK}") is None
        assert periods.states(conn, "another") == [] and periods.links(conn) == [LINK]
    found = rows(engine, "select event, actor, subject from tieout.audit_event order by seq")
    subject = f"period:{LINK}:{MARCH.label}"
    assert found == [{"event": "period.closing_begun", "actor": "Ann", "subject": subject},
                     {"event": "period.closed", "actor": "Rex", "subject": subject}]  # fmt: skip


def test_closing_can_be_stopped_and_begun_again(engine: Engine) -> None:
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, MARCH, "Ann")
        periods.stop_closing(conn, LINK, MARCH.label, "Ann", "an invoice is missing")
        periods.begin_closing(conn, LINK, MARCH, "Ann")
    with engine.connect() as conn:
        state = periods.state_of(conn, LINK, MARCH.label)
    assert state is not None and state.state == "closing"


@pytest.mark.parametrize(
    ("act", "match"),
    [
        (lambda conn: periods.close(conn, LINK, MARCH.label, "Rex", {}), "begin closing it first"),
        (lambda conn: periods.stop_closing(conn, LINK, MARCH.label, "Rex"), "begin closing it first"),
        (lambda conn: periods.ask_to_reopen(conn, LINK, MARCH.label, "Rex", "late"), "begin closing it first"),
        (lambda conn: periods.begin_closing(conn, LINK, MARCH, "  "), "needs the name"),
        (lambda conn: periods.decide_reopening(conn, 77, "Rex", True), "no reopening 77"),
    ],
)
def test_what_cannot_be_done_with_an_open_period(
    engine: Engine, act: Callable[[Connection], object], match: str
) -> None:
    with pytest.raises(Refused, match=match), engine.begin() as conn:
        act(conn)


def test_a_period_that_was_begun_and_stopped_cannot_be_closed_at_once(engine: Engine) -> None:
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, MARCH, "Ann")
        periods.stop_closing(conn, LINK, MARCH.label, "Ann")
    with pytest.raises(Refused, match="is open: it cannot become closed"), engine.begin() as conn:
        periods.close(conn, LINK, MARCH.label, "Rex", {})


def test_two_periods_of_a_link_do_not_overlap_and_of_two_links_they_may(engine: Engine) -> None:
    closed(engine)
    late = Month("FY2026-P3b", date(2026, 3, 31), date(2026, 4, 30))
    with pytest.raises(Refused, match=r"FY2026-P3b of acme .* overlaps FY2026-P03"), engine.begin() as conn:
        periods.begin_closing(conn, LINK, late, "Ann")
    with engine.begin() as conn:
        periods.begin_closing(conn, "another", late, "Ann")
        periods.begin_closing(conn, LINK, FEBRUARY, "Ann")


def test_a_calendar_that_changed_its_days_is_told(engine: Engine) -> None:
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, MARCH, "Ann")
        periods.stop_closing(conn, LINK, MARCH.label, "Ann")
    with pytest.raises(Refused, match="kept as 2026-03-01 to 2026-03-31"), engine.begin() as conn:
        periods.begin_closing(conn, LINK, replace(MARCH, last=date(2026, 3, 28)), "Ann")


# --- documents and closed periods -------------------------------------------------------------------------------------


def test_nothing_is_planned_into_a_closed_period_and_the_words_say_which(engine: Engine) -> None:
    closed(engine)
    with pytest.raises(ClosedPeriod, match=r"Order 1 is dated 2026-03-31, in period FY2026-P03 of acme, which Rex"):
        plan(engine, intent(1, posting_date=MARCH.last))
    plan(engine, intent(2, posting_date=date(2026, 4, 1)), intent(3, posting_date=FEBRUARY.last))
    plan(engine, intent(4, kind="write_back", posting_date=None))
    plan(engine, intent(5, link="another", posting_date=MARCH.last))
    assert rows(engine, "select count(*) as n from tieout.intent") == [{"n": 4}]


def test_one_document_of_a_closed_period_keeps_the_whole_statement_out(engine: Engine) -> None:
    closed(engine)
    many = [intent(n, posting_date=date(2026, 4, 1)) for n in range(200)]
    with pytest.raises(ClosedPeriod):
        plan(engine, *many, intent(999, posting_date=MARCH.first))
    assert rows(engine, "select count(*) as n from tieout.intent") == [{"n": 0}]


@pytest.mark.parametrize("state", ["READY", "CLAIMED", "IN_FLIGHT", "UNKNOWN", "HELD"])
def test_a_period_is_not_closed_while_something_of_it_may_be_sent(engine: Engine, state: str) -> None:
    plan(engine, intent(1, posting_date=MARCH.last))
    sql(engine, "update tieout.intent set state = :state, reason = 'x', owner = 'x'", state=state)
    number = rows(engine, "select intent_id from tieout.intent")[0]["intent_id"]
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, MARCH, "Ann")
    with pytest.raises(Refused, match=rf"1 documents .* may still be sent \(intent {number} {state}\)"):
        close_march(engine)
    sql(engine, "update tieout.intent set state = 'CONFIRMED'")
    with engine.begin() as conn:
        periods.close(conn, LINK, MARCH.label, "Rex", {})


def test_a_document_that_was_refused_is_not_tried_again_once_its_period_is_closed(engine: Engine) -> None:
    plan(engine, intent(1, posting_date=MARCH.last))
    sql(engine, "update tieout.intent set state = 'REJECTED', reason = 'period_locked'")
    number = rows(engine, "select intent_id from tieout.intent")[0]["intent_id"]
    closed(engine)
    words = r"Rex closed FY2026-P03 of acme on .*`tieout period reopen acme FY2026-P03`"
    with pytest.raises(people.NotPossible, match=words), engine.begin() as conn:
        people.try_again(conn, number, "Ann")
    refused(engine, "update tieout.intent set state = 'READY'", f"intent {number} is dated 2026-03-31")
    with engine.begin() as conn:
        asked = periods.ask_to_reopen(conn, LINK, MARCH.label, "Ann", "it was refused and belongs there")
        periods.decide_reopening(conn, asked, "Rex", agreed=True)
        people.try_again(conn, number, "Ann")
    assert rows(engine, "select state from tieout.intent") == [{"state": "READY"}]


@pytest.mark.parametrize(
    "kind", ["invoice", "credit_memo", "allocation", "refund", "write_off", "write_off_allocation"]
)
def test_a_document_of_the_books_has_a_date(engine: Engine, kind: str) -> None:
    with pytest.raises(DBAPIError, match="intent_is_dated"):
        plan(engine, intent(1, kind=kind, posting_date=None))


# --- talking it around, in plain SQL ----------------------------------------------------------------------------------

COPY = """
insert into tieout.intent (link, target, doc_uid, kind, operation, entity, revision, source, source_object, source_id,
    source_system, source_entity, natural_key, idempotency_key, body, run_id, posting_date, state, reason, owner)
select link, target, doc_uid || 'x', kind, operation, entity, revision, source, source_object, source_id, source_system,
    source_entity, natural_key, idempotency_key, body, run_id, cast(:day as date), :state, 'x', 'x' from tieout.intent
"""


@pytest.fixture
def one_of_february(engine: Engine) -> Engine:
    """March is closed; a document of February is settled and another one was refused."""
    plan(engine, intent(1, posting_date=FEBRUARY.last))
    sql(engine, "update tieout.intent set state = 'CONFIRMED'")
    closed(engine)
    return engine


@pytest.mark.parametrize("state", ["READY", "REJECTED", "CONFIRMED", "HELD"])
def test_no_insert_gets_in_whatever_its_state_says(one_of_february: Engine, state: str) -> None:
    refused(one_of_february, COPY, "which Rex closed", day=MARCH.first, state=state)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("update tieout.intent set posting_date = '2026-03-05'", "stay as they were planned"),
        ("update tieout.intent set posting_date = null", "stay as they were planned"),
        ("update tieout.intent set link = 'another'", "stay as they were planned"),
        ("update tieout.period set state = 'open'", "nobody agreed to reopen it"),
        ("update tieout.period set state = 'closing'", "it cannot become closing"),
        ("update tieout.period set last = '2026-03-04'", "its days stay"),
        ("update tieout.period set label = 'FY2026-P99'", "its days stay"),
        ("update tieout.period set link = 'another'", "its days stay"),
        ("update tieout.period set changed_at = now()", "it cannot become closed"),
        ("delete from tieout.period", "append-only"),
        ("truncate tieout.period cascade", "append-only"),
        ("delete from tieout.period_event", "append-only"),
        ("update tieout.period_event set actor = 'nobody'", "append-only"),
        ("truncate tieout.period_event", "append-only"),
        ("insert into tieout.period (link, label, first, last, state, changed_by) values "
         "('acme', 'FY2026-P04', '2026-04-01', '2026-04-30', 'closed', 'Ann')", "after it was closing"),
        ("insert into tieout.period (link, label, first, last, changed_by) values "
         "('acme', 'mine', '2026-03-01', '2026-03-31', 'Ann')", "overlaps"),
        ("insert into tieout.period_reopening (link, label, asked_by, reason, decided_by, decided_at, agreed) values "
         "('acme', 'FY2026-P03', 'Ann', 'late', 'Rex', now(), true)", "decided by another one"),
        ("insert into tieout.period_reopening (link, label, asked_by, reason) values "
         "('acme', 'FY2026-P03', 'Ann', '  ')", "period_reopening_said"),
    ],
)  # fmt: skip
def test_no_statement_opens_a_closed_period_or_moves_a_document_into_it(
    one_of_february: Engine, statement: str, match: str
) -> None:
    refused(one_of_february, statement, match)
    with one_of_february.connect() as conn:
        state = periods.state_of(conn, LINK, MARCH.label)
    assert state is not None and state.state == "closed"


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_snapshot_is_no_way_in(engine: Engine, level: str) -> None:
    """It would not see that the period was closed meanwhile."""
    with engine.connect().execution_options(isolation_level=level) as early, early.begin():
        early.execute(sa.text("select count(*) from tieout.period"))
        closed(engine)
        with pytest.raises(ClosedPeriod, match=f"READ COMMITTED, not {level}"):
            intents.add(early, [intent(1, posting_date=MARCH.first)], RUN, "test")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_snapshot_closes_nothing(engine: Engine, level: str) -> None:
    """It would not see what was planned meanwhile."""
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, MARCH, "Ann")
    with engine.connect().execution_options(isolation_level=level) as early, early.begin():
        early.execute(sa.text("select count(*) from tieout.intent"))
        plan(engine, intent(1, posting_date=MARCH.first))
        with pytest.raises(DBAPIError, match="READ COMMITTED"):
            early.execute(sa.text("update tieout.period set state = 'closed'"))


# --- reopening --------------------------------------------------------------------------------------------------------


def ask(engine: Engine, who: str = "Ann", why: str = "an invoice was forgotten") -> int:
    with engine.begin() as conn:
        return periods.ask_to_reopen(conn, LINK, MARCH.label, who, why)


def test_one_person_asks_with_a_reason_and_another_one_opens(engine: Engine) -> None:
    closed(engine)
    asked = ask(engine)
    with engine.connect() as conn:
        state = periods.state_of(conn, LINK, MARCH.label)
        waiting = periods.reopenings(conn, LINK, undecided=True)
    assert state is not None and state.state == "closed"
    assert [(one.reopening_id, one.asked_by, one.reason) for one in waiting] == [
        (asked, "Ann", "an invoice was forgotten")
    ]
    with engine.begin() as conn:
        decided = periods.decide_reopening(conn, asked, "Rex", agreed=True, note="by Friday")
    assert (decided.decided_by, decided.agreed, decided.note) == ("Rex", True, "by Friday")
    with engine.connect() as conn:
        state = periods.state_of(conn, LINK, MARCH.label)
        assert [one.event for one in periods.events(conn, LINK)] == [
            "reopened", "reopening_asked", "closed", "closing_begun"
        ]  # fmt: skip
        assert audit.verify(conn, f"link:{LINK}") is None
    assert state is not None and (state.state, state.changed_by) == ("open", "Rex")
    plan(engine, intent(1, posting_date=MARCH.last))


@pytest.mark.parametrize("who", ["Ann", " ann ", "A n n", "ANN"])
def test_nobody_agrees_to_what_they_asked_for(engine: Engine, who: str) -> None:
    closed(engine)
    asked = ask(engine)
    with pytest.raises(Refused, match="another person has to agree"), engine.begin() as conn:
        periods.decide_reopening(conn, asked, who, agreed=True)
    refused(
        engine, "update tieout.period_reopening set agreed = true, decided_by = :who, decided_at = now()",
        "another person has to agree", who=who,
    )  # fmt: skip
    refused(
        engine, "update tieout.period_reopening set agreed = true, decided_by = 'Rex', asked_by = 'Eve', "
        "decided_at = now()", "what was asked stays",
    )  # fmt: skip


def test_a_refusal_needs_a_reason_and_who_asked_may_take_it_back(engine: Engine) -> None:
    closed(engine)
    asked = ask(engine)
    with pytest.raises(Refused, match="needs a reason"), engine.begin() as conn:
        periods.decide_reopening(conn, asked, "Rex", agreed=False)
    with engine.begin() as conn:
        periods.decide_reopening(conn, asked, "Ann", agreed=False, note="found it")
    with pytest.raises(Refused, match="decided once"), engine.begin() as conn:
        periods.decide_reopening(conn, asked, "Rex", agreed=True)
    with engine.connect() as conn:
        assert periods.waiting(conn, LINK, MARCH.label) is None
        assert periods.events(conn, LINK)[0].event == "reopening_refused"
    assert ask(engine, "Eve") > asked


def test_it_is_asked_for_once_and_with_a_reason(engine: Engine) -> None:
    closed(engine)
    with pytest.raises(Refused, match="needs a reason"):
        ask(engine, why=" ")
    ask(engine)
    with pytest.raises(Refused, match="Ann asked to reopen FY2026-P03 of acme already"):
        ask(engine, "Eve")


def test_an_agreement_opens_the_period_once(engine: Engine) -> None:
    """What was agreed to about one closing says nothing about the next one."""
    closed(engine)
    with engine.begin() as conn:
        periods.decide_reopening(conn, ask_in(conn), "Rex", agreed=True)
    closed(engine)
    refused(engine, "update tieout.period set state = 'open'", "nobody agreed to reopen it")
    with pytest.raises(Refused, match="there is nothing to reopen"), engine.begin() as conn:
        periods.decide_reopening(conn, ask_in(conn), "Rex", agreed=True)
        ask_in(conn)


def ask_in(conn: Connection) -> int:
    return periods.ask_to_reopen(conn, LINK, MARCH.label, "Ann", "late")


# --- two at once ------------------------------------------------------------------------------------------------------


class Meanwhile:
    """Something that runs in a thread and a session of its own."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._running = self._pool.submit(act)

    def waits(self, engine: Engine) -> bool:
        """Whether a session waits for a lock; asked until it does, or this has ended."""
        while not self._running.done():
            if rows(engine, "select 1 from pg_locks where not granted"):
                return True
            time.sleep(0.02)
        return False

    def outcome(self) -> BaseException | None:
        """What it came to; None where nothing was raised."""
        error = self._running.exception(timeout=60)
        self._pool.shutdown()
        return error


def close_march(engine: Engine) -> None:
    with engine.begin() as conn:
        periods.close(conn, LINK, MARCH.label, "Rex", {})


@pytest.mark.parametrize("begun_before", [True, False])
def test_who_plans_first_keeps_the_period_open(engine: Engine, begun_before: bool) -> None:
    """Also where the period had no row yet when the document was planned."""
    if begun_before:
        with engine.begin() as conn:
            periods.begin_closing(conn, LINK, MARCH, "Ann")
    with engine.begin() as planning:
        intents.add(planning, [intent(1, posting_date=MARCH.last)], RUN, "test")

        def close() -> None:
            if not begun_before:
                with engine.begin() as conn:
                    periods.begin_closing(conn, LINK, MARCH, "Ann")
            close_march(engine)

        other = Meanwhile(close)
        assert other.waits(engine)
    assert isinstance(found := other.outcome(), Refused) and "may still be sent" in str(found)
    assert rows(engine, "select count(*) as n from tieout.intent") == [{"n": 1}]


def test_who_closes_first_keeps_the_document_out(engine: Engine) -> None:
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, MARCH, "Ann")
    with engine.begin() as closing:
        periods.close(closing, LINK, MARCH.label, "Rex", {})
        other = Meanwhile(lambda: plan(engine, intent(1, posting_date=MARCH.last)))
        assert other.waits(engine)
    assert isinstance(found := other.outcome(), ClosedPeriod) and "which Rex closed" in str(found)
    assert rows(engine, "select count(*) as n from tieout.intent") == [{"n": 0}]


def test_a_close_that_is_given_up_lets_the_document_in(engine: Engine) -> None:
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, MARCH, "Ann")
    with engine.connect() as closing:
        periods.close(closing, LINK, MARCH.label, "Rex", {})
        other = Meanwhile(lambda: plan(engine, intent(1, posting_date=MARCH.last)))
        assert other.waits(engine)
        closing.rollback()
    assert other.outcome() is None
    assert rows(engine, "select count(*) as n from tieout.intent") == [{"n": 1}]


def test_a_document_that_is_tried_again_and_a_close_see_each_other(engine: Engine) -> None:
    plan(engine, intent(1, posting_date=MARCH.last))
    sql(engine, "update tieout.intent set state = 'REJECTED', reason = 'x'")
    number = rows(engine, "select intent_id from tieout.intent")[0]["intent_id"]
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, MARCH, "Ann")
    with engine.begin() as trying:
        people.try_again(trying, number, "Ann")
        other = Meanwhile(lambda: close_march(engine))
        assert other.waits(engine)
    assert isinstance(other.outcome(), Refused)


def test_two_who_plan_do_not_wait_for_each_other(engine: Engine) -> None:
    with engine.begin() as conn:
        intents.add(conn, [intent(1, posting_date=MARCH.last)], RUN, "test")
        other = Meanwhile(lambda: plan(engine, intent(2, target="other books", posting_date=MARCH.last)))
        assert other.outcome() is None


# --- what was there before --------------------------------------------------------------------------------------------


def test_what_was_planned_before_gets_the_date_of_its_body(postgres_server: PostgresServer) -> None:
    engine = connect(postgres_server.empty_database())
    insert = """
        insert into tieout.intent (link, target, doc_uid, kind, operation, entity, revision, source, source_object,
            source_id, source_system, source_entity, natural_key, idempotency_key, body, run_id, state, vendor_id,
            created_at)
        values ('acme', 'books', :uid, :kind, 'x', 'x', 1, 'crm', 'Order', :uid, 'x', 'x', :key, 'x',
            cast(:body as text)::bytea, gen_random_uuid(), 'READY', :vendor, '2026-05-06 07:00+00')
    """
    given = [
        ("invoice", "INV-1", '{"Type":"ACCREC","Date":"2026-03-10","DueDate":"2026-04-09"}', "v-1"),
        ("allocation", "n:v-1", '{"Amount":70.1,"Date":"2026-04-02"}', None),
        ("void", "v-1", '{"InvoiceID":"v-1","Status":"VOIDED"}', None),
        ("void", "v-2", '{"InvoiceID":"v-2","Status":"DELETED"}', None),
        ("credit_memo", "k", '{"Type":"ACCRECCREDIT"}', None),
        ("customer", "C-1", '{"Name":"Acme","Date":"2026-03-10"}', None),
    ]
    try:
        migrate.upgrade(engine, "0007")
        with engine.begin() as conn:
            for number, (kind, key, body, vendor) in enumerate(given):
                values = {"uid": f"u{number}", "kind": kind, "key": key, "body": body, "vendor": vendor}
                conn.execute(sa.text(insert), values)
        migrate.upgrade(engine)
        found = rows(engine, "select kind, posting_date from tieout.intent order by intent_id")
        assert [row["posting_date"] for row in found] == [
            date(2026, 3, 10), date(2026, 4, 2), date(2026, 3, 10), None, date(2026, 5, 6), None
        ]  # fmt: skip
    finally:
        engine.dispose()
