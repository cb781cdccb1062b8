"""Where a campaign happens: a durable PostgreSQL of its own, the sandbox, the nursery; and one run of a campaign in it.

A run has a fresh database and a fresh organisation, so that its books can be judged alone. What is done to it is in the
campaign's module.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.engine import Engine

from tests.chaos.company import BEFORE, LEDGER, RUN, Order, Planned, plan
from tests.chaos.nursery import Child, Nursery
from tests.chaos.oracle import Judged, judge
from tests.chaos.proxy import Proxy
from tests.chaos.worker import Job
from tests.support.postgres import PostgresServer
from tests.support.sandbox import SandboxProcess
from tieout.delivery.intents import add
from tieout.model.errors import Retriable
from tieout.scenarios.demo_doors import Doors
from tieout.store import embedded
from tieout.store.engine import connect

#: PostgreSQL as it is delivered: fsync, synchronous_commit and full_page_writes are on.
DURABLE = {"max_connections": "100", "log_min_messages": "fatal"}
#: Seconds that the books may take to become clean before the run counts as failed.
PATIENCE = 150.0
MANY_CALLS = 1_000_000
_OPEN = "select count(*) from tieout.intent where state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN')"


class World:
    """The servers of all campaigns. Use as a context manager; ends what it started, whatever happened."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        # Not a folder of pytest's: the system user that PostgreSQL runs as when we are root must reach it.
        self.home = Path(tempfile.mkdtemp(prefix="tieout-chaos-"))
        self.postgres_home = self.home / "pg"
        self.settings = {**DURABLE, **(settings or {})}
        (self.home / "sandbox").mkdir()
        self.sandbox = SandboxProcess(self.home / "sandbox")
        self.nursery: Nursery
        self.server: PostgresServer

    def __enter__(self) -> World:
        try:
            self.server = PostgresServer(embedded.start(self.postgres_home, self.settings).url_for("postgres"))
            self.sandbox.start()
            self.nursery = Nursery(self.home / "workers.log")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "nursery"):
            self.nursery.close()
        self.sandbox.stop()
        embedded.stop(self.postgres_home)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def log(self) -> str:
        """The end of what the workers printed."""
        return (self.home / "workers.log").read_text()[-4000:]

    def kill_postgres(self) -> None:
        """SIGKILL to the postmaster; its other processes end by themselves when they notice."""
        running = embedded.running(self.postgres_home)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)

    def start_postgres(self) -> None:
        """Starts it again on the same data; returns when it takes sessions."""
        embedded.start(self.postgres_home, self.settings)

    def accounts(self, count: int) -> list[str]:
        """Ids of fresh accounts in the CRM."""
        records = [{"Name": f"Customer {number} Ltd"} for number in range(count)]
        url = f"{self.sandbox.url}/salesforce/_sandbox/raw/Account"
        answer = httpx.post(url, json={"records": records}, timeout=60).raise_for_status()
        return [str(id_) for id_ in answer.json()["ids"]]

    def lock(self, accounts: Sequence[str]) -> None:
        """The next write of each of these accounts finds it locked by somebody else."""
        url = f"{self.sandbox.url}/salesforce/_sandbox/lock"
        httpx.post(url, json={"ids": list(accounts), "times": 1}, timeout=60).raise_for_status()

    @contextmanager
    def run(self, orders: int, *, proxy: bool = False) -> Iterator[Run]:
        """A fresh organisation and database with so many orders planned."""
        self.sandbox.reset()
        Doors(self.sandbox.url).custom_fields()
        many = {"minute": MANY_CALLS, "day": MANY_CALLS, "app_minute": MANY_CALLS, "concurrent": 1000}
        # No answer is kept for an idempotency key: what is sent twice is taken twice, unless its number is unique.
        self.sandbox.settings("xero", limits=many, idempotency_seconds=0)
        planned = plan([Order(number, id_) for number, id_ in enumerate(self.accounts(orders), start=1)])
        url = self.server.migrated_database()
        through = Proxy(int(self.sandbox.url.rpartition(":")[2]), self.home / "proxy.log") if proxy else None
        run = Run(self, url, planned, through)
        try:
            run.begin()
            yield run
        finally:
            self.nursery.end_all()
            run.engine.dispose()
            if through is not None:
                through.close()
            self.server.drop(url)


