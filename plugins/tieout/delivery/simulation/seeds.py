"""The plan of a seed: a pure function. Each is made around one cell of the coverage table, in turn, and has further
blows by chance.
"""

from __future__ import annotations

import random

from tieout.delivery.simulation.faults import (
    ACTS,
    BETWEEN,
    BLOWS_BETWEEN,
    BLOWS_INSIDE,
    INSIDE,
    LOOK_UP,
    OTHER_ACTS,
    SEND,
    Cell,
    possible,
)
from tieout.delivery.simulation.operations import EVERYTHING, INVOICES
from tieout.delivery.simulation.plan import Caller, Doc, Plan, Strike
from tieout.delivery.states import State

#: Documents, callers and blows of one schedule at most: small schedules are cheap, and most bugs need few of each.
MOST_DOCS, MOST_CALLERS, MOST_EXTRA = 6, 3, 4
#: Lengths of pauses against leases of 60 s and time-outs of 10 s, in seconds.
PAUSES = (0.5, 20.0, 45.0, 52.0, 61.0, 110.0, 300.0)
_PATIENT, _IMPATIENT = 50, 2


def cell_of(seed: int) -> Cell:
    """The cell that the seed's plan is made around: all of them in turn."""
    return possible()[seed % len(possible())]


def make(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(seed)
    cell = cell_of(seed)
    docs, strikes = _around(chance, cell)
    docs = _more_docs(chance, docs, alone=len(docs) if cell[0] == "act" else 0)
    jumps = cell[1] in ("clock_forward", "clock_back")
    strikes += [_any_strike(chance, len(docs), jumps) for _ in range(_how_many(chance))]
    return Plan(
        seed=seed,
        docs=tuple(docs),
        callers=_callers(chance, [doc.number for doc in docs], whole=cell[0] == "act"),
        strikes=tuple(strikes),
        lag=0.0 if jumps else chance.choice((0.0, 2.0, 5.0)),
        late_by=chance.uniform(0.5, 29.9),
        key_life=chance.choice((0.0, 20.0, 600.0)),
        most_sends=_IMPATIENT if chance.random() < 0.08 else _PATIENT,
        writes_back=chance.random() < 0.25,
        cell=cell,
    )


def _around(chance: random.Random, cell: Cell) -> tuple[list[Doc], list[Strike]]:
    family, what, where = cell
    if family in ("send", "look_up"):
        return _around_call(chance, family, what, where)
    if family == "found":
        return _around_found(chance, what, where)
    if family == "point":
        return _around_point(chance, what, where)
    return _around_act(chance, what, where)


def _around_call(chance: random.Random, call: str, fault: str, operation: str) -> tuple[list[Doc], list[Strike]]:
    docs, strikes = _docs_for(chance, operation)
    before = [] if call == "send" else [Strike("lost_answer", f"send:{operation}")]
    return docs, [*strikes, *before, Strike(fault, f"{call}:{operation}")]


def _around_found(chance: random.Random, what: str, operation: str) -> tuple[list[Doc], list[Strike]]:
    """An uncertain send, applied or not, and a person's document beside it where there must be another or a second."""
    docs, strikes = _docs_for(chance, operation)
    if what == "equal" and operation == "natural.create" and chance.random() < 0.5:
        return docs, [Strike("foreign_equal", "start")]  # refused as a duplicate of exactly ours
    if what == "equal" and operation == "durable.create" and chance.random() < 0.5:
        docs = [Doc(0, operation, refuse=chance.choice((None, "validation"))), Doc(1, operation, twin=0)]
    applied = what in ("equal", "many")
    strikes = [*strikes, Strike("lost_answer" if applied else "lost_request", f"send:{operation}")]
    if operation in INVOICES and what in ("different", "many"):
        strikes.append(
            Strike(chance.choice(("foreign", "foreign_equal")) if what == "many" else "foreign", "after_send")
        )
    return docs, strikes


def _docs_for(chance: random.Random, operation: str) -> tuple[list[Doc], list[Strike]]:
    """Documents, and acts on them, by which a write of this operation comes about. Two of each: parts of a batch."""
    if operation in INVOICES:
        return [Doc(0, operation), Doc(1, operation)], []
    made = chance.choice(INVOICES)
    if operation == "payment.create":
        return [Doc(0, made), Doc(1, "payment.create", parent=0, pays=True)], []
    act = "revise" if operation == "document.update" else "void"
    strikes = [Strike(act, "after_describe", doc=0), Strike(act, "after_describe", doc=1)]
    if act == "revise" and chance.random() < 0.5:  # a third revision while the second is on its way
        strikes.append(Strike(act, "after_describe", 2, doc=0))
    return [Doc(0, made), Doc(1, made)], strikes


def _around_point(chance: random.Random, what: str, point: str) -> tuple[list[Doc], list[Strike]]:
    docs = [Doc(number, operation) for number, operation in enumerate(chance.sample(INVOICES, 3))]
    strikes = [Strike(what, point, chance.choice((1, 1, 1, 2)), _seconds(chance, what))]
    if (what, point) == ("dies", "after_send"):  # as late as it may, its request crawls, and it is gone
        fate = chance.choice(("late", "lost_request"))
        strikes = [
            Strike(what, point),
            Strike("pause", "before_send", seconds=45.0),
            *(Strike(fate, f"send:{doc.operation}") for doc in docs),
        ]
    if "release" in point:  # something is given back when the first request is throttled
        strikes += [Strike("throttled", f"send:{doc.operation}") for doc in docs]
    elif "look_up" in point or "lease" in point:
        strikes += [Strike("lost_answer", f"send:{doc.operation}") for doc in docs]
    elif "expire" in point:
        strikes += [Strike("dies", chance.choice(("after_claim", "after_mark", "after_send")))]
    elif "hold" in point or "put_back" in point:
        docs += [Doc(3, docs[0].operation, refuse="validation"), Doc(4, docs[1].operation, parent=3)]
    return docs, strikes


def _around_act(chance: random.Random, act: str, state: str) -> tuple[list[Doc], list[Strike]]:
    """The act meets an intent that is in the state."""
    operation = chance.choice(INVOICES)
    docs = [Doc(0, operation)]
    about = 0
    first: list[Strike] = []
    where = "after_describe"
    match state:
        case State.READY:
            where = "start"
        case State.CLAIMED:
            where = "after_claim"
        case State.IN_FLIGHT:
            where = "before_send"
        case State.UNKNOWN:
            first = [Strike("lost_answer", f"send:{operation}")]
        case State.REJECTED:
            docs = [Doc(0, operation, refuse=chance.choice(("validation", "period_locked", "period_locked")))]
            if act == "try_again":  # its child is held, and goes on when the period was reopened
                docs.append(Doc(1, chance.choice(INVOICES), parent=0))
        case State.CANCELLED:
            first = [Strike("cancel", "start", doc=0)]
        case State.HELD if act in ("accept", "look_up_again") or chance.random() < 0.5:
            docs = [Doc(0, chance.choice(("natural.create", "bare.create")))]
            first = [Strike("foreign", "start", doc=0)]
            where = "settled"
        case State.HELD:
            docs, about = [Doc(0, operation, refuse="validation"), Doc(1, operation, parent=0)], 1
    more = [Strike("foreign_gone", where, doc=0)] if where == "settled" and chance.random() < 0.5 else []
    if act == "accept":
        more = []
    return docs, [*first, *more, Strike(act, where, doc=about)]


def _more_docs(chance: random.Random, docs: list[Doc], *, alone: int) -> list[Doc]:
    """Further records; nothing rests on the first `alone` ones."""
    docs = list(docs)
    for number in range(len(docs), chance.randint(len(docs), max(MOST_DOCS, len(docs)))):
        dice, last = chance.random(), chance.choice(docs)
        if last.pays or last.twin is not None or last.number < alone:
            docs.append(Doc(number, chance.choice(INVOICES)))
        elif dice < 0.25:
            docs.append(Doc(number, chance.choice(INVOICES), parent=last.number))
        elif dice < 0.35:
            docs.append(Doc(number, "payment.create", parent=last.number, pays=True))
        elif dice < 0.40 and last.operation == "durable.create":
            docs.append(Doc(number, "durable.create", parent=last.parent, refuse=last.refuse, twin=last.number))
        else:
            refuse = chance.choice(("validation", "period_locked", "batch")) if chance.random() < 0.12 else None
            docs.append(Doc(number, chance.choice(INVOICES), refuse=refuse))
    return docs


def _how_many(chance: random.Random) -> int:
    return chance.choices(range(MOST_EXTRA + 1), (2, 3, 3, 2, 1))[0]


def _any_strike(chance: random.Random, docs: int, jumps: bool) -> Strike:
    dice, nth = chance.random(), chance.choice((1, 1, 2, 3))
    if dice < 0.45:
        faults = tuple(fault for fault in SEND if not (jumps and fault == "late"))
        return Strike(chance.choice(faults), f"send:{chance.choice(tuple(EVERYTHING))}", nth)
    if dice < 0.55:
        faults = tuple(fault for fault in LOOK_UP if not (jumps and fault == "stale"))
        return Strike(chance.choice(faults), f"look_up:{chance.choice(tuple(EVERYTHING))}", nth)
    if dice < 0.75:
        what = chance.choice(BLOWS_BETWEEN[:3])
        return Strike(what, chance.choice(BETWEEN), nth, _seconds(chance, what))
    if dice < 0.80:
        what = chance.choice(BLOWS_INSIDE)
        return Strike(what, chance.choice(INSIDE), nth, _seconds(chance, what))
    what = chance.choice(("revise", *ACTS, *OTHER_ACTS))
    where = chance.choice(
        ("start", "after_claim", "before_send", "after_send", "after_confirm", "after_describe", "settled")
    )
    return Strike(what, where, nth, doc=chance.randrange(docs))


def _seconds(chance: random.Random, what: str) -> float:
    if what in ("pause", "held_open"):
        return chance.choice(PAUSES)
    return chance.choice((30.0, 100.0, 3600.0)) if what.startswith("clock") else 0.0


def _callers(chance: random.Random, numbers: list[int], *, whole: bool) -> tuple[Caller, ...]:
    """The documents cut into 1 to MOST_CALLERS runs, one after the other or at once; sometimes a run plans them all,
    the first does when it is to be `whole`."""
    count = chance.randint(1, MOST_CALLERS)
    apart = chance.choice((0.0, 0.5, 0.5, 80.0))
    if not whole:
        chance.shuffle(numbers)
    callers = []
    for number in range(count):
        everything = (whole and number == 0) or chance.random() < 0.2
        callers.append(
            Caller(
                start=number * apart + chance.uniform(0.0, 0.3),
                docs=tuple(numbers if everything else numbers[number::count]),
                claim=chance.choice((2, 7, 20)),
                origin=chance.uniform(0.0, 1e6),
                wall_error=chance.choice((0.0, -120.0, 120.0, 86400.0)),
            )
        )
    return tuple(callers)
