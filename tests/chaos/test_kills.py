"""A part of `make chaos` for every commit: workers killed at each named point of the protocol, the books judged after.

The documents of a run are of one kind; each kill leaves some sent and unconfirmed, some claimed and not sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.chaos import kills
from tests.chaos.world import World
from tieout.delivery.deliver import CRASH_POINTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        yield world


def test_workers_killed_at_each_named_point_leave_no_duplicate_and_lose_nothing(world: World) -> None:
    met: kills.Met = Counter()
    # Credit notes: Xero knows no second one from the first, so that each second send would show.
    tally = kills.at_every_point(world, ["credit_memo"], 1, met, orders=40)
    assert tally.words == []
    assert tally.kills == sum(met.values()) == len(CRASH_POINTS)
