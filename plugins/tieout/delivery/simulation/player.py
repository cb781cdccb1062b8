"""Plays one plan: the production delivery in the loop, with everything that the plan says striking at its moment.

First the callers, at once or one after the other; then, when all of them have ended, deliveries until nothing waits,
as a scheduler would start them; then people look at what is held; then everything is planned and delivered once more,
which must change nothing. The end is compared by invariants.py and outcome.py.
"""

from __future__ import annotations

import traceback
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tieout.connectors.base import Operation
from tieout.delivery.deliver import deliver
from tieout.delivery.limits import DeliverySummary, Limits
from tieout.delivery.simulation import acts, facts, invariants, outcome
from tieout.delivery.simulation.client import Client
from tieout.delivery.simulation.clock import ProcessClock
from tieout.delivery.simulation.faults import ACTS, INSIDE, OTHER_ACTS, Cell
from tieout.delivery.simulation.lab import Lab
from tieout.delivery.simulation.ledger import Call
from tieout.delivery.simulation.oracle import Broken
from tieout.delivery.simulation.plan import Caller, Plan, Strike
from tieout.delivery.simulation.rows import Rows, read
from tieout.delivery.simulation.world import Happening, World
from tieout.model.errors import AuthenticationFailed, Retriable

#: Leases of a minute against time-outs of ten seconds.
LIMITS = Limits(lease_seconds=60.0, look_up_again_seconds=10.0)
#: Seconds at most that a step between two points takes.
STEP_SECONDS = 0.3
#: Deliveries after the callers: more are needed only by what never ends.
MOST_DELIVERIES = 60
#: A session in a transaction in which nothing happens is ended by PostgreSQL after so many seconds.
IDLE_SECONDS = LIMITS.idle_transaction_seconds
#: Which plans have the last pass, in which everything is planned and delivered once more.
AGAIN = 3


class Died(BaseException):
    """The end of a process, as by a kill: no `except Exception` may tidy up after it."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a play. `broken` is None when every invariant held; `books` are the live lines: number, content."""

    plan: Plan
    broken: Broken | None
    timeline: Sequence[Happening]
    met: Counter[Cell]
    deliveries: int = 0
    books: Sequence[tuple[str, int, int]] = ()


def play(lab: Lab, plan: Plan) -> Played:
    """Plays the plan in a world of its own."""
    world = World(lab.engine, lab.watch, plan, lab.next_number())
    player = Player(world, lab)
    broken: Broken | None = None
    try:
        player.run()
    except Broken as found:
        broken = found
    except Exception as error:  # noqa: BLE001 - a fault of ours, planted or not, is what a simulation looks for
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
        broken = Broken("E1", f"the play ended with {type(error).__name__} at {where}: {error}")
    if broken is not None:
        world.happens("", "", str(broken))
    books = sorted((o.natural_key, o.amount, o.revision) for o in world.oracle.lines.values() if o.live)
    return Played(plan, broken, world.timeline, world.met, player.deliveries, books)


