"""Planning: a document has one intent, whoever plans it and how often."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import RUN, child, intent, plan, rows, run, run_until_settled, states
from tests.support.ledger import MemoryLedger, VirtualClock
from tieout.delivery import people
from tieout.delivery.bodies import fill, named_in, placeholder
from tieout.delivery.intents import add, cancel, supersede
from tieout.delivery.states import chain_of
from tieout.store import audit


def test_the_same_plan_twice_adds_nothing(engine: Engine) -> None:
    intents = [intent(n) for n in range(5)]
    first, second = plan(engine, intents, VirtualClock()), plan(engine, intents, VirtualClock())
    assert (len(first.new), len(first.same), len(first.conflicting)) == (5, 0, 0)
    assert (second.new, set(second.same), second.conflicting) == ((), {i.doc_uid for i in intents}, ())
    events = rows(engine, "select event, count(*) as n from tieout.audit_event group by 1")
    assert events == [{"event": "intent.created", "n": 5}]
    with engine.connect() as conn:
        assert audit.verify(conn, chain_of("books")) is None


def test_another_body_is_reported_and_nothing_is_overwritten(engine: Engine) -> None:
    one = intent(1)
    plan(engine, [one], VirtualClock())
    added = plan(engine, [intent(1, body={"amount": 5}), intent(1, "short.create")], VirtualClock())
    assert added.conflicting == (one.doc_uid, one.doc_uid)
    assert [bytes(r["body"]) for r in rows(engine, "select body from tieout.intent")] == [one.body]


def test_every_column_is_kept(engine: Engine) -> None:
    parent = intent("c1", kind="customer")
    one = replace(
        child(parent, 1),
        depends_on=("deadbeef",),
        frozen={"rate": "1.10"},
        owner="ann",
        amount_minor=None,
        currency=None,
    )
    plan(engine, [one], VirtualClock())
    row = rows(engine, "select * from tieout.intent")[0]
    for name in ("link", "target", "doc_uid", "kind", "operation", "revision", "source", "source_object", "source_id",
                 "natural_key", "idempotency_key", "currency", "amount_minor", "entity", "owner", "source_system",
                 "source_entity", "frozen"):  # fmt: skip
        assert row[name] == getattr(one, name), name
    assert bytes(row["body"]) == one.body
    assert row["depends_on"] == ["deadbeef", parent.doc_uid]  # what the body names is waited for without being said
    assert (row["state"], row["run_id"], row["sends"], row["fence"]) == ("READY", RUN, 0, 0)


def test_planning_at_the_same_time_in_two_transactions_adds_each_once(engine: Engine) -> None:
    halves = [[intent(n) for n in range(50)], [intent(n) for n in range(49, -1, -1)]]
    new: list[int] = []
    together = threading.Barrier(2)

    def planner(order: int) -> None:
        with engine.begin() as conn:
            together.wait()
            for start in (0, 25):  # two steps each, which would meet crosswise
                new.append(len(add(conn, halves[order][start : start + 25], RUN, "test").new))

    threads = [threading.Thread(target=planner, args=(n,)) for n in range(2)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert sum(new) == 50
    assert len(rows(engine, "select 1 as x from tieout.intent")) == 50


def test_what_was_never_sent_is_superseded(engine: Engine) -> None:
    ledger = MemoryLedger(VirtualClock())
    plan(engine, [intent(1)], ledger.clock)
    with engine.begin() as conn:
        done = supersede(conn, [(intent(1).doc_uid, intent(1, revision=2, body={"amount": 1100}))], RUN, "test")
    assert (done.cancelled, len(done.added.new), done.refused) == ((intent(1).doc_uid,), 1, ())
    run(engine, ledger)
    assert states(engine) == {"1": "CANCELLED", "1.2": "CONFIRMED"}
    assert len(ledger.documents) == 1


def test_what_may_be_with_the_vendor_is_neither_superseded_nor_cancelled(engine: Engine) -> None:
    ledger = MemoryLedger(VirtualClock(), faults=iter(["lost_request"]))
    plan(engine, [intent(1)], ledger.clock)
    run(engine, ledger)
    with engine.begin() as conn:
        done = supersede(conn, [(intent(1).doc_uid, intent(1, revision=2))], RUN, "test")
        assert cancel(conn, "books", [intent(1).doc_uid], RUN, "test", "source_cancelled") == frozenset()
    assert (done.added.new, done.refused) == ((), (intent(1).doc_uid,))
    assert states(engine) == {"1": "UNKNOWN"}


def test_a_throttled_intent_can_still_be_cancelled(engine: Engine) -> None:
    ledger = MemoryLedger(VirtualClock(), faults=iter(["throttled"]))
    plan(engine, [intent(1)], ledger.clock)
    run(engine, ledger)
    with engine.begin() as conn:
        assert cancel(conn, "books", [intent(1).doc_uid], RUN, "test", "source_cancelled") == {intent(1).doc_uid}
        assert cancel(conn, "books", [intent(1).doc_uid], RUN, "test", "source_cancelled") == {intent(1).doc_uid}
    assert states(engine) == {"1": "CANCELLED"}


def test_a_vendor_id_goes_into_the_body_as_text_of_json() -> None:
    body = b'{"a": "' + placeholder("x1").encode() + b'", "b": "{{vendor_id:x1}} {{other}}"}'
    assert named_in(body) == {"x1"}
    assert fill(body, {"x1": 'q"\\'}) == b'{"a": "q\\"\\\\", "b": "q\\"\\\\ {{other}}"}'


def test_the_second_record_with_a_key_is_held_before_a_byte_leaves(engine: Engine) -> None:
    ledger = MemoryLedger(VirtualClock())
    first = intent(1, "durable.create", natural_key="SKU-1")
    second = intent(2, "durable.create", natural_key="SKU-1", body={"amount": 2000})
    plan(engine, [first, second], ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "CONFIRMED", "2": "HELD"}
    assert [sent.request.doc_uid for sent in ledger.sent] == [first.doc_uid]
    (letter,) = rows(engine, "select source_id, reason, message, found from tieout.dead_letter where state = 'open'")
    assert (letter["source_id"], letter["reason"]) == ("2", "natural_key_shared")
    assert "Order 2" in letter["message"] and "Order 1" in letter["message"] and "SKU-1" in letter["message"]


def test_a_record_goes_on_when_the_other_with_its_key_is_given_up(engine: Engine) -> None:
    ledger = MemoryLedger(VirtualClock())
    plan(engine, [intent(1, "durable.create", natural_key="SKU-1")], ledger.clock)
    plan(engine, [intent(2, "durable.create", natural_key="SKU-1")], ledger.clock)
    assert states(engine) == {"1": "READY", "2": "HELD"}
    with engine.begin() as conn:
        (held,) = rows(engine, "select intent_id from tieout.intent where source_id = '2'")
        with pytest.raises(people.NotPossible, match="Order 1"):
            people.look_up_again(conn, held["intent_id"], "ann", clock=ledger.clock)
    with engine.begin() as conn:
        (other,) = rows(engine, "select intent_id from tieout.intent where source_id = '1'")
        people.cancel(conn, other["intent_id"], "ann", "entered twice", ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "CANCELLED", "2": "CONFIRMED"}
    assert rows(engine, "select from tieout.dead_letter where state = 'open'") == []


def test_a_rejected_record_is_not_tried_again_when_its_key_is_anothers(engine: Engine) -> None:
    ledger = MemoryLedger(VirtualClock())
    plan(engine, [intent(1, "durable.create", natural_key="SKU-1", body={"refuse": "validation"})], ledger.clock)
    run_until_settled(engine, ledger)
    plan(engine, [intent(2, "durable.create", natural_key="SKU-1")], ledger.clock)
    assert states(engine) == {"1": "REJECTED", "2": "READY"}
    with engine.begin() as conn:
        (rejected,) = rows(engine, "select intent_id from tieout.intent where source_id = '1'")
        with pytest.raises(people.NotPossible, match="Order 2"):
            people.try_again(conn, rejected["intent_id"], "ann", clock=ledger.clock)


def test_revisions_of_one_record_share_its_key(engine: Engine) -> None:
    plan(engine, [intent(1, "durable.create"), intent(1, "durable.create", revision=2)], VirtualClock())
    assert states(engine) == {"1": "READY", "1.2": "READY"}
