"""Seeded schedules of faults, crashes, pauses and other workers around the production code, in virtual time.

A schedule is a function of its seed: which intents there are, what the wire does to each call, at which named points a
worker dies, is paused past its lease, or another worker comes in between. When the faults have run out, deliveries go
on until nothing waits; then every invariant must hold. A failure prints the seed and what happened.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy.engine import Engine

from tests.support.delivery import LIMITS, child, intent, plan, run, run_until_settled
from tests.support.invariants import check_always, check_ended, sees_committed_intent
from tests.support.ledger import LOOK_UP_FAULTS, OPERATIONS, SEND_FAULTS, MemoryLedger, VirtualClock
from tieout.delivery.bodies import named_in
from tieout.delivery.deliver import CRASH_POINTS
from tieout.delivery.intents import NewIntent

CREATING = tuple(name for name, each in OPERATIONS.items() if each.creates)
#: Points between two transactions: here a worker can be paused while another works.
PAUSES = tuple(point for point in CRASH_POINTS if not point.endswith("_commit"))

#: Makes a database ready for the next schedule.
EMPTY = """
alter table tieout.audit_event disable trigger user;
truncate tieout.intent, tieout.attempt, tieout.crosswalk, tieout.dead_letter, tieout.audit_event, tieout.audit_head;
alter table tieout.audit_event enable trigger user;
"""


class Died(BaseException):
    """The end of a worker, as by a kill."""


@dataclass(slots=True)
class Schedule:
    """One run of the simulation."""

    seed: int
    engine: Engine
    random: random.Random = field(init=False)
    clock: VirtualClock = field(default_factory=VirtualClock)
    ledger: MemoryLedger = field(init=False)
    happened: list[str] = field(default_factory=list)
    #: Crashes, pauses and faults that are still to come; with none left everything works.
    trouble: int = 0
    workers: int = 0
    #: The worker that dies after its send, and what happens to that send.
    doomed: str = ""
    forced: str = "ok"

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.trouble = self.random.randint(3, 12)
        self.ledger = MemoryLedger(
            self.clock,
            faults=self._faults(SEND_FAULTS),
            look_up_faults=self._faults(LOOK_UP_FAULTS),
            before_send=sees_committed_intent(self.engine),
            lag=self.random.choice((0.0, 2.0, 5.0)),
            late_by=self.random.uniform(0.5, 19.9),
            key_life=self.random.choice((0.0, 20.0, 600.0)),
        )

    def run(self) -> None:
        """Plays it and checks; raises AssertionError with the seed and what happened."""
        intents = self._intents()
        try:
            plan(self.engine, intents, self.clock)
            while self.trouble > 0:
                self._work(depth=0)
                check_always(self.engine, self.ledger, "books")
                self.clock.sleep(self.random.choice((1.0, 16.0, 36.0, 70.0)))
            run_until_settled(self.engine, self.ledger, worker="last", limits=replace(LIMITS, most_sends=50))
            check_always(self.engine, self.ledger, "books")
            check_ended(self.engine, terminal=("CONFIRMED", "REJECTED", "HELD"))
            self._each_came_out_right(intents)
            sent = len(self.ledger.sent)
            run_until_settled(self.engine, self.ledger, worker="again")
            assert len(self.ledger.sent) == sent, "running everything again sent something"
        except AssertionError as error:
            raise AssertionError(f"seed {self.seed}: {error}\n" + "\n".join(self.happened)) from error

    def _intents(self) -> list[NewIntent]:
        made: list[NewIntent] = []
        for number in range(self.random.randint(2, 25)):
            operation = self.random.choice(CREATING)
            refused = {"refuse": "validation"} if self.random.random() < 0.1 else {}
            if made and self.random.random() < 0.3:
                made.append(child(self.random.choice(made), number, operation))
            else:
                made.append(intent(number, operation, body=refused))
        self.random.shuffle(made)
        return made

    def _faults(self, kinds: tuple[str, ...]) -> Iterator[str]:
        while True:
            fault, self.forced = self.forced if kinds is SEND_FAULTS else "ok", "ok"
            if fault == "ok" and self.trouble > 0 and self.random.random() < 0.4:
                fault = self.random.choice(kinds)
                self._happens(fault)
            yield fault

    def _happens(self, what: str) -> None:
        self.trouble -= 1
        self.happened.append(f"{self.clock.seconds:9.3f} {what}")

    def _work(self, depth: int) -> None:
        self.workers += 1
        name = f"w{self.workers}"
        limits = replace(LIMITS, claim_intents=self.random.choice((2, 7, 20)), most_sends=50)
        with suppress(Died):
            run(self.engine, self.ledger, name, limits=limits, crash=lambda point: self._at(point, name, depth))

    def _at(self, point: str, name: str, depth: int) -> None:
        if point == "after_send" and self.doomed == name:
            self.doomed = ""
            raise Died
        # Around the send a death or a pause hurts most.
        likely = 0.2 if point in ("before_send", "after_send") else 0.05
        if self.trouble <= 0 or self.random.random() > likely:
            return
        what = self.random.choice(("dies", "dies", "paused", "meanwhile"))
        if point == "before_send" and self.random.random() < 0.3 and not self.doomed:
            # A machine on its last legs: sends as late as it may, its request crawls, and it dies.
            self._happens(f"{name} sends 45 s late, and dies")
            self.doomed, self.forced = name, "late"
            self.clock.sleep(45.0)
            return
        if what == "dies":
            self._happens(f"{name} dies at {point}")
            raise Died
        if point not in PAUSES:
            return
        seconds = self.random.choice((0.5, 45.0, 61.0, 110.0)) if what == "paused" else 0.0
        if point == "after_send" or seconds:
            self._happens(f"{name} paused {seconds} s at {point}")
        self.clock.sleep(seconds)
        if depth < 2:
            self.happened.append(f"{self.clock.seconds:9.3f} another worker comes in while {name} is at {point}")
            self._work(depth + 1)

    def _each_came_out_right(self, intents: list[NewIntent]) -> None:
        with self.engine.connect() as conn:
            found = {r.doc_uid: r for r in conn.exec_driver_sql("select doc_uid, state, reason from tieout.intent")}
        refused = {each.doc_uid for each in intents if b'"refuse"' in each.body}
        parents = {each.doc_uid: each.body for each in intents}
        for each in intents:
            row = found[each.doc_uid]
            lost_ancestor = _has_refused_ancestor(each, parents, refused)
            expected = "REJECTED" if each.doc_uid in refused else "HELD" if lost_ancestor else "CONFIRMED"
            assert row.state == expected, f"L1: {each.natural_key} is {row.state} ({row.reason}), expected {expected}"


def _has_refused_ancestor(each: NewIntent, bodies: dict[str, bytes], refused: set[str]) -> bool:
    waiting = list(named_in(each.body))
    while waiting:
        uid = waiting.pop()
        if uid in refused:
            return True
        waiting += named_in(bodies[uid])
    return False
