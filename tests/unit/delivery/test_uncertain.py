"""What the pages and metrics tell of writes that are not settled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import child, intent, plan, rows, run, run_until_settled, states
from tests.support.invariants import check_always
from tests.support.ledger import MemoryLedger, VirtualClock
from tieout.connectors.salesforce.write import operations as salesforce_operations
from tieout.connectors.xero.operations import operations as xero_operations
from tieout.delivery import people, uncertain
from tieout.delivery.uncertain import Owned, Which


@pytest.fixture
def ledger(engine: Engine) -> MemoryLedger:
    """INV-1 taken by a person, INV-2 refused, INV-3 uncertain, INV-4 posted, INV-5 waits; INV-6 waits for INV-1."""
    ledger = MemoryLedger(VirtualClock())
    ledger.make("INV-1", b'{"number": "INV-1", "amount": 777}')
    plan(engine, [intent(1, owner="ann"), intent(2, body={"refuse": "validation"}, owner="bob")], ledger.clock)
    run_until_settled(engine, ledger)
    plan(engine, [intent(4)], ledger.clock)
    run_until_settled(engine, ledger)
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(3, owner=None)], ledger.clock)
    run(engine, ledger)
    plan(engine, [intent(5), child(intent(1), 6)], ledger.clock)
    assert states(engine) == {
        "1": "HELD", "2": "REJECTED", "4": "CONFIRMED", "3": "UNKNOWN", "5": "READY", "6": "READY",
    }  # fmt: skip
    return ledger


def numbers(engine: Engine, which: Which) -> list[str]:
    with engine.connect() as conn:
        found = uncertain.listing(conn, which)
        assert len(found) == max(0, min(uncertain.how_many(conn, which) - which.skip, which.limit))
    return [write.number for write in found]


def test_what_waits_is_counted_with_its_money_and_what_is_posted_is_not(engine: Engine, ledger: MemoryLedger) -> None:
    with engine.connect() as conn:
        found = [(s.link, s.target, s.kind, s.state, s.count, s.currency, s.amount_minor)
                 for s in uncertain.standings(conn)]  # fmt: skip
        assert uncertain.standings(conn, link="another") == []
    assert found == [
        ("acme", "books", "invoice", "READY", 2, "EUR", 2000),
        ("acme", "books", "invoice", "UNKNOWN", 1, "EUR", 1000),
        ("acme", "books", "invoice", "HELD", 1, "EUR", 1000),
        ("acme", "books", "invoice", "REJECTED", 1, "EUR", 1000),
    ]


def test_a_refused_write_with_a_later_revision_or_without_an_open_letter_waits_for_nobody(
    engine: Engine, ledger: MemoryLedger
) -> None:
    assert numbers(engine, Which(states=("REJECTED",))) == ["INV-2"]
    with engine.begin() as conn:
        conn.exec_driver_sql("update tieout.dead_letter set state = 'resolved' where source_id = '2'")
    assert numbers(engine, Which(states=("REJECTED",))) == []
    with engine.begin() as conn:
        conn.exec_driver_sql("update tieout.dead_letter set state = 'open' where source_id = '2'")
    plan(engine, [intent(2, revision=2)], ledger.clock)
    assert numbers(engine, Which(states=("REJECTED",))) == []


def test_the_oldest_are_named_with_since_when(engine: Engine, ledger: MemoryLedger) -> None:
    with engine.connect() as conn:
        found = {age.state: age for age in uncertain.ages(conn)}
        ids = {row["source_id"]: row["intent_id"] for row in rows(engine, "select * from tieout.intent")}
    assert {state: age.intent_id for state, age in found.items()} == {"HELD": ids["1"], "UNKNOWN": ids["3"]}
    sent = rows(engine, "select sent_at from tieout.intent where source_id = '3'")[0]["sent_at"]
    assert found["UNKNOWN"].since == sent
    assert found["HELD"].since < sent


def test_owners_and_how_much_is_theirs(engine: Engine, ledger: MemoryLedger) -> None:
    with engine.connect() as conn:
        found = uncertain.owners(conn)
    assert sorted(found, key=lambda each: each.owner) == [
        Owned("", 1, 0, 0), Owned("ann", 0, 1, 0), Owned("bob", 0, 0, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Which(), ["INV-2", "INV-1", "INV-3"]),  # the longest wait first
        (Which(owner=""), ["INV-3"]),
        (Which(owner="ann"), ["INV-1"]),
        (Which(reason="validation"), ["INV-2"]),
        (Which(text="inv-3"), ["INV-3"]),
        (Which(text="%"), []),
        (Which(kind="void"), []),
        (Which(target="books", link="acme", states=("HELD", "READY")), ["INV-1", "INV-5", "INV-6"]),
        (Which(limit=1, skip=1), ["INV-1"]),
    ],
)
def test_writes_are_chosen(engine: Engine, ledger: MemoryLedger, which: Which, expected: list[str]) -> None:
    assert numbers(engine, which) == expected


def test_a_held_write_names_what_was_found_and_an_uncertain_one_when_it_is_looked_up(
    engine: Engine, ledger: MemoryLedger
) -> None:
    with engine.connect() as conn:
        held, uncertain_one = (uncertain.listing(conn, Which(states=(state,)))[0] for state in ("HELD", "UNKNOWN"))
        attempts = uncertain.tries(conn, held.intent_id)
        assert uncertain.get(conn, held.intent_id) == held
        assert uncertain.get(conn, 999_999) is None
    assert held.candidates == (ledger.documents[0].vendor_id,)
    assert [(each.kind, each.outcome) for each in attempts] == [("send", "refused"), ("look_up", "found_different")]
    assert uncertain_one.candidates == ()
    assert uncertain_one.next_look_up is not None
    assert uncertain_one.next_look_up - uncertain_one.since > timedelta(seconds=1)


def test_several_found_documents_are_all_candidates(engine: Engine) -> None:
    ledger = MemoryLedger(VirtualClock())
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(1)], ledger.clock)
    run(engine, ledger)
    ledger.make("INV-1", b'{"number": "INV-1", "amount": 1000}')
    ledger.make("INV-1", b'{"number": "INV-1", "amount": 1000}')
    run_until_settled(engine, ledger)
    with engine.connect() as conn:
        (held,) = uncertain.listing(conn, Which())
    assert held.reason == "several_found"
    assert set(held.candidates) == {each.vendor_id for each in ledger.documents} and len(held.candidates) > 1


def test_an_owner_is_assigned_with_a_trail_and_the_letters_go_along(engine: Engine, ledger: MemoryLedger) -> None:
    with engine.begin() as conn:
        (held,) = uncertain.listing(conn, Which(states=("HELD",)))
        people.assign(conn, held.intent_id, "cleo", "sales", "they know the customer", ledger.clock)
    with engine.connect() as conn:
        after = uncertain.get(conn, held.intent_id)
    assert after is not None and (after.owner, after.since, after.state) == ("sales", held.since, "HELD")
    assert rows(engine, "select owner from tieout.dead_letter where source_id = '1'") == [{"owner": "sales"}]
    (event,) = rows(engine, "select actor, detail from tieout.audit_event where event = 'intent.assigned'")
    assert event["actor"] == "person:cleo"
    assert event["detail"] == {"from": "ann", "to": "sales", "note": "they know the customer"}
    check_always(engine, ledger, "books")


def test_what_is_posted_has_no_owner_to_assign(engine: Engine, ledger: MemoryLedger) -> None:
    posted = rows(engine, "select intent_id from tieout.intent where state = 'CONFIRMED'")[0]["intent_id"]
    with pytest.raises(people.NotPossible, match="is CONFIRMED"), engine.begin() as conn:
        people.assign(conn, posted, "cleo", "sales", clock=ledger.clock)


def test_which_operations_make_a_document_is_what_the_connectors_declare() -> None:
    declared = {**xero_operations(1, 1, 1), **salesforce_operations(1, 1, 1)}
    assert {name: uncertain.makes_a_document(name) for name in declared} == {
        name: operation.creates for name, operation in declared.items()
    }
