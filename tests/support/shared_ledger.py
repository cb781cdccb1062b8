"""A ledger that outlives its client, for tests that kill workers: its documents are in PostgreSQL, in its own tables.

It guards against nothing (it forgets every key at once), so that each second send would show as a second document.

As a program it is one worker: `python -m tests.support.shared_ledger URL WORKER [POINT [TIME]]` delivers until nothing
is left and kills itself (SIGKILL) when it comes to the named point for the n-th time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from sqlalchemy.engine import Engine

from tests.support.delivery import RUN, TARGET
from tieout.connectors.base import Answer, Found, Guard, Operation, Request
from tieout.delivery.clock import system_clock
from tieout.delivery.deliver import deliver, deliver_until_settled
from tieout.delivery.limits import Limits
from tieout.store.engine import connect

CREATE = """
create schema ledger;
create table ledger.document (
    vendor_id bigint generated always as identity primary key, natural_key text not null, stamp text not null,
    body text not null)
"""
#: Real seconds: short, for a test waits for them.
OPERATION = Operation("short.create", Guard.SHORT_KEY, 5, True, time_out=0.3, latest_apply=0.2, look_up_lag=0.1)
LIMITS = Limits(claim_intents=20, lease_seconds=1.5, look_up_again_seconds=0.3)


class SharedLedger:
    """`Target` over the tables; each send is committed before it is answered."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def operation(self, name: str) -> Operation:
        assert name == OPERATION.name
        return OPERATION

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        answers = []
        with self.engine.begin() as conn:
            for request in requests:
                made = conn.exec_driver_sql(
                    "insert into ledger.document (natural_key, stamp, body) values (%(key)s, %(stamp)s, %(body)s) "
                    "returning vendor_id",
                    {"key": request.natural_key, "stamp": request.doc_uid, "body": request.body.decode()},
                )
                vendor_id = str(made.scalar_one())
                answers.append(Answer(request.doc_uid, "applied", vendor_id, request.natural_key, http_status=200))
        return answers

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        sql = "select natural_key, vendor_id, body from ledger.document where natural_key = any(%(keys)s)"
        with self.engine.connect() as conn:
            rows = conn.exec_driver_sql(sql, {"keys": [request.natural_key for request in requests]}).all()
        return {
            request.doc_uid: [
                Found(str(row.vendor_id), row.natural_key, json.loads(row.body), _differences(request.body, row.body))
                for row in rows
                if row.natural_key == request.natural_key
            ]
            for request in requests
        }


def _differences(sent: bytes, there: str) -> tuple[tuple[str, str, str], ...]:
    return () if sent.decode() == there else (("body", sent.decode(), there),)


def main(url: str, worker: str, point: str = "", time: str = "1") -> None:
    """Delivers; dies at the point when there is one."""
    engine = connect(url)
    left = [int(time)]

    def crash(here: str) -> None:
        if here == point:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    ledger = SharedLedger(engine)
    deliver_until_settled(
        lambda: deliver(engine, TARGET, ledger, RUN, worker, limits=LIMITS, crash=crash), 30.0, system_clock
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
