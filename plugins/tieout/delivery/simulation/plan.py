"""A schedule as data: documents, callers, and what strikes when.

It is frozen and made of parts that can be taken away one by one (minimise.py) and printed. How a seed becomes a plan is
in seeds.py. It says nothing of outcomes: those are the oracle's.
"""

from __future__ import annotations

from dataclasses import dataclass

from tieout.delivery.simulation.faults import ACTS, OTHER_ACTS, Cell


@dataclass(frozen=True, slots=True)
class Doc:
    """A source record.

    Attributes:
        parent: number of the record whose document it names.
        refuse: reason for which the ledger refuses it.
        twin: number of the record whose natural key it shares, with a content of its own (durable key only).
        pays: it is a payment of its parent.
    """

    number: int
    operation: str
    parent: int | None = None
    refuse: str | None = None
    twin: int | None = None
    pays: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """One run: it plans its slice of the documents, then delivers once.

    Attributes:
        start: seconds after the beginning.
        docs: numbers of the records that it plans.
        claim: intents that it leases at once.
        origin, wall_error: of its process's clocks, in seconds.
    """

    start: float
    docs: tuple[int, ...]
    claim: int = 20
    origin: float = 0.0
    wall_error: float = 0.0


@dataclass(frozen=True, slots=True)
class Strike:
    """Something that happens at the n-th time that `where` is met, whoever meets it.

    Attributes:
        what: a fault of a call, a blow, or an act.
        where: `send:<operation>`, `look_up:<operation>`, a named point, `start` or `settled`.
        seconds: of a pause or a step of the clock.
        doc: the record that an act is about.
    """

    what: str
    where: str
    nth: int = 1
    seconds: float = 0.0
    doc: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule.

    Attributes:
        lag, late_by, key_life: of the ledger, see ledger.py.
        most_sends: of one intent before a person has to look.
        writes_back: a fact goes back with each confirmation, in its transaction.
        cell: what it was made around.
    """

    seed: int
    docs: tuple[Doc, ...]
    callers: tuple[Caller, ...]
    strikes: tuple[Strike, ...]
    lag: float = 0.0
    late_by: float = 15.0
    key_life: float = 30.0
    most_sends: int = 50
    writes_back: bool = False
    cell: Cell = ("none", "", "")

    def lines(self) -> list[str]:
        """The plan in words, a part a line."""
        numbers = (
            f"lag {self.lag} s, late by {self.late_by:.1f} s, keys kept {self.key_life} s, made around {self.cell}"
        )
        return [
            numbers,
            *(_doc_words(doc) for doc in self.docs),
            *(f"run {n} at {c.start:.2f} s plans {list(c.docs)}, claims {c.claim}" for n, c in enumerate(self.callers)),
            *(_strike_words(strike) for strike in self.strikes),
        ]


def _doc_words(doc: Doc) -> str:
    words = f"record {doc.number}: {doc.operation}"
    if doc.parent is not None:
        words += f", {'pays' if doc.pays else 'names'} {doc.parent}"
    if doc.refuse:
        words += f", refused: {doc.refuse}"
    return words if doc.twin is None else f"{words}, twin of {doc.twin}"


def _strike_words(strike: Strike) -> str:
    words = f"{strike.what} at {strike.where}, time {strike.nth}"
    if strike.seconds:
        words += f", {strike.seconds} s"
    return f"{words}: record {strike.doc}" if strike.what in (*ACTS, *OTHER_ACTS) else words
