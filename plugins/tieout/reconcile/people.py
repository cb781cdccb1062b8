"""What people do with breaks: assign, note, give a reason, set a date, hand on, accept, close.

Every function takes one break or many and does all or nothing in the caller's transaction: the rows, an event in the
history of each break, and one event in the audit trail of each link. Who may do it (roles) is asked by the doors, the
pages and the command line. Evidence is attachments.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.errors import Fatal
from tieout.reconcile.record import wait_for_recording
from tieout.store import audit
from tieout.store.encoding import clean_text
from tieout.store.reconcile_tables import break_, break_event

if TYPE_CHECKING:
    from tieout.reconcile.rules import Rules

#: Breaks that one decision may concern: it is one transaction, and somebody has looked at them.
MOST_AT_ONCE = 10_000
#: Characters of a note, and of an owner's name.
LONGEST_NOTE, LONGEST_NAME = 10_000, 100
#: Breaks that one refusal names; the others are counted.
MOST_NAMED = 5
#: state -> the states that a person may give it. Clearing and reopening is the reconciliation's.
MOVES: Mapping[str, tuple[str, ...]] = {
    "open": ("with_preparer", "accepted"),
    "with_preparer": ("with_reviewer", "open", "accepted"),
    "with_reviewer": ("closed", "with_preparer", "accepted"),
    "accepted": ("open",),
    "closed": ("open",),
}
#: States in which somebody still has to do something.
UNSETTLED = ("open", "with_preparer", "with_reviewer")


class NotAllowed(Fatal):
    """It cannot be decided so; the message says which break, why, and what may be done."""


@dataclass(frozen=True, slots=True)
class Break:
    """What is decided on. `amount` in 10^-scale of the currency, A - B."""

    break_id: int
    link: str
    area: str
    class_: str
    currency: str
    scale: int
    amount: int
    within_tolerance: bool
    state: str
    owner: str | None
    reason_code: str | None
    due_on: date | None
    first_seen: date
    cleared_on: date | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a break's history. `report_id`: the report that made it, None where a person did."""

    event_id: int
    break_id: int
    at: datetime
    actor: str
    event: str
    report_id: int | None
    detail: Mapping[str, Any]


#: break_id -> `updated_at` as the person saw it; what has changed since then is not decided on.
Seen = Mapping[int, datetime]
_COLUMNS = [break_.c["class" if name == "class_" else name] for name in Break.__dataclass_fields__]
_EVENT = [break_event.c[name] for name in Event.__dataclass_fields__]


def assign(
    conn: Connection, ids: Sequence[int], owner: str | None, by: str, *, note: str = "", seen: Seen | None = None
) -> int:
    """Gives breaks to an owner, or takes them from one; how many changed.

    Raises (as all of this module):
        NotAllowed: a break is not there, is cleared, or changed since it was seen; or a name is missing.
    """
    found = _open_ones(conn, ids, by, seen)
    new = None if owner is None else _required(owner, "the owner's name")
    if new is not None and len(new) > LONGEST_NAME:
        raise NotAllowed(f"an owner's name has at most {LONGEST_NAME} characters, this one has {len(new)}")
    return _set(conn, found, "assigned", by, {"owner": new}, note)


def note(conn: Connection, ids: Sequence[int], text: str, by: str, *, seen: Seen | None = None) -> int:
    """Adds a note; a cleared break takes notes too."""
    found = locked(conn, ids, by, seen)
    words = _required(text, "the note")
    tell(conn, found, "noted", by, {"note": words})
    return len(found)


def give_reason(
    conn: Connection, ids: Sequence[int], code: str, by: str, *, allowed: Collection[str], note: str = "",
    seen: Seen | None = None,
) -> int:  # fmt: skip
    """Gives breaks a reason code of the link's rules."""
    found = _open_ones(conn, ids, by, seen)
    return _set(conn, found, "reasoned", by, {"reason_code": _reason(code, allowed)}, note)


def set_due(
    conn: Connection, ids: Sequence[int], due_on: date | None, by: str, *, note: str = "", seen: Seen | None = None
) -> int:
    """Sets the day by which breaks are to be settled. A day in the past makes them overdue at once."""
    return _set(conn, _open_ones(conn, ids, by, seen), "due", by, {"due_on": due_on}, note)


