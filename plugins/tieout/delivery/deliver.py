"""The delivery loop: claim, look up what may have been sent, send what was not, confirm. See docs/delivery.md.

What one worker does is in worker.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from sqlalchemy.engine import Engine

from tieout.connectors.base import Target
from tieout.delivery.clock import Clock, system_clock
from tieout.delivery.limits import DeliverySummary, Limits
from tieout.delivery.session import delivering
from tieout.delivery.settle import OnConfirmed
from tieout.delivery.states import State
from tieout.delivery.worker import Worker

#: Where `crash` is called, about in the order in which an intent meets them. Those named before_*_commit are inside
#: a transaction, the others between two.
CRASH_POINTS = (
    "before_claim_commit",
    "after_claim",
    "before_mark_commit",
    "after_mark",
    "before_send",
    "after_send",
    "before_confirm_commit",
    "after_confirm",
    "before_expire_commit",
    "after_expire",
    "before_lease_commit",
    "after_lease",
    "after_look_up",
    "before_look_up_commit",
    "before_release_commit",
    "after_release",
)

#: Seconds between two looks at what another worker has under way.
POLL_SECONDS = 2.0


def no_crash(point: str) -> None:
    """The `crash` of real life."""


def deliver(
    engine: Engine,
    target_name: str,
    target: Target,
    run_id: UUID | None,
    worker: str,
    link: str | None = None,
    kinds: Collection[str] | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    clock: Clock = system_clock,
    crash: Callable[[str], None] = no_crash,
    on_progress: Callable[[DeliverySummary], None] | None = None,
    on_confirmed: OnConfirmed | None = None,
) -> DeliverySummary:
    """Delivers what can be delivered now; any number of workers may do so at once.

    Args:
        engine: the store.
        target_name: connection name of the system that is written; `target` speaks to it.
        run_id: the sync run that the audit rows name.
        worker: a name for attempts and audit rows, such as `deliver:<host>:<pid>`.
        link, kinds: only these intents; None is all.
        crash: for tests, see CRASH_POINTS.
        on_progress: called after each batch with the summary so far; it is the same object each time.
        on_confirmed: called inside the confirming transaction; what it writes commits with the confirmation.

    Returns:
        What was done and what still waits. With `due_in` set, calling again after that many seconds gets further.

    Raises:
        AuthenticationFailed, PermissionDenied: by the vendor; every claimed intent is READY or UNKNOWN again.
        Retriable: the database is gone; what was in flight becomes UNKNOWN when its lease ends.
        ConfigurationFault: the target does not know an intent's operation.
    """
    with engine.connect() as conn:
        doing = Worker(conn, target_name, target, run_id, worker, link, kinds, limits, clock, crash, on_confirmed)
        doing.on_progress = on_progress
        with delivering(doing.poster, limits.idle_transaction_seconds):
            doing.run()
        return doing.summary


def deliver_until_settled(
    deliver_once: Callable[[], DeliverySummary], patience_seconds: float, clock: Clock = system_clock
) -> list[DeliverySummary]:
    """Delivers again whenever something is due, as long as it is due within what is left of the patience.

    While another worker holds leases it looks every POLL_SECONDS: that one is most likely done before they end.

    Args:
        deliver_once: a call of `deliver`.
        patience_seconds: longest time to spend waiting, all waits together.

    Returns:
        One summary for each call, the last one last.
    """
    summaries = [deliver_once()]
    while (wait := _wait(summaries[-1])) is not None and wait <= patience_seconds:
        patience_seconds -= wait
        clock.sleep(wait)
        summaries.append(deliver_once())
    return summaries


def _wait(summary: DeliverySummary) -> float | None:
    if summary.due_in is None:
        return None
    busy = summary.waiting.get(State.CLAIMED, 0) + summary.waiting.get(State.IN_FLIGHT, 0)
    # A tenth of a second keeps two clocks that differ a little from spinning.
    return max(min(summary.due_in, POLL_SECONDS) if busy else summary.due_in, 0.1)
