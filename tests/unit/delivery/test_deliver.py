"""Delivery against a ledger that loses, delays, refuses and doubles: what each fault leads to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import LIMITS, child, intent, plan, rows, run, run_until_settled, states
from tests.support.invariants import check_always, check_ended, sees_committed_intent
from tests.support.ledger import OPERATIONS, SEND_FAULTS, MemoryLedger, VirtualClock
from tieout.connectors.base import Guard
from tieout.delivery.settle import Outcome
from tieout.model.errors import AuthenticationFailed

CREATING = [name for name, each in OPERATIONS.items() if each.creates]


@pytest.fixture
def ledger(engine: Engine) -> MemoryLedger:
    books = MemoryLedger(VirtualClock(), lag=5.0)
    books.before_send = sees_committed_intent(engine, lambda: books)
    return books


@pytest.mark.parametrize("operation", CREATING)
def test_each_document_is_posted_once_in_batches(engine: Engine, ledger: MemoryLedger, operation: str) -> None:
    plan(engine, [intent(n, operation) for n in range(25)], ledger.clock)
    summary = run(engine, ledger)
    check_always(engine, ledger, "books")
    assert set(states(engine).values()) == {"CONFIRMED"}
    assert summary.states == {"CONFIRMED": 25}
    assert summary.send_calls == -(-25 // OPERATIONS[operation].batch) or LIMITS.claim_intents % 10
    assert len(ledger.documents) == 25
    assert summary.due_in is None and summary.waiting == {}
    again = run(engine, ledger)
    assert again.sent == 0 and again.claimed == 0


@pytest.mark.parametrize("operation", CREATING)
@pytest.mark.parametrize("fault", SEND_FAULTS)
def test_no_fault_makes_a_second_document_or_loses_one(
    engine: Engine, ledger: MemoryLedger, operation: str, fault: str
) -> None:
    ledger.faults = iter([fault, "ok", fault])
    plan(engine, [intent(n, operation) for n in range(6)], ledger.clock)
    run_until_settled(engine, ledger)
    check_always(engine, ledger, "books")
    check_ended(engine, terminal=("CONFIRMED",))
    assert sorted(each.natural_key for each in ledger.documents) == [f"INV-{n}" for n in range(6)]


def test_an_uncertain_send_waits_for_the_quiet_period_and_a_look_up(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(1)], ledger.clock)
    summary = run(engine, ledger)
    assert states(engine) == {"1": "UNKNOWN"}
    assert summary.due_in == pytest.approx(35.0, abs=0.01)
    ledger.clock.sleep(34.9)
    assert run(engine, ledger).looked_up == 0
    ledger.clock.sleep(0.2)
    summary = run(engine, ledger)
    assert (summary.looked_up, summary.sent) == (1, 0)
    assert summary.outcomes == {"found_equal": 1}
    assert states(engine) == {"1": "CONFIRMED"}
    assert rows(engine, "select origin from tieout.crosswalk") == [{"origin": "found"}]
    check_always(engine, ledger, "books")


def test_each_item_of_a_batch_ends_on_its_own(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["item_missing_not_applied"])
    plan(engine, [intent(1), intent(2), intent(3, body={"refuse": "validation"})], ledger.clock)
    run(engine, ledger)
    assert states(engine) == {"1": "UNKNOWN", "2": "CONFIRMED", "3": "REJECTED"}
    attempts = rows(engine, "select outcome, count(*) as n from tieout.attempt group by 1 order by 1")
    assert attempts == [{"outcome": o, "n": 1} for o in ("applied", "refused", "uncertain")]
    check_always(engine, ledger, "books")


def test_an_item_that_spoils_its_batch_does_not_take_the_others_with_it(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1), intent(2, body={"refuse": "batch"}), intent(3)], ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "CONFIRMED", "2": "REJECTED", "3": "CONFIRMED"}
    assert rows(engine, "select reason from tieout.dead_letter") == [{"reason": "batch_refused"}]
    check_always(engine, ledger, "books")


def test_a_refusal_is_rejected_with_a_dead_letter_that_a_new_revision_closes(
    engine: Engine, ledger: MemoryLedger
) -> None:
    plan(engine, [intent(1, body={"refuse": "period_locked"})], ledger.clock)
    run(engine, ledger)
    letter = rows(engine, "select * from tieout.dead_letter")[0]
    assert (letter["stage"], letter["reason"], letter["state"]) == ("deliver", "period_locked", "open")
    assert (letter["connection"], letter["system"], letter["entity"]) == ("crm", "salesforce", "order")
    assert letter["expected"] and letter["found"] and letter["remedy"]
    plan(engine, [intent(1, revision=2)], ledger.clock)
    run(engine, ledger)
    assert states(engine) == {"1": "REJECTED", "1.2": "CONFIRMED"}
    assert rows(engine, "select state from tieout.dead_letter") == [{"state": "resolved"}]
    check_always(engine, ledger, "books")


def test_a_number_that_a_person_took_is_held_with_what_differs(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.make("INV-1", b'{"number": "INV-1", "amount": 777}')
    plan(engine, [intent(1)], ledger.clock)
    summary = run_until_settled(engine, ledger)
    held = rows(engine, "select state, reason, owner, message from tieout.intent")[0]
    assert (held["state"], held["reason"], held["owner"]) == ("HELD", "number_taken", "finance")
    assert "amount: sent '1000', found '777'" in held["message"]
    assert summary.oldest_held_seconds is not None
    assert rows(engine, "select expected, found from tieout.dead_letter") == [
        {"expected": "amount = 1000", "found": "amount = 777"}
    ]
    check_always(engine, ledger, "books")


def test_a_number_refused_because_of_our_own_document_is_confirmed(engine: Engine, ledger: MemoryLedger) -> None:
    one = intent(1)
    ledger.make("INV-1", one.body, one.doc_uid)  # an earlier life of the database posted it
    plan(engine, [one], ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "CONFIRMED"}
    assert len(ledger.documents) == 1


def test_two_documents_under_one_key_are_held_with_an_alarm(engine: Engine, ledger: MemoryLedger) -> None:
    one = intent(1, "bare.create")
    ledger.lag = 0.0
    ledger.make("INV-1", one.body)
    ledger.make("INV-1", one.body)
    plan(engine, [one], ledger.clock)
    summary = run(engine, ledger)
    assert states(engine) == {"1": "HELD"}
    assert summary.alarms == [one.doc_uid]
    assert summary.sent == 0


def test_a_vendor_document_of_another_intent_is_held(engine: Engine, ledger: MemoryLedger) -> None:
    # An upsert by a key that another operation has used: the vendor gives both the same document.
    plan(engine, [intent(1), intent(2, "durable.create", natural_key="INV-1")], ledger.clock)
    run(engine, ledger)
    assert sorted(states(engine).values()) == ["CONFIRMED", "HELD"]
    assert rows(engine, "select reason from tieout.intent where state = 'HELD'") == [{"reason": "vendor_id_taken"}]


def test_a_bare_ledger_is_looked_up_before_the_first_send_others_are_not(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(n, name) for n, name in enumerate(CREATING)], ledger.clock)
    summary = run(engine, ledger)
    assert summary.looked_up == 1
    assert OPERATIONS["bare.create"].guard is Guard.LOOK_UP


def test_an_update_that_was_lost_is_sent_again_not_held(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1)], ledger.clock)
    run(engine, ledger)
    ledger.faults = iter(["lost_request"])
    plan(engine, [intent(1, "document.update", revision=2, body={"amount": 1200})], ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "CONFIRMED", "1.2": "CONFIRMED"}
    assert b"1200" in ledger.documents[0].body
    check_always(engine, ledger, "books")


def test_a_later_revision_waits_for_the_earlier_one(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(1)], ledger.clock)
    run(engine, ledger)
    plan(engine, [intent(1, "document.update", revision=2, body={"amount": 1200})], ledger.clock)
    run(engine, ledger)
    assert states(engine) == {"1": "UNKNOWN", "1.2": "READY"}
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "CONFIRMED", "1.2": "CONFIRMED"}


def test_a_throttled_batch_stops_the_run_and_says_when(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["throttled"])
    plan(engine, [intent(n) for n in range(15)], ledger.clock)
    summary = run(engine, ledger)
    assert summary.send_calls == 1 and summary.due_in == 7.0 and summary.stopped
    assert set(states(engine).values()) == {"READY"}
    run_until_settled(engine, ledger)
    check_ended(engine, terminal=("CONFIRMED",))
    check_always(engine, ledger, "books")


def test_refused_credentials_lose_nothing(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["ok", "unauthorised"])
    plan(engine, [intent(n) for n in range(30)], ledger.clock)
    with pytest.raises(AuthenticationFailed):
        run(engine, ledger)
    counted = rows(engine, "select state, count(*) as n from tieout.intent group by 1 order by 1")
    assert counted == [{"state": "CONFIRMED", "n": 10}, {"state": "READY", "n": 20}]
    run(engine, ledger)
    check_ended(engine, terminal=("CONFIRMED",))
    check_always(engine, ledger, "books")


def test_a_connector_that_fails_leaves_its_batch_unknown(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["broken_connector"])
    plan(engine, [intent(n) for n in range(15)], ledger.clock)
    with pytest.raises(KeyError):
        run(engine, ledger)
    counted = rows(engine, "select state, count(*) as n from tieout.intent group by 1 order by 1")
    assert counted == [{"state": "READY", "n": 5}, {"state": "UNKNOWN", "n": 10}]
    run_until_settled(engine, ledger)
    check_ended(engine, terminal=("CONFIRMED",))
    check_always(engine, ledger, "books")


def test_a_vendor_that_is_down_is_left_alone_after_three_silent_requests(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["lost_request"] * 3)
    plan(engine, [intent(n) for n in range(60)], ledger.clock)
    summary = run(engine, ledger)
    assert summary.send_calls == 3 and summary.states == {"UNKNOWN": 30}
    assert summary.stopped is not None and "down" in summary.stopped
    run_until_settled(engine, ledger)
    check_ended(engine, terminal=("CONFIRMED",))


def test_what_is_never_applied_is_held_at_last(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["lost_request"] * 100)
    plan(engine, [intent(1)], ledger.clock)
    run_until_settled(engine, ledger)
    assert rows(engine, "select state, reason, sends from tieout.intent") == [
        {"state": "HELD", "reason": "never_settles", "sends": LIMITS.most_sends}
    ]


def test_a_failing_look_up_delays_only_what_needs_it(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(1)], ledger.clock)
    run(engine, ledger)
    ledger.clock.sleep(40)
    ledger.look_up_faults = iter(["look_up_fails"])
    plan(engine, [intent(2)], ledger.clock)
    summary = run(engine, ledger)
    assert states(engine) == {"1": "UNKNOWN", "2": "CONFIRMED"}
    assert summary.due_in == pytest.approx(LIMITS.look_up_again_seconds, abs=0.01)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "CONFIRMED", "2": "CONFIRMED"}
    check_always(engine, ledger, "books")


def test_children_go_after_their_parent_with_its_id_whatever_the_order(engine: Engine, ledger: MemoryLedger) -> None:
    parent = intent("c1", "durable.create", kind="customer")
    plan(engine, [child(parent, n) for n in range(3)] + [parent], ledger.clock)
    run(engine, ledger)
    assert set(states(engine).values()) == {"CONFIRMED"}
    vendor_id = next(each.vendor_id for each in ledger.documents if each.natural_key == "INV-c1")
    assert sum(vendor_id.encode() in each.body for each in ledger.documents) == 3
    check_always(engine, ledger, "books")


def test_children_of_a_rejected_parent_are_held_and_go_on_when_it_is_mended(
    engine: Engine, ledger: MemoryLedger
) -> None:
    parent = intent("c1", "durable.create", kind="customer", body={"refuse": "validation"})
    grandchild = child(child(parent, 1), 2)
    plan(engine, [parent, child(parent, 1), grandchild], ledger.clock)
    summary = run(engine, ledger)
    assert summary.held_children == 2
    assert states(engine) == {"c1": "REJECTED", "1": "HELD", "2": "HELD"}
    assert rows(engine, "select reason from tieout.intent where state = 'HELD' order by 1") == [
        {"reason": "parent_held"},
        {"reason": "parent_rejected"},
    ]
    with engine.begin() as conn:  # a person links the customer by hand
        conn.exec_driver_sql(
            "insert into tieout.crosswalk (link, target, entity, vendor_id, doc_uid, source, source_object, source_id, "
            "origin) values ('acme', 'books', 'account', 'v-9', %(uid)s, 'crm', 'Account', 'c1', 'approved')",
            {"uid": parent.doc_uid},
        )
    summary = run(engine, ledger)
    assert summary.put_back == 2
    assert states(engine) == {"c1": "REJECTED", "1": "CONFIRMED", "2": "CONFIRMED"}
    open_letters = rows(engine, "select source_id from tieout.dead_letter where state = 'open'")
    assert open_letters == [{"source_id": "c1"}]
    check_always(engine, ledger, "books")


def test_what_commits_with_a_confirmation_is_undone_with_it(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1)], ledger.clock)

    def fails(conn: object, confirmed: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(engine, ledger, on_confirmed=fails)
    assert states(engine) == {"1": "IN_FLIGHT"}
    confirmed: list[str] = []
    ledger.clock.sleep(LIMITS.lease_seconds)

    def note(conn: object, done: Sequence[Outcome]) -> None:
        confirmed.extend(each.claimed.source_id for each in done)

    run_until_settled(engine, ledger, on_confirmed=note)
    assert confirmed == ["1"] and len(ledger.documents) == 1
    check_always(engine, ledger, "books")