def move(
    conn: Connection, ids: Sequence[int], to: str, by: str, *, note: str = "", seen: Seen | None = None
) -> int:  # fmt: skip
    """Hands breaks on: open, with_preparer, with_reviewer, closed. Accepting is `accept`.

    What is with the reviewer is closed by another person than the one who handed it over. A closed break whose
    difference is still there is opened again by the next reconciliation.
    """
    found = _open_ones(conn, ids, by, seen)
    if to == "accepted" or to not in MOVES:
        raise NotAllowed(f"{to!r} is no state that breaks are moved to; one of {', '.join(_TARGETS)}")
    _refuse_move(conn, found, to, by)
    return _set(conn, found, "moved", by, {"state": to}, note)


def accept(
    conn: Connection, ids: Sequence[int], code: str, by: str, *, allowed: Collection[str],
    tolerance: Callable[[Break], int], note: str = "", seen: Seen | None = None,
) -> int:  # fmt: skip
    """Accepts breaks as they are, within the tolerance. They stay in every report, listed and counted.

    Args:
        code: why, one of the reason codes `allowed` by the link's rules.
        tolerance: the greatest amount of a break, in its unit, that may be accepted.
    """
    found = _open_ones(conn, ids, by, seen)
    reason = _reason(code, allowed)
    _refuse_move(conn, found, "accepted", by)
    above = [(one, most) for one in found if abs(one.amount) > (most := tolerance(one))]
    if above:
        one, most = above[0]
        raise NotAllowed(
            f"{_named([one for one, _ in above])}: above the tolerance, {_decimal(abs(one.amount), one)} of at most "
            f"{_decimal(most, one)} for break {one.break_id}; correct it, or have it written off by a proposal"
        )
    return _set(conn, found, "accepted", by, {"state": "accepted", "reason_code": reason}, note)


def tolerance(rules: Rules) -> Callable[[Break], int]:
    """The greatest amount of a break that may be accepted: what its class allows, or what its report found tolerable.

    A share of the amounts is in the report alone: it knows both sides.
    """
    return lambda one: max(rules.threshold(one.class_).absolute, abs(one.amount) if one.within_tolerance else 0)


def history(conn: Connection, break_id: int) -> list[Event]:
    """All that happened to a break, oldest first."""
    query = sa.select(*_EVENT).where(break_event.c.break_id == break_id).order_by(break_event.c.event_id)
    return [Event(**row) for row in conn.execute(query).mappings()]


def get(conn: Connection, break_id: int) -> Break:
    """One break as a decision needs it.

    Raises:
        NotAllowed: there is none of that id.
    """
    row = conn.execute(sa.select(*_COLUMNS).where(break_.c.break_id == break_id)).one_or_none()
    if row is None:
        raise NotAllowed(f"there is no break {break_id}")
    return Break(*row)


def overdue(conn: Connection, link: str, today: date) -> list[Break]:
    """Breaks that should have been settled before `today`, the longest overdue first: for escalation."""
    query = (
        sa.select(*_COLUMNS)
        .where(
            break_.c.link == link, break_.c.cleared_on.is_(None), break_.c.state.in_(UNSETTLED), break_.c.due_on < today
        )
        .order_by(break_.c.due_on, break_.c.break_id)
    )
    return [Break(*row) for row in conn.execute(query)]


# --- what they share --------------------------------------------------------------------------------------------------

_TARGETS = tuple(state for state in MOVES if state != "accepted")


def locked(conn: Connection, ids: Sequence[int], by: str, seen: Seen | None = None) -> list[Break]:
    """The breaks, locked until the transaction ends, so that neither a report nor another person changes them.

    Raises:
        NotAllowed: nobody's name, none or too many breaks, one that is not there, or that changed since it was seen.
    """
    _required(by, "the name of the person who does it")
    wanted = sorted(set(ids))
    if not wanted or len(wanted) > MOST_AT_ONCE:
        raise NotAllowed(f"{len(wanted)} breaks at once; expected 1 to {MOST_AT_ONCE}")
    chosen = break_.c.break_id == sa.any_(sa.literal(wanted, sa.ARRAY(sa.BigInteger)))
    for link in conn.execute(sa.select(break_.c.link).where(chosen).distinct().order_by("link")).scalars().all():
        wait_for_recording(conn, link, shared=True)
    query = sa.select(*_COLUMNS).where(chosen).order_by(break_.c.break_id).with_for_update()
    found = [Break(*row) for row in conn.execute(query)]
    if missing := sorted(set(wanted) - {one.break_id for one in found}):
        raise NotAllowed(f"there is no break {', '.join(map(str, missing[:MOST_NAMED]))}")
    stale = [one for one in found if seen is not None and seen.get(one.break_id, one.updated_at) != one.updated_at]
    if stale:
        raise NotAllowed(f"{_named(stale)}: changed since you looked; nothing was done: look again")
    return found


