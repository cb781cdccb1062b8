"""Every planted bug is found by the simulator, within a bounded number of schedules made around where it should show.

`make mutants` plays the seeds from 0 on instead and says how many each took.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tests.mutants.bugs  # noqa: F401 - registers them
from tests.mutants.hunt import aimed, hunt
from tests.mutants.planting import MUTANTS, Mutant
from tests.support.postgres import PostgresServer
from tieout.delivery.simulation.lab import Lab, opened

#: Schedules that one bug may take here. Each has its aim; most show in the first few.
MOST = 60


@pytest.fixture(scope="module")
def lab(postgres_server: PostgresServer) -> Iterator[Lab]:
    with opened(postgres_server.migrated_database()) as opened_lab:
        yield opened_lab


def test_there_are_enough_of_them() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 25
    assert all(mutant.what for mutant in MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(lab: Lab, mutant: Mutant) -> None:
    caught = hunt(lab, mutant, aimed(mutant, MOST))
    assert caught.invariant is not None, f"{mutant.name} ({mutant.what}) was not found in {caught.schedules} schedules"
