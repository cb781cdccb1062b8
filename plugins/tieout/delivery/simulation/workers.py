"""Competing workers on one virtual time: each in a thread of its own, exactly one of them running.

A worker gives the turn away only where it calls `pause`; the one whose time comes first goes on. So the order is a
function of the plan alone, whatever the machine does. What a worker does between two pauses (a transaction) takes no
time. Nothing here knows of delivery.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tieout.delivery.simulation.clock import VirtualClock


@dataclass(slots=True)
class _Turn:
    """One worker's thread; it waits for its lock."""

    name: str
    body: Callable[[], None]
    lock: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None


@dataclass(slots=True)
class Stage:
    """Runs workers until all have ended.

    Attributes:
        most_turns: bound on turns: a schedule that needs more goes round in circles.
    """

    clock: VirtualClock
    most_turns: int = 20_000
    _waiting: list[tuple[float, int, _Turn]] = field(default_factory=list)
    _here: threading.Lock = field(default_factory=threading.Lock)
    _current: _Turn | None = None
    _serial: int = 0
    _fault: BaseException | None = None

    def enter(self, name: str, at: float, body: Callable[[], None]) -> None:
        """A worker that begins at that true time. `body` must not let an exception out that it expects."""
        self._push(at, _Turn(name, body))

    def run(self) -> None:
        """Gives turns until nobody is left; the first exception that a body let out is raised here, once all ended."""
        self._here.acquire()
        try:
            for _ in range(self.most_turns):
                if not self._waiting:
                    break
                at, _, turn = heapq.heappop(self._waiting)
                self.clock.seconds = max(self.clock.seconds, at)
                self._go_on(turn)
            else:
                raise AssertionError(f"{self.most_turns} turns and no end")
        finally:
            self._here.release()
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault

    def pause(self, seconds: float) -> None:
        """Lets `seconds` pass for whoever calls it; others work meanwhile. Outside of a worker the time just passes."""
        turn, until = self._current, self.clock.seconds + seconds
        if turn is None or not self._waiting or self._waiting[0][0] >= until:
            self.clock.seconds = until
            return
        turn.lock.acquire()
        self._push(until, turn)
        self._here.release()
        turn.lock.acquire()
        turn.lock.release()

    def _push(self, at: float, turn: _Turn) -> None:
        self._serial += 1
        heapq.heappush(self._waiting, (at, self._serial, turn))

    def _go_on(self, turn: _Turn) -> None:
        self._current = turn
        if turn.thread is None:
            turn.thread = threading.Thread(target=self._live, args=(turn,), name=turn.name, daemon=True)
            turn.thread.start()
        else:
            turn.lock.release()
        self._here.acquire()  # until it pauses or ends
        self._current = None

    def _live(self, turn: _Turn) -> None:
        try:
            turn.body()
        except BaseException as fault:  # noqa: BLE001 - carried into the thread of `run`
            self._fault = self._fault or fault
        finally:
            if self._here.locked():  # else `run` was interrupted, and nobody waits
                self._here.release()
