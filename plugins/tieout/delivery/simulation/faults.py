"""Which faults there are, where each can strike, and where it cannot, with the reason.

A cell is (family, what, where): a fault of a call and the write it hits, what a look-up shows of a write, a blow to a
worker and the named point, an act of a person or of the source and the state of the intent that it meets. What they do
is in ledger.py, player.py and acts.py; how often they struck in coverage.py; each schedule is made around one cell
(seeds.py).
"""

from __future__ import annotations

from functools import cache

from tieout.delivery.deliver import CRASH_POINTS
from tieout.delivery.simulation.operations import EVERYTHING
from tieout.delivery.states import State

#: What can happen to a send; `ok` is nothing. Those named item_* and cut hit a part of the batch.
SEND_FAULTS = (
    "lost_request",
    "lost_answer",
    "late",
    "error_applied",
    "error_not_applied",
    "throttled",
    "item_missing",
    "item_missing_not_applied",
    "cut",
    "reordered",
    "doubled",
)
#: Beside them: an answer 200 that is no JSON, a token that expires between two batches, a connector with a fault.
SEND = (*SEND_FAULTS, "not_json", "unauthorised", "broken_connector")
LOOK_UP_FAULTS = ("look_up_fails", "look_up_limited")
#: Beside them: an index that is as old as the vendor says it may be.
LOOK_UP = (*LOOK_UP_FAULTS, "stale")

#: Points of the protocol that have no name in CRASH_POINTS: families of documents, and the description at the end.
POINTS = (
    "before_put_back_commit",
    "after_put_back",
    *CRASH_POINTS,
    "before_hold_commit",
    "after_hold",
    "before_describe_commit",
    "after_describe",
)
#: Points between two transactions: here a worker can stand still while others work.
BETWEEN = tuple(point for point in POINTS if not point.endswith("_commit"))
INSIDE = tuple(point for point in POINTS if point.endswith("_commit"))
#: After these a worker may have bytes on their way, until it is back at `after_send`.
WINDOW = ("after_mark", "before_send")

#: Blows between two transactions: the process ends, stands still, loses its session, meets a clock that was set.
BLOWS_BETWEEN = ("dies", "pause", "session_lost", "clock_forward", "clock_back")
#: Inside one: it ends, its session ends, or it stands still with its locks while others come.
BLOWS_INSIDE = ("dies", "session_lost", "held_open")

#: What the source and people do to a document.
ACTS = ("revise", "void", "look_up_again", "accept", "cancel", "try_again")
#: Beside them, without a state to meet: a person enters a document under our number (another one, or exactly ours) and
#: voids it again; a run plans everything once more.
OTHER_ACTS = ("foreign", "foreign_equal", "foreign_gone", "repeat")

#: What a look-up shows.
FOUND = ("none", "equal", "different", "many")

Cell = tuple[str, str, str]

_UNIQUE = "the ledger holds one live document under this key"
_OURS_ALONE = "nobody else writes under this key, and what is ours has our content"
_IS_THERE = "what is changed is in the ledger"
_ONE_AT_A_TIME = "this write goes one in a request"
_CLOCK = (
    "a step of the database's clock while bytes may be on their way ends leases and quiet periods early: nothing is "
    "promised for it (docs: the database's clock is slewed, not stepped)"
)


@cache
def impossible() -> dict[Cell, str]:
    """Cells that cannot be met, with the reason."""
    cells: dict[Cell, str] = {}
    for name, operation in EVERYTHING.items():
        if operation.batch == 1:
            cells["send", "reordered", name] = _ONE_AT_A_TIME
        if name != "bare.create":
            cells["found", "many", name] = _UNIQUE
    for name in ("durable.create", "short.create", "payment.create"):
        cells["found", "different", name] = _OURS_ALONE
    for name in ("document.update", "document.void"):
        cells["found", "none", name] = _IS_THERE
    for point in WINDOW:
        cells["point", "clock_forward", point] = _CLOCK
    return cells


@cache
def possible() -> tuple[Cell, ...]:
    """Every cell that a long enough run has to meet, in a fixed order."""
    cells: list[Cell] = [("send", fault, name) for fault in SEND for name in EVERYTHING]
    cells += [("look_up", fault, name) for fault in LOOK_UP for name in EVERYTHING]
    cells += [("found", what, name) for what in FOUND for name in EVERYTHING]
    cells += [("point", blow, point) for blow in BLOWS_BETWEEN for point in BETWEEN]
    cells += [("point", blow, point) for blow in BLOWS_INSIDE for point in INSIDE]
    cells += [("act", act, state) for act in ACTS for state in State]
    return tuple(cell for cell in cells if cell not in impossible())
