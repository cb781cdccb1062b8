"""The inbox of webhooks: a row for what is the same, a reader for each row, nothing lost by a kill, an end in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import Engine

from tieout.model.settings import PROJECT
from tieout.store import audit, hooks
from tieout.store.hooks import End

A, B = "xero_a", "xero_b"


def keep(engine: Engine, body: bytes, connection: str = A, **more: bytes) -> bool:
    with engine.begin() as conn:
        return hooks.keep(conn, connection, body, {"x-signature": "s"}, **more)


def states(engine: Engine) -> list[tuple[bytes, str, int]]:
    with engine.connect() as conn:
        rows = conn.execute(sa.text("select body, state, attempts from tieout.hook_inbox order by hook_id"))
        return [(bytes(row.body), row.state, row.attempts) for row in rows]


def test_a_delivery_that_is_repeated_is_one_row_of_its_connection(engine: Engine) -> None:
    assert [keep(engine, b"1"), keep(engine, b"1"), keep(engine, b"2"), keep(engine, b"1", B)] == [
        True, False, True, True,
    ]  # fmt: skip
    assert keep(engine, b"1 again", identity=b"1") is False
    with engine.connect() as conn:
        assert [(one.connection, one.deliveries) for one in hooks.listing(conn)] == [(B, 1), (A, 1), (A, 3)]


def test_two_readers_never_have_the_same_rows_and_a_repetition_does_not_wait_for_them(engine: Engine) -> None:
    for number in range(6):
        keep(engine, str(number).encode())
    with engine.begin() as one, engine.begin() as other:
        first = [row.hook_id for row in hooks.take(one, [A], 4)]
        second = [row.hook_id for row in hooks.take(other, [A], 4)]
        assert (len(first), len(second)) == (4, 2) and not set(first) & set(second)
        with engine.begin() as receiver:
            receiver.execute(sa.text("set local lock_timeout = '2s'"))
            assert hooks.keep(receiver, A, b"0", {}) is False
        hooks.settle(one, [End(hook_id, "read") for hook_id in first], uuid4())
    assert [state for _, state, _ in states(engine)] == ["read"] * 4 + ["waiting"] * 2


READER = """
import os, sys
from tieout.store import hooks
from tieout.store.engine import connect
engine = connect(sys.argv[1])
with engine.begin() as conn:
    print(len(hooks.take(conn, ["xero_a"], 100)), flush=True)
    sys.stdin.read()
"""


def test_a_reader_that_is_killed_leaves_its_rows_waiting(engine: Engine, database_url: str) -> None:
    for number in range(3):
        keep(engine, str(number).encode())
    path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])
    process = subprocess.Popen(
        [sys.executable, "-c", READER, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == b"3\n"
    with engine.begin() as conn:
        assert hooks.take(conn, [A], 100) == []
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    process.stdout.close()
    assert process.stdin is not None
    process.stdin.close()
    with engine.begin() as conn:
        conn.execute(sa.text("set local lock_timeout = '20s'"))
        # Until the server sees that the session is gone.
        conn.execute(sa.text("lock table tieout.hook_inbox in exclusive mode"))
        assert len(hooks.take(conn, [A], 100)) == 3
    assert states(engine) == [(b"0", "waiting", 0), (b"1", "waiting", 0), (b"2", "waiting", 0)]


def test_a_row_that_waits_is_not_due_before_its_time_and_a_person_can_have_it_at_once(engine: Engine) -> None:
    for number in range(3):
        keep(engine, str(number).encode())
    with engine.begin() as conn:
        ids = [row.hook_id for row in hooks.take(conn, [A], 10)]
        ends = [End(ids[0], "waiting", "Retriable: away", 1, 600.0), End(ids[1], "failed", "given up", 8)]
        hooks.settle(conn, [*ends, End(ids[2], "read")], uuid4())
    with engine.begin() as conn:
        assert (hooks.due(conn, [A]), hooks.due(conn, [B])) == (0, 0)
        assert hooks.retry(conn, ids, by="Olga", connections=[B]) == 0
        assert hooks.retry(conn, ids, by="Olga", connections=[A]) == 2
        assert hooks.due(conn, [A]) == 2
    assert [row[1:] for row in states(engine)] == [("waiting", 0), ("waiting", 0), ("read", 0)]
    with engine.connect() as conn:
        assert audit.verify(conn, f"connection:{A}") is None
        who = conn.execute(sa.text("select actor, event, subject from tieout.audit_event order by seq")).all()
    assert [tuple(row) for row in who] == [("Olga", "hook.tried_again", f"hook:{one}") for one in ids[:2]]


def test_what_is_old_is_forgotten_whatever_became_of_it(engine: Engine) -> None:
    for number in range(4):
        keep(engine, str(number).encode())
    with engine.begin() as conn:
        ids = [row.hook_id for row in hooks.take(conn, [A], 10)]
        hooks.settle(conn, [End(ids[0], "read"), End(ids[1], "failed", "x")], uuid4())
        old = sa.text("update tieout.hook_inbox set received_at = now() - interval '31 days' where hook_id <= :id")
        conn.execute(old, {"id": ids[2]})
        assert hooks.forget(conn, 32) == (0, 0)
        assert hooks.forget(conn, 30) == (3, 2)
    assert [body for body, _, _ in states(engine)] == [b"3"]


def test_standings_count_by_connection_and_refusals_have_one_row_for_each_reason(engine: Engine) -> None:
    keep(engine, b"1")
    keep(engine, b"1")
    with engine.begin() as conn:
        for reason in ("wrong_signature", "wrong_signature", "too_old"):
            hooks.refuse(conn, B, reason)
        (row,) = hooks.take(conn, [A], 1)
        hooks.settle(conn, [End(row.hook_id, "failed", "a\x00b" * 1000, 1)], uuid4())
        first, second = hooks.standings(conn)
        assert (first.connection, first.failed, first.waiting, first.refused) == (A, 1, 0, {})
        assert (second.connection, second.failed, second.last_received) == (B, 0, None)
        assert second.refused == {"too_old": 1, "wrong_signature": 2}
        assert [one.connection for one in hooks.standings(conn, ["new"])] == ["new"]
        (shown,) = hooks.listing(conn, [A], ["failed"])
        assert shown.message is not None and len(shown.message) <= hooks.LONGEST_MESSAGE
