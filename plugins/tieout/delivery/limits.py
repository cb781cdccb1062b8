"""The bounds of a delivery, each with its unit, and what a delivery tells when it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one delivery.

    Attributes:
        claim_intents: intents that a worker leases at once; a multiple of the vendors' batches (Xero 50, Salesforce
            200), or each claim would end with a call that is not full.
        lease_seconds: length of a lease; at least twice the operation's time-out is taken for a send.
        rounds: claims in one call of `deliver`.
        most_sends: sends of one intent before a person has to look.
        look_up_again_seconds: wait after a look-up that could not be made.
        silent_batches: batches in a row without one definite answer, after which the vendor counts as down.
        expire_intents: leases that one statement ends.
        idle_transaction_seconds: after which PostgreSQL ends the transaction of a worker that is paused inside it.
    """

    claim_intents: int = 600
    lease_seconds: float = 300.0
    rounds: int = 100_000
    most_sends: int = 20
    look_up_again_seconds: float = 60.0
    silent_batches: int = 3
    expire_intents: int = 5_000
    idle_transaction_seconds: float = 30.0


@dataclass(slots=True)
class DeliverySummary:
    """What one call of `deliver` did.

    Attributes:
        states: intents settled, by the state they went to (an intent may be counted for READY and later CONFIRMED).
        outcomes: attempts by what came of them: applied, refused, uncertain, throttled, found_equal ...
        claimed: intents claimed for sending; looked_up: intents looked up.
        sent: items sent; send_calls, look_up_calls: requests made of the vendor.
        lost: intents whose answer came when another worker had taken them over.
        held_children, put_back: intents held because of a failed parent, and made ready again.
        alarms: doc_uids for which more than one live document may exist: somebody has to look today.
        waiting: intents of the target by state when it ended (READY, UNKNOWN, CLAIMED, IN_FLIGHT, HELD).
        oldest_unknown_seconds, oldest_held_seconds: age of the oldest; None where there is none.
        due_in: seconds until something can be done again; None when nothing waits for time alone.
        stopped: why it ended before the work did; None when it did all that could be done now.
        asked_to_wait: seconds that the vendor, or the budget of its calls, asked to wait when it stopped; None when
            it did not stop for that.
    """

    states: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    claimed: int = 0
    looked_up: int = 0
    sent: int = 0
    send_calls: int = 0
    look_up_calls: int = 0
    lost: int = 0
    held_children: int = 0
    put_back: int = 0
    alarms: list[str] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)
    oldest_unknown_seconds: float | None = None
    oldest_held_seconds: float | None = None
    due_in: float | None = None
    stopped: str | None = None
    asked_to_wait: float | None = None
