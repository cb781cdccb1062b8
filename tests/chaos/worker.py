"""What one worker process does: the real `deliver` through the real connectors, until it is done or comes to its point.

Workers are forked by nursery.py, which has imported this module. Nothing of a campaign is decided here.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection as Session
from sqlalchemy.engine import Engine

from tests.chaos.company import CRM, LEDGER, RUN, write_back
from tieout.connectors import exact_json
from tieout.connectors.base import Operation
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.connectors.xero.connector import XeroConnector
from tieout.delivery.clock import SystemClock
from tieout.delivery.deliver import deliver, deliver_until_settled
from tieout.delivery.intents import add
from tieout.delivery.limits import Limits
from tieout.delivery.settle import Outcome
from tieout.model.connection import Connection
from tieout.model.errors import Retriable
from tieout.store.engine import connect

TENANT = "5d1f9e0c-7a54-4f6e-9a51-0c0ffee00001"
#: The shortest bounds that the connectors take: an exchange has two seconds, so that with the sign-in a write has ended
#: after three; what was cut on the way is applied within two more (no fault here holds a request back for longer).
TIMES = {"time_out": 2, "latest_apply": 2, "look_up_lag": 0.5}
#: Twice the connectors' three seconds: the lease of a send.
LEASE_OF_A_SEND = 6.0
#: Seconds after which a killed worker's send may be decided by a look-up (claim.expire).
LONGEST_DOUBT = LEASE_OF_A_SEND + 2.5
#: The exit code of a worker that found the database or the network gone and had to end.
GONE = 75


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Attributes:
        url: of the database. base: where the sandbox is, or the proxy before it.
        point: of CRASH_POINTS; "" for none. time: the how-maniest time. how: `kill` or `stop`.
        targets: delivered to one after the other. kinds: only these; None is all.
        patience: seconds to wait for what is due later; None: one call of `deliver`.
        batch: items of one request at most, so that a claim is several requests. claim: intents of one claim.
        rounds: claims of one call of `deliver` at most.
        tries: times that it begins again when the database is gone, as Airflow's retries do.
        jump: seconds by which the process's monotonic clock leaps forward at a random moment.
        shifted: the database's time is taken with the shift in the table `chaos_clock`.
    """

    name: str
    url: str
    base: str
    point: str = ""
    time: int = 1
    how: str = "kill"
    targets: Sequence[str] = (LEDGER, CRM)
    kinds: Sequence[str] | None = None
    patience: float | None = None
    batch: int = 50
    claim: int = 600
    rounds: int = 100_000
    tries: int = 1
    lease: float = 3.0
    jump: float = 0.0
    shifted: bool = False
    seed: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)


class LeapingClock(SystemClock):
    """The real clocks, with the leaps of a job: of the process's clock, and of the database's by the seam."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._calls = random.Random(job.seed).randint(1, 6) if job.jump else -1
        self._leapt = 0.0

    def database_now(self, conn: Session) -> datetime:
        now = super().database_now(conn)
        if self._job.shifted:
            now += conn.exec_driver_sql("select shift from chaos_clock").scalar_one()
        return now

    def monotonic(self) -> float:
        self._calls -= 1
        if self._calls == 0:
            self._leapt = self._job.jump
        return time.monotonic() + self._leapt


class SmallXero(XeroConnector):
    """The connector with smaller requests: less than the vendor's batch is always allowed."""

    most = 50

    def operation(self, name: str) -> Operation:
        declared = super().operation(name)
        return replace(declared, batch=min(declared.batch, self.most))


class SmallSalesforce(SalesforceConnector):
    """As SmallXero."""

    most = 200

    def operation(self, name: str) -> Operation:
        declared = super().operation(name)
        return replace(declared, batch=min(declared.batch, self.most))


def ledger_at(base: str, **extra: Any) -> Connection:
    """The sandbox's Xero, by way of `base`."""
    url = f"{base}/xero"
    more = {"tenant_id": TENANT, "token_url": f"{url}/connect/token", "allowed_hosts": "127.0.0.1", **TIMES, **extra}
    return Connection(LEDGER, "xero", url, "sandbox-client", "sandbox-secret", more)


def crm_at(base: str, **extra: Any) -> Connection:
    """The sandbox's Salesforce, by way of `base`."""
    more = {"allowed_hosts": "127.0.0.1", **TIMES, **extra}
    return Connection(CRM, "salesforce", f"{base}/salesforce", "sandbox-consumer", "sandbox-secret", more)


def work(job: Job) -> int:
    """Delivers; the exit code."""
    engine = connect(job.url, pool_size=2)
    for remaining in reversed(range(job.tries)):
        try:
            for target in job.targets:
                _deliver(engine, job, target)
            return 0
        except Retriable as error:
            print(f"{job.name}: {type(error).__name__}: {error}", flush=True)
            if remaining:
                time.sleep(0.2)
    return GONE


def _deliver(engine: Engine, job: Job, target: str) -> None:
    connector: SmallXero | SmallSalesforce
    connector = SmallXero(ledger_at(job.base)) if target == LEDGER else SmallSalesforce(crm_at(job.base))
    connector.most = job.batch
    limits = Limits(
        claim_intents=job.claim, lease_seconds=job.lease, rounds=job.rounds, look_up_again_seconds=1.0,
        idle_transaction_seconds=1.0,
    )  # fmt: skip
    clock, crash = LeapingClock(job), _Crash(job)

    def once() -> Any:
        return deliver(
            engine, target, connector, RUN, job.name, kinds=job.kinds, limits=limits, clock=clock, crash=crash,
            on_confirmed=_plan_write_backs if target == LEDGER else None,
        )  # fmt: skip

    try:
        if job.patience is None:
            once()
        else:
            deliver_until_settled(once, job.patience)
    finally:
        connector.close()


class _Crash:
    """Ends or stops the process when it comes to the point of its job for the n-th time."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._left = job.time

    def __call__(self, point: str) -> None:
        if point != self._job.point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL if self._job.how == "kill" else signal.SIGSTOP)


def _plan_write_backs(conn: Session, confirmed: Sequence[Outcome]) -> None:
    """For each customer that was just confirmed, in the same transaction (docs/delivery.md, step 6)."""
    made = [
        write_back(
            each.claimed.source_id,
            exact_json.loads(each.claimed.body)["CompanyNumber"],
            str(each.verdict.vendor_id),
        )
        for each in confirmed
        if each.claimed.kind == "customer"
    ]
    if made:
        add(conn, made, RUN, "chaos")
