"""What a session asks before each call and tells after each answer, and the gate that keeps its count in memory.

The rules are in pace.py. A gate that all workers of a connection share through the store is handed in by those who
open connectors (delivery/gate.py); this one serves tools, tests, and whoever has no store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol
from uuid import uuid4

from tieout.connectors import pace
from tieout.connectors.pace import Allowance, Ask, Heard, Pace, Wait
from tieout.connectors.wire import Clock, number_from
from tieout.model.connection import Connection
from tieout.model.errors import RateLimited

#: Shortest wait that a caller is sent away with, seconds: a slot may be free at any moment.
SHORTEST_RETRY = 1.0

_LIMITS: Mapping[str, str] = {
    "window": "the calls of the minute are used up",
    "concurrent": "all calls that may be under way at the same time are",
    "day": "the day's calls are used up, or what is left of them is kept for urgent work",
    "other": "the vendor asked to wait",
    "urgent": "urgent work goes first",
}


class Gate(Protocol):
    """Lets calls of one connection through. Safe for many threads."""

    allowance: Allowance

    def enter(self, priority: int, patience: float, seconds: float, weight: int = 1) -> str:
        """Waits until a call may be made, and gives its ticket.

        Args:
            priority: 0 is batch work; anything above goes before it.
            patience: longest wait, seconds; one that would be longer is not begun.
            seconds: after which the call has surely ended.
            weight: as how many calls of the window it counts.

        Raises:
            RateLimited: it may not be made for longer than that; nothing was sent.
            Retriable: the gate cannot be asked; nothing was sent.
        """
        ...

    def leave(self, ticket: str, heard: Heard | None) -> None:
        """The call has ended; None when it was not made after all. Raises nothing."""
        ...


def allowance_of(connection: Connection, vendors: Allowance) -> Allowance:
    """The vendor's allowance with what the connection says: `calls_per_minute`, `concurrent_calls`, `calls_per_day`,
    `calls_per_second`.

    0 is no limit; `calls_window` (seconds) says that it is another span than a minute. Raises ConfigurationFault.
    """

    def number(name: str, default: int | None, most: float) -> int | None:
        return int(number_from(connection, name, default or 0, 0, most)) or None

    return Allowance(
        number("calls_per_minute", vendors.calls, 100_000),
        number_from(connection, "calls_window", vendors.window, 1.0, 3600.0),
        number("concurrent_calls", vendors.concurrent, 100),
        vendors.daily,
        number("calls_per_day", vendors.cap, 1e9),
        number("calls_per_second", vendors.per_second, 1000),
    )


def wait_for(ask: Callable[[], Wait | None], clock: Clock, name: str, patience: float) -> None:
    """Asks again and again until the answer is None.

    Raises:
        RateLimited: that would take longer than `patience` seconds.
    """
    end = clock.monotonic() + patience
    while (wait := ask()) is not None:
        if clock.monotonic() + wait.seconds > end:
            raise RateLimited(f"{name}: {_LIMITS[wait.why]}", max(wait.seconds, SHORTEST_RETRY))
        # Times are kept in microseconds: a wait of less would never end.
        clock.sleep(max(wait.seconds, 0.001))


class LocalGate:
    """The gate of one process."""

    def __init__(self, name: str, allowance: Allowance, clock: Clock) -> None:
        self.name = name
        self.allowance = allowance
        self._clock = clock
        # Counted on from here by a clock that nobody sets.
        self._begin, self._zero = clock.now(), clock.monotonic()
        self._lock = threading.Lock()
        self._pace = pace.NEW

    @property
    def pace(self) -> Pace:
        """What is known now."""
        return self._pace

    def enter(self, priority: int, patience: float, seconds: float, weight: int = 1) -> str:
        """See Gate."""
        ask = Ask(uuid4().hex, priority, seconds, weight)
        wait_for(lambda: self._admit(ask), self._clock, self.name, patience)
        return ask.ticket

    def leave(self, ticket: str, heard: Heard | None) -> None:
        """See Gate."""
        with self._lock:
            if heard is None:
                self._pace = pace.abandoned(self._pace, ticket)
            else:
                now = self._begin + timedelta(seconds=self._clock.monotonic() - self._zero)
                self._pace = pace.answered(self._pace, self.allowance, ticket, heard, now)

    def _admit(self, ask: Ask) -> Wait | None:
        with self._lock:
            now = self._begin + timedelta(seconds=self._clock.monotonic() - self._zero)
            self._pace, wait = pace.admit(self._pace, self.allowance, ask, now)
            return wait
