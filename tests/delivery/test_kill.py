"""Real worker processes on real PostgreSQL and real time, ended by SIGKILL or stopped past their lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import intent, plan, rows
from tests.support.ledger import VirtualClock
from tests.support.shared_ledger import CREATE, LIMITS
from tieout.delivery.states import chain_of
from tieout.store import audit

PROJECT = Path(__file__).resolve().parents[2]
#: Seconds after which a worker of these tests hangs.
PATIENCE = 120

pytestmark = pytest.mark.slow


@pytest.fixture
def url(engine: Engine, database_url: str) -> str:
    with engine.begin() as conn:
        conn.exec_driver_sql(CREATE)
    return database_url


def _start(url: str, *words: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])
    command = [sys.executable, "-m", "tests.support.shared_ledger", url, *words]
    return subprocess.Popen(command, cwd=PROJECT, env={**os.environ, "PYTHONPATH": path})


def _finish(url: str, *words: str) -> int:
    return _start(url, *words).wait(PATIENCE)


def _plan(engine: Engine, count: int) -> None:
    plan(engine, [intent(n, "short.create") for n in range(count)], VirtualClock())


def _check(engine: Engine, count: int) -> None:
    found = Counter(row["stamp"] for row in rows(engine, "select stamp from ledger.document"))
    assert sorted(found.values()) == [1] * count  # S1, and none is lost
    confirmed = rows(
        engine,
        "select count(*) as n from tieout.intent i join ledger.document d on d.stamp = i.doc_uid "
        "join tieout.crosswalk c on c.doc_uid = i.doc_uid and c.vendor_id = d.vendor_id::text "
        "where i.state = 'CONFIRMED' and i.vendor_id = d.vendor_id::text and convert_from(i.body, 'UTF8') = d.body",
    )
    assert confirmed == [{"n": count}]  # S3, S7
    with engine.connect() as conn:
        assert audit.verify(conn, chain_of("books")) is None  # S19


@pytest.mark.parametrize(
    "point",
    ["before_claim_commit", "after_claim", "before_mark_commit", "before_send", "after_send", "before_confirm_commit",
     "after_confirm"],
)  # fmt: skip
def test_a_worker_killed_at_a_named_point_leaves_no_duplicate_and_loses_nothing(
    engine: Engine, url: str, point: str
) -> None:
    _plan(engine, 12)
    # The second time: some documents are settled, some are not even claimed or sent.
    time_ = "1" if "claim" in point else "2"
    assert _finish(url, "w1", point, time_) == -signal.SIGKILL
    assert _finish(url, "w2") == 0
    _check(engine, 12)


def test_four_workers_of_which_two_are_killed_at_any_moment(engine: Engine, url: str) -> None:
    _plan(engine, 300)
    workers = [_start(url, f"w{number}") for number in range(4)]
    _wait_for(engine, 40)
    workers[0].kill()
    _wait_for(engine, 100)
    workers[1].kill()
    for worker in workers[2:]:
        assert worker.wait(PATIENCE) == 0
    assert _finish(url, "last") == 0
    _check(engine, 300)


def test_a_worker_stopped_past_its_lease_neither_sends_nor_confirms_over_another(engine: Engine, url: str) -> None:
    _plan(engine, 200)
    stopped = _start(url, "w1")
    _wait_for(engine, 20)
    stopped.send_signal(signal.SIGSTOP)
    time.sleep(LIMITS.lease_seconds)
    try:
        # It may have been stopped inside a transaction; then the other waits for its locks.
        another = _start(url, "w2")
        time.sleep(LIMITS.lease_seconds)
    finally:
        stopped.send_signal(signal.SIGCONT)
    assert stopped.wait(PATIENCE) == 0
    assert another.wait(PATIENCE) == 0
    assert _finish(url, "last") == 0
    _check(engine, 200)


def _wait_for(engine: Engine, documents: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if rows(engine, "select count(*) as n from ledger.document")[0]["n"] >= documents:
            return
        time.sleep(0.02)
    raise AssertionError(f"there were never {documents} documents")
