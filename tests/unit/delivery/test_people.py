"""What a person may do with an intent, and what is refused to everybody."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import LIMITS, child, intent, plan, rows, run, run_until_settled, states
from tests.support.invariants import check_always
from tests.support.ledger import MemoryLedger, VirtualClock
from tieout.delivery import counts, people
from tieout.delivery.states import Change, ForbiddenChange, Journal, State, apply


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(VirtualClock())


def _id(engine: Engine, source_id: str = "1") -> int:
    found = rows(engine, "select intent_id from tieout.intent where source_id = %(id)s", id=source_id)
    return int(found[0]["intent_id"])


def _taken(engine: Engine, ledger: MemoryLedger) -> int:
    """An intent held because a person took its number."""
    ledger.make("INV-1", b'{"number": "INV-1", "amount": 777}')
    plan(engine, [intent(1)], ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "HELD"}
    return _id(engine)


def test_after_the_ledger_was_mended_a_look_up_confirms(engine: Engine, ledger: MemoryLedger) -> None:
    held = _taken(engine, ledger)
    ledger.documents[0].body = intent(1).body
    with engine.begin() as conn:
        people.look_up_again(conn, held, "ann", "corrected the amount", ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "CONFIRMED"}
    assert rows(engine, "select state from tieout.dead_letter") == [{"state": "resolved"}]
    who = rows(engine, "select actor, detail from tieout.audit_event where actor like 'person:%%'")
    assert [(row["actor"], row["detail"]["note"]) for row in who] == [("person:ann", "corrected the amount")]
    check_always(engine, ledger, "books")


def test_after_the_other_document_was_removed_ours_is_posted(engine: Engine, ledger: MemoryLedger) -> None:
    held = _taken(engine, ledger)
    ledger.documents.clear()
    with engine.begin() as conn:
        people.look_up_again(conn, held, "ann", clock=ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "CONFIRMED"} and len(ledger.documents) == 1
    check_always(engine, ledger, "books")


def test_an_accepted_document_lets_the_children_go_on(engine: Engine, ledger: MemoryLedger) -> None:
    held = _taken(engine, ledger)
    plan(engine, [child(intent(1), 2)], ledger.clock)
    run(engine, ledger)
    assert states(engine) == {"1": "HELD", "2": "HELD"}
    with engine.begin() as conn:
        people.accept(
            conn, held, "ann", creates=True, vendor_id=ledger.documents[0].vendor_id, note="same", clock=ledger.clock
        )
    run(engine, ledger)
    assert states(engine) == {"1": "CONFIRMED", "2": "CONFIRMED"}
    crossed = rows(engine, "select origin, decided_by from tieout.crosswalk order by crosswalk_id")
    assert crossed[0] == {"origin": "approved", "decided_by": "ann"}
    check_always(engine, ledger, "books")


def test_a_document_of_another_record_cannot_be_accepted(engine: Engine, ledger: MemoryLedger) -> None:
    held = _taken(engine, ledger)
    plan(engine, [intent(2)], ledger.clock)
    run(engine, ledger)
    other = rows(engine, "select vendor_id from tieout.crosswalk")[0]["vendor_id"]
    with pytest.raises(people.NotPossible, match="in the crosswalk"), engine.begin() as conn:
        people.accept(conn, held, "ann", creates=True, vendor_id=other, clock=ledger.clock)
    assert states(engine) == {"1": "HELD", "2": "CONFIRMED"}


def test_a_cancelled_parent_holds_its_children(engine: Engine, ledger: MemoryLedger) -> None:
    held = _taken(engine, ledger)
    plan(engine, [child(intent(1), 2)], ledger.clock)
    with engine.begin() as conn:
        people.cancel(conn, held, "ann", "entered twice", ledger.clock)
    run(engine, ledger)
    assert states(engine) == {"1": "CANCELLED", "2": "HELD"}
    assert rows(engine, "select reason from tieout.intent where source_id = '2'") == [{"reason": "parent_cancelled"}]


def test_a_rejected_one_is_tried_again_when_every_no_was_definite(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1, body={"refuse": "period_locked"})], ledger.clock)
    run(engine, ledger)
    with engine.begin() as conn:
        people.try_again(conn, _id(engine), "ann", "reopened", ledger.clock)
    run(engine, ledger)
    assert states(engine) == {"1": "REJECTED"}
    assert rows(engine, "select sends from tieout.intent") == [{"sends": 2}]
    check_always(engine, ledger, "books")


def test_a_rejected_one_with_a_later_revision_stays(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1, body={"refuse": "validation"}), intent(1, revision=2)], ledger.clock)
    run(engine, ledger)
    with pytest.raises(people.NotPossible, match="later revision"), engine.begin() as conn:
        people.try_again(conn, _id(engine), "ann", clock=ledger.clock)


@pytest.mark.parametrize("what", ["look_up_again", "cancel", "try_again"])
def test_what_is_unknown_is_nobodys_to_decide(engine: Engine, ledger: MemoryLedger, what: str) -> None:
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(1)], ledger.clock)
    run(engine, ledger)
    with pytest.raises(people.NotPossible, match="is UNKNOWN"), engine.begin() as conn:
        getattr(people, what)(conn, _id(engine), "ann", "now!", clock=ledger.clock)


def test_a_confirmed_intent_never_changes(engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(1)], ledger.clock)
    run(engine, ledger)
    for to in State:
        with engine.connect() as conn, pytest.raises(ForbiddenChange):
            journal = Journal("books", "person:ann", None, ledger.clock.now)
            apply(conn, journal, [Change(_id(engine), State.CONFIRMED, to)], by_person=True)


def test_counts_and_amounts_by_state(engine: Engine, ledger: MemoryLedger) -> None:
    ledger.faults = iter(["lost_request"])
    plan(engine, [intent(1), intent(2)], ledger.clock)
    run(engine, ledger)
    plan(engine, [intent(3), intent(4, body={"refuse": "validation"})], ledger.clock)
    run(engine, ledger)
    with engine.connect() as conn:
        found = {c.state: (c.kind, c.currency, c.count, c.amount_minor) for c in counts.by_state(conn, link="acme")}
        oldest = counts.oldest(conn, "books", "UNKNOWN", ledger.clock.now)
    assert found == {
        "UNKNOWN": ("invoice", "EUR", 2, 2000),
        "CONFIRMED": ("invoice", "EUR", 1, 1000),
        "REJECTED": ("invoice", "EUR", 1, 1000),
    }
    assert oldest is not None and 0 <= oldest.seconds < LIMITS.lease_seconds
