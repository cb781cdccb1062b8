"""Campaigns: the network between workers and vendor is cut, reset, held and gone."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tests.chaos.report import Tally
from tests.chaos.world import World

WORKERS = 2
STUBBORN = {"batch": 2, "claim": 10, "patience": 60.0, "tries": 1000}
#: Part of the writes that suffer the fault; of sign-ins and look-ups a third of it.
PROBABILITY = 0.35
#: Seconds of one outage, and of the fault in a run at most.
DOWN, LONGEST = 3.0, 20.0


def cut(world: World, fault: str, runs: int, orders: int = 25) -> Tally:
    """One fault of the proxy, until it has happened to as many requests as there are orders."""
    return _wrong(world, fault.replace("_", " "), {fault: PROBABILITY}, runs, orders)


def _wrong(world: World, name: str, rules: Mapping[str, float], runs: int, orders: int) -> Tally:
    tally = Tally(f"network: {name}")
    for number in range(runs):
        with world.run(orders, proxy=True) as run:
            assert run.proxy is not None
            run.proxy.rules(seed=number, **rules)
            end = time.monotonic() + LONGEST
            while time.monotonic() < end and run.proxy.happened().total() < orders and run.is_open():
                run.keep(WORKERS, **STUBBORN)
                world.nursery.listen(0.1)
            hits = run.proxy.rules().total()
            tally.add(run, *run.settle(), hits=hits)
            assert hits, f"{name} never happened"
    return tally


def down(world: World, runs: int, orders: int = 25) -> Tally:
    """Nobody listens at the vendor's port for some seconds."""
    tally = Tally("network: no connection at all")
    for _ in range(runs):
        with world.run(orders, proxy=True) as run:
            assert run.proxy is not None
            run.keep(WORKERS, **STUBBORN)
            run.wait_for_sends(orders)
            run.proxy.rules(down=1)
            time.sleep(DOWN)
            run.proxy.rules()
            tally.add(run, *run.settle(), hits=1)
    return tally
