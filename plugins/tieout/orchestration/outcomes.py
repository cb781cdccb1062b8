"""What Airflow does with an error of a step: try again, wait for the vendor, or stop for a person.

The rule is by type, never by text. An error that nobody foresaw is a defect: it is not retried.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tieout.model.errors import (
    AuthenticationFailed,
    BooksDoNotClose,
    ConfigurationFault,
    Fatal,
    PermissionDenied,
    RateLimited,
    Retriable,
    SuiteStopped,
    TieoutError,
    VendorFault,
)


class Reaction(StrEnum):
    """RETRY uses one of the task's tries; WAIT gives the worker back until the vendor's time has come."""

    RETRY = "retry"
    WAIT = "wait"
    FAIL = "fail"


#: Shortest and longest wait for a vendor's limit, seconds: a daily limit is asked again each hour.
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 3600.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, and for WAIT after how many seconds."""

    reaction: Reaction
    after: float = 0.0


class StepsFailed(Fatal):
    """The run's end: a step before failed, and its own notice went out when it did."""


def judge(error: BaseException) -> Verdict:
    """The verdict on an error that a step raised."""
    if isinstance(error, RateLimited):
        return Verdict(Reaction.WAIT, min(max(error.retry_after, SHORTEST_WAIT), LONGEST_WAIT))
    if isinstance(error, Retriable) or _is_outage(error):
        return Verdict(Reaction.RETRY)
    return Verdict(Reaction.FAIL)


def public_message(error: BaseException | str | None) -> str:
    """The error for a person outside the task's log: our own messages hold no secrets, others are named by type."""
    if isinstance(error, BaseException):
        origin = _origin(error)
        if isinstance(origin, TieoutError):
            return f"{type(origin).__name__}: {origin}"
        return f"{type(origin).__name__} (the task's log has the details)"
    return "the task ended without an answer (killed, or its machine is gone)"


def remedy(error: BaseException | str | None) -> str:
    """What to do next, for the person who gets the notice."""
    origin = _origin(error) if isinstance(error, BaseException) else None
    for kind, text in _REMEDIES:
        if isinstance(origin, kind):
            return text
    if origin is None or _is_outage(origin):
        return "Clear the task: it carries on where it stopped; nothing is posted twice."
    return "This was not foreseen: send the task's log to whoever looks after Tieout. Clearing the task is safe."


_REMEDIES: tuple[tuple[type[BaseException], str], ...] = (
    (AuthenticationFailed, "Open Admin > Connections, press Test on the connection, renew its secret, clear the task."),
    (PermissionDenied, "Give the connection's user the right that the message names, then clear the task."),
    (ConfigurationFault, "Correct the file or setting that the message names, then clear the task."),
    (
        SuiteStopped,
        "Look at the run's Data Docs, correct the data at its source, then clear the task that checked: check, or "
        "deliver where the ledger's answers are named.",
    ),
    (
        BooksDoNotClose,
        "Open the run's page: counts and amounts that do not close are marked. Report nothing until then.",
    ),
    (StepsFailed, "See the step that failed first."),
    (VendorFault, "The vendor's answer is in the log. If it happens again, `tieout doctor` says what to report."),
    (RateLimited, "The vendor's limit is used up for long. Clear the task when it is free again."),
    (Retriable, "The tries are used up. See that the system answers (`tieout doctor`), then clear the task."),
)


def _is_outage(error: BaseException) -> bool:
    """The database or the network went away under code that has no word of its own for it."""
    import httpx
    from sqlalchemy.exc import InterfaceError, OperationalError

    return isinstance(error, OperationalError | InterfaceError | httpx.TransportError | ConnectionError)


def _origin(error: BaseException) -> BaseException:
    """Airflow's own exceptions wrap ours: the one that a step raised."""
    while not isinstance(error, TieoutError) and error.__cause__ is not None:
        error = error.__cause__
    return error
