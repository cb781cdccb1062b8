"""A few hundred seeded schedules of faults, crashes, pauses and workers; TIEOUT_SIMULATIONS sets how many."""

from __future__ import annotations

import os

import pytest
from sqlalchemy.engine import Engine

from tests.support.simulation import EMPTY, Schedule

SCHEDULES = int(os.environ.get("TIEOUT_SIMULATIONS", "200"))
#: Schedules in one test: they share a database, emptied in between.
GROUP = 25


@pytest.mark.parametrize("first", range(0, SCHEDULES, GROUP))
def test_every_invariant_holds_in_every_schedule(engine: Engine, first: int) -> None:
    for seed in range(first, min(first + GROUP, SCHEDULES)):
        with engine.begin() as conn:
            conn.exec_driver_sql(EMPTY)
        Schedule(seed, engine).run()
