"""Campaign: kill -9 of workers, at every named point of the protocol and at any moment."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.chaos.company import CRM, LEDGER, OPERATIONS
from tests.chaos.nursery import Child
from tests.chaos.report import Tally
from tests.chaos.world import Run, World
from tieout.delivery.deliver import CRASH_POINTS

#: Points that only a look-up of something doubtful meets, and those that only giving back meets.
LOOKING = ("after_look_up", "before_look_up_commit")
GIVING_BACK = ("before_release_commit", "after_release")
#: Doomed workers at a time.
AT_ONCE = 2
#: Seconds for all kills of one run; and runs of one kind in which its points have to be met.
PATIENCE, MOST_RUNS = 300.0, 4
#: A claim of four in requests of two: there are sends before and after each point.
SMALL = {"batch": 2, "claim": 4}
#: Claims of a doomed worker that does not come to its point: it must not do the work of the others.
ROUNDS = 2

Met = Counter[tuple[str, str]]


def at_every_point(world: World, kinds: Sequence[str], times: int, met: Met, orders: int = 96) -> Tally:
    """A run or more for each kind of document: `times` kills at each point while documents of that kind are delivered.

    Args:
        met: counts each (kind, point) that a worker was killed at.
    """
    tally = Tally("kill -9 of workers at named points")
    for kind in kinds:
        left = dict.fromkeys(CRASH_POINTS, times)
        for _ in range(MOST_RUNS):
            with world.run(orders) as run:
                run.prepare(kind)
                _kill_at_points(run, kind, left, met)
                world.sandbox.faults()
                tally.add(run, *run.settle())
            if not _wanted(left):
                break
        assert not _wanted(left), f"{kind}: never met: {_wanted(left)}"
    return tally


def _wanted(left: Mapping[str, int]) -> list[str]:
    return [point for point, times in left.items() if times > 0]


def _kill_at_points(run: Run, kind: str, left: dict[str, int], met: Met) -> None:
    """Starts doomed workers until each point has had its kills, or there is too little left to be killed over."""
    end, chance, doomed = time.monotonic() + PATIENCE, random.Random(kind), list[Child]()
    while doomed or _has_material(run, kind, _wanted(left)):
        for child in [child for child in doomed if child.poll() is not None]:
            doomed.remove(child)
            if child.code == -signal.SIGKILL:
                run.kills += 1
                met[(kind, child.job.point)] += 1
            else:
                assert child.code == 0, f"{child.job}: {child.code}\n{run.world.log}"
                left[child.job.point] += 1  # it never came there
        # The request that is told to wait must be that of the worker which is to give back: it works alone.
        room = 0 if any(child.job.point in GIVING_BACK for child in doomed) else AT_ONCE
        possible = _possible(run, kind, _wanted(left)) if len(doomed) < room else []
        possible = [point for point in possible if not doomed or point not in GIVING_BACK]
        if possible:
            point = chance.choice(possible)
            left[point] -= 1
            doomed.append(_doom(run, kind, point, chance))
        else:
            if not doomed and run.expired():
                run.start(kinds=["none"], targets=[LEDGER, CRM]).wait()  # somebody has to see that leases are over
            run.world.nursery.listen(0.02)
        assert time.monotonic() < end, f"{kind}: never met: {_wanted(left)}\n{run.world.log}"


def _has_material(run: Run, kind: str, wanted: Sequence[str]) -> bool:
    """Whether the wanted points can still be met in this run, now or in a moment."""
    is_doubtful = any(point in LOOKING for point in wanted) and run.unsettled(kind) > 0
    return bool(wanted) and (is_doubtful or run.unsent(kind) >= SMALL["claim"])


def _possible(run: Run, kind: str, wanted: Sequence[str]) -> list[str]:
    """The points that a worker can meet with what is doubtful or ready now. Only sends make doubt."""
    looking = [point for point in wanted if point in LOOKING]
    if looking and run.doubtful(kind):
        return looking
    if run.claimable(kind) < SMALL["claim"]:
        return []
    others = [point for point in wanted if point not in LOOKING]
    return others or ([] if not looking or run.unsettled(kind) else ["after_send"])


def _doom(run: Run, kind: str, point: str, chance: random.Random) -> Child:
    if point in GIVING_BACK:
        _have_the_first_wait(run, kind)
    target = CRM if kind == "write_back" else LEDGER
    often = {"before_send", "after_send", "before_mark_commit", "after_mark", "before_confirm_commit", "after_confirm"}
    time_ = chance.choice((1, 2)) if point in often else 1
    return run.start(kinds=[kind], targets=[target], point=point, time=time_, rounds=ROUNDS, **SMALL)


def _have_the_first_wait(run: Run, kind: str) -> None:
    """The next request is told to come back in a second or few; the rest of its claim is then given back."""
    if kind == "write_back":
        # Salesforce's limit is the day's; what passes soon is a record that another holds.
        run.world.lock(run.next_keys(kind, 1))
        return
    call = {"system": "xero", "path": "/api.xro/*", "fault": "status_429", "times": 1, "params": {"retry_after": 1}}
    run.world.sandbox.faults(*({**call, "method": method} for method in ("PUT", "POST")))


def at_any_moment(world: World, kills: int, runs: int, orders: int = 60) -> Tally:
    """Three workers on everything, of which one is killed from outside every few hundredths of a second."""
    tally, chance = Tally("kill -9 of workers at any moment"), random.Random(11)
    for _ in range(runs):
        with world.run(orders) as run:
            # A tenth of a second in each request: most of a worker's life is then spent in the middle of a send.
            world.sandbox.faults({"fault": "slow", "probability": 0.5, "params": {"seconds": 0.1}})
            while run.kills < kills // runs and run.count("select count(*) from tieout.intent where state = 'READY'"):
                living = world.nursery.living()
                living += [run.start(**SMALL) for _ in range(3 - len(living))]
                run.world.nursery.listen(chance.uniform(0.1, 0.4))
                run.kill_some([chance.choice(living)])
            world.nursery.end_all()
            world.sandbox.faults()
            tally.add(run, *run.settle())
    return tally


def matrix(met: Met) -> str:
    """Markdown: how many workers were killed at each point, by operation."""
    kinds = [kind for kind in OPERATIONS if any(kind == one for one, _ in met)]
    lines = ["| point | " + " | ".join(OPERATIONS[kind] for kind in kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for point in CRASH_POINTS:
        lines.append(f"| {point} | " + " | ".join(str(met[(kind, point)]) for kind in kinds) + " |")
    return "\n".join(lines)
