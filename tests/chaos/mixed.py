"""Campaign: everything at once: a bad network, workers killed and stopped at any moment, PostgreSQL killed."""

from __future__ import annotations

import random
import signal
import time

from tests.chaos.outages import STUBBORN
from tests.chaos.proxy import FAULTS
from tests.chaos.report import Tally
from tests.chaos.world import Run, World

WORKERS = 3
#: Part of the writes that the network does something to.
PROBABILITY = 0.4


def everything(world: World, runs: int, blows: int, orders: int = 30) -> Tally:
    """A run suffers so many blows: a worker or the postmaster killed, a worker stopped for longer than its lease."""
    tally, chance = Tally("all of it at once"), random.Random(23)
    for number in range(runs):
        with world.run(orders, proxy=True) as run:
            assert run.proxy is not None
            run.proxy.rules(seed=number, **dict.fromkeys(FAULTS, PROBABILITY / len(FAULTS)))
            for blow in range(blows):
                run.keep(WORKERS, **{**STUBBORN, "batch": 2})
                run.wait_for_sends(chance.randint(2, 8))
                # One of each first, so that even a short run has met them all.
                _strike(run, ("worker", "postmaster", "stop")[blow] if blow < 3 else chance.choice(("worker", "stop")))
            stopped = [child for child in world.nursery.living() if child.is_stopped]
            hits = run.proxy.rules().total() + len(stopped)
            time.sleep(chance.uniform(0.0, 0.5))
            for child in stopped:
                child.signal(signal.SIGCONT)
            tally.add(run, *run.settle(), hits=hits)
    return tally


def _strike(run: Run, what: str) -> None:
    world = run.world
    if what == "postmaster":
        world.kill_postgres()
        run.kills += 1
        world.start_postgres()
        return
    going = [child for child in world.nursery.living() if not child.is_stopped]
    if what == "stop":
        going[0].signal(signal.SIGSTOP)  # until the end of the blows; others take its work when its lease is over
    else:
        run.kill_some(going[:1])
