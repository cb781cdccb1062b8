"""Many schedules: spread over processes, each with a database of its own on one PostgreSQL made for the purpose.

A failure is made small where it was found, and ends the run. What is printed is the caller's (cli/simulate.py).
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tieout.delivery.simulation.faults import Cell
from tieout.delivery.simulation.lab import Lab, opened
from tieout.delivery.simulation.minimise import minimise
from tieout.delivery.simulation.plan import Plan
from tieout.delivery.simulation.player import Played, play
from tieout.delivery.simulation.seeds import make
from tieout.store import embedded, migrate
from tieout.store.engine import connect

#: A server of which nothing is kept. Statements are planned once, and nothing runs beside the plays.
SETTINGS = {
    "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "wal_level": "minimal",
    "max_wal_senders": "0", "autovacuum": "off", "jit": "off", "plan_cache_mode": "force_generic_plan",
    "max_connections": "100",
}  # fmt: skip
#: Schedules that a process plays between two reports.
CHUNK = 25


@dataclass(frozen=True, slots=True)
class Failure:
    """A schedule in which an invariant did not hold: all that is needed to see it again.

    Attributes:
        seed: `tieout simulate --seed <seed>` plays it again.
        invariant, words: which one, and what was found.
        plan: lines of the smallest plan that still fails so.
        timeline: of that plan.
    """

    seed: int
    invariant: str
    words: str
    plan: Sequence[str]
    timeline: Sequence[str]


@dataclass(slots=True)
class Report:
    """What a run has done so far."""

    schedules: int = 0
    deliveries: int = 0
    seconds: float = 0.0
    met: Counter[Cell] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Schedules a second."""
        return self.schedules / self.seconds if self.seconds else 0.0

    def take(self, other: Report) -> None:
        """Adds what another process has done; the time is the caller's."""
        self.schedules += other.schedules
        self.deliveries += other.deliveries
        self.met += other.met
        self.failures += other.failures


def simulate(
    first: int, schedules: int, processes: int, on_progress: Callable[[Report], None] = lambda report: None
) -> Report:
    """Plays the seeds first, first + 1, ... until all are played or one has failed.

    Args:
        processes: that play at once; each has its own database.
        on_progress: called whenever a process has played some.
    """
    with databases(min(processes, -(-schedules // CHUNK))) as urls:
        begun = time.monotonic()
        report = Report()
        for part in _parts(urls, first, schedules):
            report.take(part)
            report.seconds = time.monotonic() - begun
            on_progress(report)
            if report.failures:
                break
        report.failures.sort(key=lambda failure: failure.seed)
        return report


def replay(seed: int) -> Played:
    """Plays one seed as it is, in this process."""
    with databases(1) as urls, opened(urls[0]) as lab:
        return play(lab, make(seed))


def play_all(lab: Lab, seeds: Sequence[int]) -> Report:
    """Plays these seeds one after the other, until one fails."""
    report, begun = Report(), time.monotonic()
    for seed in seeds:
        played = play(lab, make(seed))
        report.schedules += 1
        report.deliveries += played.deliveries
        report.met += played.met
        if played.broken is not None:
            report.failures.append(_failure(lab, played, played.broken.name))
            break
    report.seconds = time.monotonic() - begun
    return report


def _failure(lab: Lab, played: Played, invariant: str) -> Failure:
    def fails(candidate: Plan) -> bool:
        broken = play(lab, candidate).broken
        return broken is not None and broken.name == invariant

    smallest = minimise(played.plan, fails)
    again = play(lab, smallest)
    shown = again if again.broken is not None else played
    words = shown.broken.words if shown.broken is not None else ""
    return Failure(played.plan.seed, invariant, words, shown.plan.lines(), [str(each) for each in shown.timeline])


@contextmanager
def databases(count: int) -> Iterator[list[str]]:
    """URLs of new databases at the newest schema, on a server that is removed at the end."""
    # A short path that the system user can reach which PostgreSQL runs as when we are root.
    home = Path(tempfile.mkdtemp(prefix="tieout-simulation-"))
    try:
        server = embedded.start(home, SETTINGS)
        template = connect(server.url_for("tieout"))
        migrate.upgrade(template)
        template.dispose()
        for number in range(count):
            server.create_database(f"play{number}", "tieout")
        yield [server.url_for(f"play{number}") for number in range(count)]
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def _parts(urls: Sequence[str], first: int, schedules: int) -> Iterator[Report]:
    chunks = iter([range(at, min(at + CHUNK, first + schedules)) for at in range(first, first + schedules, CHUNK)])
    # Spawned, not forked: psycopg's and SQLAlchemy's state would be shared otherwise.
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pools = [stack.enter_context(ProcessPoolExecutor(1, context, _begin, (url,))) for url in urls]
        running: dict[Future[Report], ProcessPoolExecutor] = {}
        for pool in pools:
            if (chunk := next(chunks, None)) is not None:
                running[pool.submit(_chunk, chunk)] = pool
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                pool = running.pop(done)
                report = done.result()
                if not report.failures and (chunk := next(chunks, None)) is not None:
                    running[pool.submit(_chunk, chunk)] = pool
                yield report


#: The lab of a process that plays for another; it stays open until the process ends.
_open = ExitStack()
_labs: list[Lab] = []


def _begin(url: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who interrupts the run speaks to its first process
    _labs.append(_open.enter_context(opened(url)))


def _chunk(seeds: range) -> Report:
    return play_all(_labs[0], seeds)


def cores() -> int:
    """Processes that make sense here."""
    return max(multiprocessing.cpu_count(), 1)