@dataclass(slots=True)
class Player:
    """The state of a play: how often each place was met, and who may have bytes on their way."""

    world: World
    lab: Lab
    strikes: Mapping[str, list[Strike]] = field(init=False)
    times: Counter[str] = field(default_factory=Counter)
    in_window: set[str] = field(default_factory=set)
    deliveries: int = 0
    steps: int = 0
    acted: bool = False

    def __post_init__(self) -> None:
        found: dict[str, list[Strike]] = defaultdict(list)
        for strike in self.world.plan.strikes:
            found[strike.where].append(strike)
        self.strikes = found
        self.world.ledger.wire = self.wire

    # -- the play ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """From the first plan to the last comparison."""
        world = self.world
        for number, caller in enumerate(world.plan.callers):
            self._enter(number, caller)
        world.stage.run()
        left = [doc.number for doc in world.plan.docs if world.create(doc).doc_uid not in world.planned]
        if left:
            acts.plan_slice(world, "late", left)
        self._until_settled()
        # What was late has arrived by now, seen or not.
        world.clock.sleep(60.0)
        world.ledger.arrive()
        rows = read(self.lab.watch, world.target)
        invariants.check_rows(rows, world.ledger, world.oracle)
        outcome.check(world, rows)
        if world.plan.writes_back:
            outcome.check_facts(world, rows, facts.told(world))
        if world.plan.seed % AGAIN == 0:
            self._once_more(rows)

    def _enter(self, number: int, caller: Caller) -> None:
        def body() -> None:
            name = f"run {number}"
            self._deferred_when_locked(name, caller)
            self._at_start(number, name)
            self.deliver(name, caller)

        self.world.stage.enter(f"run {number}", caller.start, body)

    def _deferred_when_locked(self, name: str, caller: Caller) -> None:
        try:
            acts.plan_slice(self.world, name, caller.docs)
        except Retriable:
            self.world.happens(name, "plan", "the store is busy: left to the next run")

    def _at_start(self, number: int, name: str) -> None:
        if number == 0:
            self._meet("start", name)

    def deliver(self, name: str, caller: Caller, *, most_sends: int | None = None) -> DeliverySummary | None:
        """One call of the production code; None when it ended before its work did."""
        world, plan = self.world, self.world.plan
        self.deliveries += 1
        limits = replace(LIMITS, claim_intents=caller.claim, most_sends=most_sends or plan.most_sends)
        try:
            return deliver(
                world.engine,
                world.target,
                Client(world, name),
                world.next_run(),
                name,
                limits=limits,
                clock=ProcessClock(world.clock, caller.origin, caller.wall_error),
                crash=lambda point: self.at(name, point),
                on_confirmed=facts.teller(world) if plan.writes_back else None,
            )
        except Died:
            world.happens(name, "", "is dead")
        except (Retriable, AuthenticationFailed) as error:
            if _waited_for_a_claim(error):
                raise Broken("C1", "a claim waited for another worker's claim") from error
            world.happens(name, "", f"ends with {type(error).__name__}")
        except KeyError as error:
            if error.args != ("Invoices",):
                raise Broken("E1", f"a worker ended with {error!r}") from error
            world.happens(name, "", "ends with the connector's fault")
        except Exception as error:
            raise Broken("E1", f"a worker ended with {type(error).__name__}: {error}") from error
        finally:
            self.in_window.discard(name)
            world.oracle.gone(name)
        return None

    def _until_settled(self) -> None:
        """Deliveries until nothing waits for time, nothing of the source is left, and people have looked."""
        world, people_came = self.world, False
        for number in range(MOST_DELIVERIES):
            self.acted = False
            summary = self.deliver(f"later {number}", Caller(0.0, (), origin=float(number)))
            moved = acts.again(world, "source") or self.acted
            if summary is None:
                world.clock.sleep(1.0)
            elif summary.due_in is not None:
                world.clock.sleep(summary.due_in + 0.001)
            elif not people_came:
                people_came = True
                if not self._meet("settled", "people") and not moved:
                    return
            elif not moved:
                return
        raise Broken("L1", f"something still waits after {MOST_DELIVERIES} deliveries")

    def _once_more(self, rows: Rows) -> None:
        """S13: running everything again adds no write and changes no row."""
        world, self.strikes = self.world, {}
        changes, sent = world.oracle.changes, len(world.ledger.sent)
        acts.plan_slice(world, "again", [doc.number for doc in world.plan.docs])
        self.deliver("again", Caller(0.0, ()))
        if (world.oracle.changes, len(world.ledger.sent)) != (changes, sent):
            raise Broken("S13", f"running everything again sent {len(world.ledger.sent) - sent} documents")
        after = read(self.lab.watch, world.target)
        if [(i.doc_uid, i.state) for i in after.intents] != [(i.doc_uid, i.state) for i in rows.intents]:
            raise Broken("S13", "running everything again changed an intent")

    # -- what strikes --------------------------------------------------------------------------------------------------

    def at(self, who: str, point: str) -> None:
        """Called by the delivery at every named point."""
        if point == "before_mark_commit":
            self.in_window.add(who)
        elif point == "after_send":
            self.in_window.discard(who)
        self._meet(point, who)
        if point not in INSIDE:
            self.world.stage.pause(self._step())

    def wire(self, call: Call, operation: Operation, items: int) -> str:
        """What happens to a call of the vendor."""
        where = f"{call}:{operation.name}"
        strike = self._next(where)
        if strike is None or (strike.what == "reordered" and items < 2):
            return "ok"
        self.world.met[call, strike.what, operation.name] += 1
        self.world.happens("wire", where, strike.what)
        return strike.what

    def _next(self, where: str) -> Strike | None:
        self.times[where] += 1
        return next((s for s in self.strikes.get(where, ()) if s.nth == self.times[where]), None)

    def _meet(self, where: str, who: str) -> bool:
        """Whether anything struck."""
        self.times[where] += 1
        due = [strike for strike in self.strikes.get(where, ()) if strike.nth == self.times[where]]
        for strike in due:
            self._strike(strike, who)
        return bool(due)

    def _strike(self, strike: Strike, who: str) -> None:
        world, what = self.world, strike.what
        if what == "clock_forward" and (self.in_window or world.ledger.owes()):
            world.happens(who, strike.where, "the clock is not set: bytes may be on their way")
            return
        if strike.where.startswith(("before_", "after_")) and what not in _ACTS:
            world.met["point", what, strike.where] += 1
            world.happens(who, strike.where, f"{what} {strike.seconds or ''}".strip())
        match what:
            case "dies":
                raise Died
            case "pause":
                world.stage.pause(strike.seconds)
            case "session_lost":
                world.oracle.gone(who)
                self.lab.end_session()
            case "held_open":
                self._stands_still_inside(who, strike.seconds)
            case "clock_forward":
                world.clock.error += strike.seconds
            case "clock_back":
                world.clock.error -= strike.seconds
            case _:
                self.acted = True
                acts.act(world, who, what, strike.doc)

    def _stands_still_inside(self, who: str, seconds: float) -> None:
        self.world.stage.pause(min(seconds, IDLE_SECONDS))
        if seconds >= IDLE_SECONDS:
            self.world.oracle.gone(who)
            self.lab.end_session()
            self.world.stage.pause(seconds - IDLE_SECONDS)

    def _step(self) -> float:
        """How long the way to the next point takes: by the seed and the number of the step, so that a plan that loses a
        part keeps the rest of its times."""
        self.steps += 1
        mixed = (self.world.plan.seed * 1_000_003 + self.steps * 8_191 + 17) * 2_654_435_761 & 0xFFFFFFFF
        return STEP_SECONDS * mixed / 0x100000000


def _waited_for_a_claim(error: Exception) -> bool:
    """Did a claim give up because another session held one of the rows?"""
    locked = getattr(getattr(error.__cause__, "diag", None), "context", None) or ""
    frames = traceback.extract_tb(error.__traceback__)
    return 'relation "intent"' in locked and any(f.name == "ready" and f.filename.endswith("claim.py") for f in frames)


_ACTS = frozenset((*ACTS, *OTHER_ACTS))


def identity_of_run(world: World) -> Any:
    """The run that deliveries name: another each time."""
    return world.next_run()
