"""Planning: a document has one intent, whoever plans it and how often."""

from __future__ import annotations

import threading
from dataclasses import replace

from sqlalchemy.engine import Engine

from tests.support.delivery import RUN, child, intent, plan, rows, run, states
from tests.support.ledger import MemoryLedger, VirtualClock
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
