"""A scenario's delivery into one side of its link: a crew of workers at the vendor's pace, and what is told of it.

How a document is posted exactly once is in delivery/; when the vendor asks for a longer wait, this says until when.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from tieout.connectors.base import Connector
from tieout.delivery.crew import Progress, deliver_by_crew
from tieout.delivery.deliver import deliver, deliver_until_settled
from tieout.delivery.limits import DeliverySummary, Limits
from tieout.delivery.states import State
from tieout.model.errors import RateLimited
from tieout.scenarios.services import Services, Side

#: Workers of one step; the store has a session for each.
MOST_WORKERS = 5
#: Waits for the vendor's limit, none longer than the step's patience, as long as each brings something.
MOST_ROUNDS = 1_000
#: Few enough that several workers share what there is, and that single calls at the vendor's pace end in a lease.
LIMITS = Limits(claim_intents=200)

One = Callable[[int, Progress], DeliverySummary]


def deliver_side(services: Services, side: Side, run_id: UUID, scenario: str, patience: float) -> dict[str, Any]:
    """Delivers what can be delivered now, and what is due within `patience` seconds.

    Returns:
        Its numbers, with `goes_on_in` (seconds) when the vendor's limit is in the way for longer.
    """
    name = f"{scenario}:{socket.gethostname()}:{os.getpid()}"
    with ExitStack() as stack:
        connectors: dict[int, Connector] = {0: side.connector}

        def one(number: int, progress: Progress) -> DeliverySummary:
            if number not in connectors and side.open is not None:
                connectors[number] = side.open()
                stack.callback(connectors[number].close)
            target, worker, link = connectors[number], f"{name}:{number}", services.link.name
            return deliver(
                services.engine, side.name, target, run_id, worker, link=link, limits=LIMITS, on_progress=progress
            )

        rounds = _rounds(side, one, patience)
    return {**_numbers(rounds), "goes_on_in": _goes_on_in(side, rounds[-1], patience)}


def _rounds(side: Side, one: One, patience: float) -> list[DeliverySummary]:
    gate = side.gate
    most = 1 if side.open is None or gate is None else min(gate.allowance.concurrent or MOST_WORKERS, MOST_WORKERS)

    def once() -> DeliverySummary:
        return deliver_by_crew(one, gate.workers if gate is not None else lambda: 1, most)

    rounds: list[DeliverySummary] = []
    for _ in range(MOST_ROUNDS):
        more = deliver_until_settled(once, patience)
        rounds += more
        wait = more[-1].asked_to_wait
        if wait is None or wait > patience or not any(part.states["CONFIRMED"] for part in more):
            break
    return rounds


def _numbers(rounds: list[DeliverySummary]) -> dict[str, Any]:
    last = rounds[-1]
    return {
        "sent": sum(part.sent for part in rounds),
        "calls": sum(part.send_calls for part in rounds),
        "look_ups": sum(part.look_up_calls for part in rounds),
        "outcomes": dict(sum((part.outcomes for part in rounds), start=type(last.outcomes)())),
        "states": dict(sum((part.states for part in rounds), start=type(last.states)())),
        "alarms": [alarm for part in rounds for alarm in part.alarms],
        "waiting": last.waiting,
        "stopped": last.stopped,
    }


def _goes_on_in(side: Side, last: DeliverySummary, patience: float) -> float | None:
    """Seconds until the vendor's limit lets go of what waits. What an earlier step met is still in the way."""
    if last.asked_to_wait is not None or side.gate is None or not last.waiting.get(State.READY):
        return last.asked_to_wait
    seconds = side.gate.closed_for()
    return seconds if seconds > patience else None


def require_no_limit(side: Side, numbers: Mapping[str, Any]) -> None:
    """Hands a limit of the vendor up to whoever can wait without holding a worker.

    Raises:
        RateLimited: what waits goes on when it is over; nothing has to be done again.
    """
    if numbers["goes_on_in"] is not None:
        waiting = sum(numbers["waiting"].get(state, 0) for state in ("READY", "UNKNOWN", "CLAIMED", "IN_FLIGHT"))
        words = f"{side.name}: {numbers['stopped'] or 'the vendor asked to wait'}; {waiting} documents wait"
        raise RateLimited(words, numbers["goes_on_in"])
