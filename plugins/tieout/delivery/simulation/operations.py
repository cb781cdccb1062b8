"""The writes that the simulated ledger takes: one creating write for each class of guard, and what follows on it.

Times are short, so that a schedule stays small: 10 s time-out, 20 s latest apply, 5 s look-up lag.
"""

from __future__ import annotations

from tieout.connectors.base import Guard, Operation


def operation(name: str, guard: Guard, batch: int = 10, creates: bool = True, repeatable: bool = False) -> Operation:
    """An operation with the short times."""
    return Operation(
        name, guard, batch, creates, time_out=10.0, latest_apply=20.0, look_up_lag=5.0, repeatable=repeatable
    )


#: Documents and their changes.
OPERATIONS = {
    each.name: each
    for each in (
        operation("durable.create", Guard.DURABLE_KEY),
        operation("short.create", Guard.SHORT_KEY),
        operation("natural.create", Guard.NATURAL_KEY),
        operation("bare.create", Guard.LOOK_UP, batch=1),
        operation("document.update", Guard.DURABLE_KEY, creates=False, repeatable=True),
    )
}
#: With what follows on a document: the simulator has them all.
EVERYTHING = OPERATIONS | {
    each.name: each
    for each in (
        operation("document.void", Guard.DURABLE_KEY, creates=False, repeatable=True),
        operation("payment.create", Guard.LOOK_UP, batch=1),
    )
}
#: Writes that make an invoice.
INVOICES = ("durable.create", "short.create", "natural.create", "bare.create")