def tell(
    conn: Connection, found: Sequence[Break], event: str, by: str, detail: Mapping[str, Any],
    was: Callable[[Break], Mapping[str, Any]] = lambda _: {},
) -> None:  # fmt: skip
    """Writes the event into each break's history, with what `was` says of it before, and once into the audit trail."""
    actor = by.strip()
    rows = [
        {"break_id": one.break_id, "actor": actor, "event": event, "detail": _json({**detail, **was(one)})}
        for one in found
    ]
    conn.execute(sa.insert(break_event), rows)
    for link in sorted({one.link for one in found}):
        ids = [one.break_id for one in found if one.link == link]
        subject = f"break:{ids[0]}" if len(ids) == 1 else "breaks"
        audit.append(conn, f"link:{link}", [audit.Event(actor, f"break.{event}", subject, {**detail, "breaks": ids})])


def _open_ones(conn: Connection, ids: Sequence[int], by: str, seen: Seen | None) -> list[Break]:
    found = locked(conn, ids, by, seen)
    if gone := [one for one in found if one.cleared_on is not None]:
        raise NotAllowed(f"{_named(gone)}: cleared on {gone[0].cleared_on}; there is nothing to decide any more")
    return found


def _set(
    conn: Connection, found: Sequence[Break], event: str, by: str, values: Mapping[str, Any], note: str
) -> int:  # fmt: skip
    changing = [one for one in found if any(getattr(one, name) != value for name, value in values.items())]
    if not changing:
        return 0
    ids = sa.literal([one.break_id for one in changing], sa.ARRAY(sa.BigInteger))
    conn.execute(
        sa.update(break_)
        .where(break_.c.break_id == sa.any_(ids))
        .values(**values, updated_at=sa.func.clock_timestamp())
    )
    detail = {**values, **({"note": _limited(note)} if note.strip() else {})}
    tell(conn, changing, event, by, detail,
         lambda one: {"was": {name: getattr(one, name) for name in values}, "amount": one.amount})  # fmt: skip
    return len(changing)


def _refuse_move(conn: Connection, found: Sequence[Break], to: str, by: str) -> None:
    for one in found:
        if to != one.state and to not in MOVES[one.state]:
            may = " or ".join(MOVES[one.state])
            raise NotAllowed(f"break {one.break_id} is {one.state}: it cannot become {to}, only {may}")
    reviewed = [one for one in found if one.state == "with_reviewer" and to in ("closed", "accepted")]
    handed = _handed_over_by(conn, [one.break_id for one in reviewed])
    own = [one for one in reviewed if handed.get(one.break_id, "").casefold() == by.strip().casefold()]
    if own:
        raise NotAllowed(f"{_named(own)}: {by.strip()} handed it to the reviewer: another person decides")


def _handed_over_by(conn: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Who gave each break to the reviewer last."""
    if not ids:
        return {}
    rows = conn.execute(
        sa.text(
            "select distinct on (break_id) break_id, actor from tieout.break_event where break_id = any(:ids) "
            "and event = 'moved' and detail ->> 'state' = 'with_reviewer' order by break_id, event_id desc"
        ),
        {"ids": list(ids)},
    )
    return {row.break_id: row.actor for row in rows}


def _reason(code: str, allowed: Collection[str]) -> str:
    if code not in allowed:
        raise NotAllowed(f"{code!r} is no reason code of this link; one of {', '.join(sorted(allowed)) or 'none'}")
    return code


def _required(text: str, what: str) -> str:
    if not text.strip():
        raise NotAllowed(f"{what} is missing")
    return _limited(text)


def _limited(text: str) -> str:
    words = clean_text(text.strip())
    if len(words) > LONGEST_NOTE:
        raise NotAllowed(f"{len(words)} characters; at most {LONGEST_NOTE} are kept: attach it as a file")
    return words


def _named(found: Sequence[Break]) -> str:
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return (
        ("break " if len(found) == 1 else "breaks ") + ", ".join(str(one.break_id) for one in found[:MOST_NAMED]) + more
    )


def _decimal(amount: int, one: Break) -> str:
    whole, part = divmod(amount, 10**one.scale)
    return f"{whole}.{part:0{one.scale}d} {one.currency}".strip() if one.scale else f"{whole} {one.currency}".strip()


def _json(value: Any) -> Any:
    """Dates as texts, for jsonb."""
    if isinstance(value, Mapping):
        return {name: _json(each) for name, each in value.items()}
    return value.isoformat() if isinstance(value, date) else value
