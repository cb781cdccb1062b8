"""Which faults there are, where they can strike, and where they cannot, with the reason.

Three families: what happens to a call of the vendor, what happens to a worker at a named point, what happens to the
database's clock. What they do is in ledger.py and player.py; how often they struck in coverage.py.
"""

from __future__ import annotations

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
LOOK_UP_FAULTS = ("look_up_fails", "look_up_limited")
