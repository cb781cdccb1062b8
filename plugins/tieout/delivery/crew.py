"""Several workers around `deliver`: threads of one process, as many as the vendor's answers allow at the time.

Each worker is a call of `deliver` with a session of the store and a connector of its own; they share work by claims and
the vendor's allowance by its gate, as workers of different processes do. What only one may post stays with one of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context

from tieout.delivery.limits import DeliverySummary

#: Seconds between two looks at how many workers there should be; a delivery that is shorter has one.
LOOK = 0.25
#: Seconds until a worker is started again after one that found nothing: others may have made work ready.
IDLE = 1.0

Progress = Callable[[DeliverySummary], None]


class Ended(Exception):
    """Raised inside a worker between two requests, so that it gives back what it has not sent."""


def deliver_by_crew(
    one: Callable[[int, Progress], DeliverySummary], workers: Callable[[], int], most: int
) -> DeliverySummary:
    """Delivers what can be delivered now, by up to `most` workers at once.

    Args:
        one: a call of `deliver` with the number-th connector (from 0; no two calls have the same number at a time);
            its second argument is for `on_progress`.
        workers: how many there should be now.
        most: never more than so many.

    Returns:
        The sum of all; what waits is as the last one found it.

    Raises:
        What a worker raised first; the others have ended by then, each after the request that it was at.
    """
    crew = _Crew(one, max(most, 1))
    try:
        crew.start()
        while crew.running:
            crew.collect()
            while not crew.is_ending and time.monotonic() >= crew.again_at and len(crew.running) < min(workers(), most):
                crew.start()
    finally:
        crew.end()
    if crew.error is not None:
        raise crew.error
    return together(crew.summaries)


def together(summaries: list[DeliverySummary]) -> DeliverySummary:
    """The sum of several deliveries of one target at the same time; the last one ended last."""
    total = DeliverySummary()
    for each in summaries:
        total.states.update(each.states)
        total.outcomes.update(each.outcomes)
        total.alarms += each.alarms
        for name in (
            "claimed",
            "looked_up",
            "sent",
            "send_calls",
            "look_up_calls",
            "lost",
            "held_children",
            "put_back",
        ):
            setattr(total, name, getattr(total, name) + getattr(each, name))
    last = summaries[-1]
    total.waiting, total.due_in, total.stopped = last.waiting, last.due_in, last.stopped
    total.oldest_unknown_seconds = last.oldest_unknown_seconds
    total.oldest_held_seconds = last.oldest_held_seconds
    asked = [each.asked_to_wait for each in summaries if each.asked_to_wait is not None]
    # Whoever ended last may have met no limit, and yet what others gave back waits for one.
    if asked and last.due_in is not None:
        total.asked_to_wait = last.asked_to_wait if last.asked_to_wait is not None else last.due_in
    return total


class _Crew:
    """The workers of one call of `deliver_by_crew`."""

    def __init__(self, one: Callable[[int, Progress], DeliverySummary], most: int) -> None:
        self.running: dict[Future[DeliverySummary], int] = {}
        self.summaries: list[DeliverySummary] = []
        self.error: BaseException | None = None
        self.again_at = 0.0
        self._one = one
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="deliver")

    @property
    def is_ending(self) -> bool:
        """Whether nobody is started any more."""
        return self._ending.is_set() or not self.running

    def start(self) -> None:
        """One more, with the lowest number that is free and the log's context of the caller."""
        taken = set(self.running.values())
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        future = self._pool.submit(copy_context().run, self._one, number, self._progress)
        self.running[future] = number

    def collect(self) -> None:
        """Waits a moment for workers that end."""
        done, _ = wait(self.running, timeout=LOOK, return_when=FIRST_COMPLETED)
        for future in done:
            del self.running[future]
            error = future.exception()
            if error is None:
                summary = future.result()
                self.summaries.append(summary)
                self.again_at = time.monotonic() + max(summary.due_in or 0.0 if summary.stopped else 0.0, IDLE)
            else:
                if self.error is None or isinstance(self.error, Ended):
                    self.error = error
                self._ending.set()

    def end(self) -> None:
        """All have ended when it returns, whatever the reason."""
        self._ending.set()
        self._pool.shutdown(wait=True)

    def _progress(self, summary: DeliverySummary) -> None:
        if self._ending.is_set():
            raise Ended("another worker failed")
