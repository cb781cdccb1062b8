"""`make chaos`: all campaigns, and the table of what came of them. `python -m tests.chaos NAME ...` runs some.

The exit code is 1 when a document is there twice, is lost, differs or is left open anywhere.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from tests.chaos import in_airflow, kills, mixed, outages, pauses, wires
from tests.chaos.company import OPERATIONS
from tests.chaos.proxy import FAULTS
from tests.chaos.report import Tally, table
from tests.chaos.world import World
from tieout.model import logs
from tieout.model.errors import TieoutError

#: What has to come together in a full run.
WORKER_KILLS, POSTMASTER_KILLS = 500, 30

Campaign = Callable[[World], Tally]


def campaigns(met: kills.Met) -> Iterator[tuple[str, Campaign]]:
    """(name, campaign) of all, in the order of the table."""
    yield "points", lambda world: kills.at_every_point(world, list(OPERATIONS), 4, met)
    yield "moments", lambda world: kills.at_any_moment(world, 60, 3)
    yield "postmaster", lambda world: outages.postmaster_killed(world, POSTMASTER_KILLS, 5)
    yield "stopped", lambda world: pauses.stopped_past_the_lease(world, 4, 4)
    for fault in FAULTS:
        yield fault, lambda world, fault=fault: wires.cut(world, fault, 3)  # type: ignore[misc]
    yield "down", lambda world: wires.down(world, 2)
    yield "disk", lambda _: outages.disk_full(6)
    yield "process_clock", lambda world: pauses.process_clock_leaps(world, 3)
    yield "clock_back", lambda world: pauses.database_clock_goes_back(world, 3)
    yield "clock_ahead", lambda world: pauses.database_clock_leaps_ahead(world, 3)
    yield "mixed", lambda world: mixed.everything(world, 5, 8)
    yield "airflow", lambda _: in_airflow.killed_in_airflow(3)


def main(wanted: list[str]) -> int:
    """Runs the campaigns with these names, all where none is given; prints; the exit code."""
    met: kills.Met = Counter()
    chosen = [(name, campaign) for name, campaign in campaigns(met) if not wanted or name in wanted]
    if wanted and len(chosen) < len(set(wanted)):
        print(f"known are: {', '.join(name for name, _ in campaigns(met))}", file=sys.stderr)
        return 2
    tallies: list[Tally] = []
    began = time.monotonic()
    with World() as world:
        for name, campaign in chosen:
            started = time.monotonic()
            tallies.append(_carried_out(name, campaign, world))
            print(f"{name}: {'clean' if tallies[-1].clean else 'NOT CLEAN'}, {time.monotonic() - started:.0f} s")
            for word in tallies[-1].words[:50]:
                print(f"  {word}")
            sys.stdout.flush()
    minutes, load = (time.monotonic() - began) / 60, os.getloadavg()
    print(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} processors, {platform.system()}, "
          f"load {load[0]:.1f} {load[1]:.1f} {load[2]:.1f}, {minutes:.0f} minutes\n")  # fmt: skip
    print(table(tallies))
    if met:
        print(f"\n{kills.matrix(met)}")
    is_whole = bool(wanted) or _are_enough(tallies)
    return 0 if is_whole and all(tally.clean for tally in tallies) else 1


def _carried_out(name: str, campaign: Campaign, world: World) -> Tally:
    """The campaign's line; one that breaks off is not clean, and the others go on."""
    try:
        return campaign(world)
    except (AssertionError, TieoutError) as error:
        world.nursery.end_all()
        return Tally(name, words=[f"broke off: {type(error).__name__}: {error}"])


def _are_enough(tallies: list[Tally]) -> bool:
    workers = sum(tally.kills for tally in tallies if "of workers" in tally.fault)
    postmaster = sum(tally.kills for tally in tallies if "postmaster" in tally.fault)
    print(f"\nkilled: {workers} workers of {WORKER_KILLS}, {postmaster} postmasters of {POSTMASTER_KILLS}")
    return workers >= WORKER_KILLS and postmaster >= POSTMASTER_KILLS


if __name__ == "__main__":
    logs.configure()
    sys.exit(main(sys.argv[1:]))