@dataclass
class Run:
    """One run of one campaign.

    Attributes:
        workers: how many were started. kills: how many ended by SIGKILL at their point, or were killed from outside.
    """

    world: World
    url: str
    planned: Planned
    proxy: Proxy | None
    workers: int = 0
    kills: int = 0
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = connect(self.url, pool_size=2)

    def begin(self) -> None:
        """Plans all intents."""
        with self.engine.begin() as conn:
            conn.exec_driver_sql("create table chaos_clock (shift interval not null)")
            conn.exec_driver_sql("insert into chaos_clock values (interval '0')")
            add(conn, self.planned.intents, RUN, "chaos")

    @property
    def job(self) -> Job:
        """A worker without any fault."""
        base = self.world.sandbox.url if self.proxy is None else self.proxy.url
        return Job(name=f"w{self.workers}", url=self.url, base=base)

    def start(self, **changes: Any) -> Child:
        """Starts a worker: `job` with changes."""
        self.workers += 1
        return self.world.nursery.start(replace(self.job, **changes))

    def prepare(self, kind: str) -> None:
        """Brings what comes before this kind into the books, without any fault."""
        kinds = BEFORE[kind]
        if kinds:
            code = self.start(kinds=list(kinds), targets=[LEDGER], patience=60.0).wait()
            assert code == 0, self.world.log

    def count(self, sql: str) -> int:
        """One number from the store."""
        with self.engine.connect() as conn:
            return int(conn.exec_driver_sql(sql).scalar_one())

    def claimable(self, kind: str) -> int:
        """Intents of the kind that are READY now."""
        return self.count(
            f"select count(*) from tieout.intent where kind = '{kind}' and state = 'READY' "
            "and (not_before is null or not_before <= clock_timestamp())"
        )

    def next_keys(self, kind: str, number: int) -> list[str]:
        """Natural keys of the next intents of the kind that a worker claims."""
        sql = (
            "select natural_key from tieout.intent where kind = %s and state = 'READY' "
            "and (not_before is null or not_before <= clock_timestamp()) order by intent_id limit %s"
        )
        with self.engine.connect() as conn:
            return list(conn.exec_driver_sql(sql, (kind, number)).scalars())

    def doubtful(self, kind: str) -> int:
        """Intents of the kind that a look-up would decide now."""
        return self.count(
            f"select count(*) from tieout.intent where kind = '{kind}' and state = 'UNKNOWN' "
            "and not_before <= clock_timestamp() and (lease_until is null or lease_until <= clock_timestamp())"
        )

    def expired(self) -> int:
        """Intents whose worker's lease is over, as nobody has noticed yet."""
        return self.count(
            "select count(*) from tieout.intent where state in ('CLAIMED', 'IN_FLIGHT') "
            "and lease_until <= clock_timestamp()"
        )

    def unsettled(self, kind: str) -> int:
        """Intents of the kind that are sent or doubtful, or wait for a moment to come."""
        return self.count(f"{_OPEN} and kind = '{kind}' and (state <> 'READY' or not_before > clock_timestamp())")

    def unsent(self, kind: str) -> int:
        """Intents of the kind that are READY now, or will be when their moment comes or a lease is over."""
        return self.count(f"{_OPEN} and kind = '{kind}' and state in ('READY', 'CLAIMED')")

    def is_open(self) -> bool:
        """Whether anything is left to do."""
        return self.count(_OPEN) > 0

    def keep(self, number: int, **changes: Any) -> list[Child]:
        """Sees to it that so many workers live that are not stopped."""
        living = [child for child in self.world.nursery.living() if not child.is_stopped]
        return living + [self.start(**changes) for _ in range(number - len(living))]

    def wait_for_sends(self, number: int) -> None:
        """Until so many further sends were begun, or nothing is left to send."""
        sql = "select coalesce(max(attempt_id), 0) from tieout.attempt"
        end, wanted = time.monotonic() + PATIENCE, self.count(sql) + number
        while self.count(sql) < wanted and self.is_open():
            assert time.monotonic() < end, f"{number} sends did not happen\n{self.world.log}"
            time.sleep(0.02)

    def settle(self, workers: int = 2) -> tuple[float, Judged]:
        """Lets sound workers finish; (seconds from now until no intent is open and the books equal the oracle, judged).

        Workers begin again like a schedule does, until the patience is over; then the books are judged as they are.
        """
        began = time.monotonic()
        while time.monotonic() < began + PATIENCE:
            children = [self.start(patience=60.0, tries=100) for _ in range(workers)]
            while any(child.poll() is None for child in children):
                if self._is_settled() and (judged := self.judge()).clean:
                    seconds = time.monotonic() - began
                    for child in children:
                        child.wait()
                    return seconds, judged
                time.sleep(0.05)
            if self._is_settled():
                break
        return time.monotonic() - began, self.judge()

    def _is_settled(self) -> bool:
        try:
            return self.count(_OPEN) == 0
        except Retriable:
            return False

    def judge(self) -> Judged:
        """The books as they are now."""
        with self.engine.connect() as conn:
            return judge(self.world.sandbox.folder / "state", conn, self.planned)

    def kill_some(self, children: Sequence[Child]) -> None:
        """SIGKILL from outside to those that live."""
        for child in children:
            if child.poll() is None:
                child.signal(signal.SIGKILL)
                if child.wait() == -signal.SIGKILL:
                    self.kills += 1
