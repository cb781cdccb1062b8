"""Fiscal periods of a link: open, closing, closed. The order of the states and who may change them is the database's.

A period without a row is open. Here: the states, what happened, reopening by two people. Not here: what has to hold
before a period is closed (scenarios/periods), which days a period has (model/calendar.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from tieout.model.errors import Fatal
from tieout.store import audit
from tieout.store.engine import dumps
from tieout.store.period_tables import period, period_event, period_reopening

#: SQLSTATE of the triggers that keep documents out of closed periods, and of those that guard the states.
KEPT_OUT, NOT_SO = "TOPCL", "42501"
#: Events and reopenings that one call returns, newest first.
MOST = 500


class Refused(Fatal):
    """The period cannot be changed so; the message says which period, what is in the way, and what may be done."""


class Days(Protocol):
    """What is needed of a period: model.calendar.Period has it."""

    @property
    def label(self) -> str: ...
    @property
    def first(self) -> date: ...
    @property
    def last(self) -> date: ...


@dataclass(frozen=True, slots=True)
class PeriodState:
    """A row of `tieout.period`. Days are inclusive; `changed_at` (UTC) and `changed_by` are of the state."""

    link: str
    label: str
    first: date
    last: date
    state: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True)
class PeriodEvent:
    """What happened to a period; `event` as period_tables.py lists them, `detail`: note, reason, what a close froze."""

    event_id: int
    link: str
    label: str
    at: datetime
    actor: str
    event: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reopening:
    """One asks, another one decides; `agreed` None until then."""

    reopening_id: int
    link: str
    label: str
    asked_by: str
    asked_at: datetime
    reason: str
    decided_by: str | None
    decided_at: datetime | None
    agreed: bool | None
    note: str | None


_STATE = [period.c[name] for name in PeriodState.__dataclass_fields__]
_EVENT = [period_event.c[name] for name in PeriodEvent.__dataclass_fields__]
_REOPENING = [period_reopening.c[name] for name in Reopening.__dataclass_fields__]


def states(conn: Connection, link: str) -> Sequence[PeriodState]:
    """The link's periods that were ever closing or closed, by first day."""
    rows = conn.execute(sa.select(*_STATE).where(period.c.link == link).order_by(period.c.first))
    return [PeriodState(*row) for row in rows]


def state_of(conn: Connection, link: str, label: str) -> PeriodState | None:
    """One period; None where nothing ever happened to it: it is open."""
    query = sa.select(*_STATE).where(period.c.link == link, period.c.label == label)
    row = conn.execute(query).one_or_none()
    return None if row is None else PeriodState(*row)


def closed(conn: Connection, link: str) -> Sequence[PeriodState]:
    """The link's closed periods, by first day."""
    return [one for one in states(conn, link) if one.state == "closed"]


def begin_closing(conn: Connection, link: str, which: Days, who: str, note: str = "") -> None:
    """open -> closing: documents may still be dated in it, and people know that it is being closed.

    Raises:
        Refused: it is not open, or it overlaps another period of the link.
    """
    _named(who)
    _audited(conn, link, which.label, who, "closing_begun", {"note": note})
    values = {"link": link, "label": which.label, "first": which.first, "last": which.last, "who": who.strip()}
    there = _locked(conn, link, which.label)
    with _in_words():
        if there is None:
            conn.execute(
                sa.text(
                    "insert into tieout.period (link, label, first, last, state, changed_by) "
                    "values (:link, :label, :first, :last, 'closing', :who)"
                ),
                values,
            )
        elif (there.first, there.last) != (which.first, which.last):
            raise Refused(
                f"period {which.label} of {link} was kept as {there.first} to {there.last}; its calendar says "
                f"{which.first} to {which.last} now: put the calendar back, or give the period another label"
            )
        else:
            _become(conn, there, "closing", who)
    _told(conn, link, which.label, who, "closing_begun", {"note": note})


def stop_closing(conn: Connection, link: str, label: str, who: str, note: str = "") -> None:
    """closing -> open.

    Raises:
        Refused: it is not closing.
    """
    _named(who)
    _audited(conn, link, label, who, "closing_stopped", {"note": note})
    _become(conn, _there(conn, link, label), "open", who)
    _told(conn, link, label, who, "closing_stopped", {"note": note})


def close(conn: Connection, link: str, label: str, who: str, detail: Mapping[str, Any]) -> int:
    """closing -> closed: from now on no document is dated in it. Waits for those who are planning documents.

    Args:
        detail: what is frozen with it: report, hash, known_at ... Kept with the event and in the audit trail.

    Returns:
        The event's id.

    Raises:
        Refused: it is not closing, or documents dated in it may still be sent; they are named.
    """
    _named(who)
    _audited(conn, link, label, who, "closed", detail)
    _become(conn, _there(conn, link, label), "closed", who)
    return _told(conn, link, label, who, "closed", detail)


def ask_to_reopen(conn: Connection, link: str, label: str, who: str, reason: str) -> int:
    """Asks; another person decides. Returns the reopening's id.

    Raises:
        Refused: it is not closed, it was asked for already, or no reason is given.
    """
    _named(who)
    if not reason.strip():
        raise Refused(f"reopening {label} of {link} needs a reason")
    _audited(conn, link, label, who, "reopening_asked", {"reason": reason.strip()})
    _there(conn, link, label)
    if (open_ := waiting(conn, link, label)) is not None:
        raise Refused(
            f"{open_.asked_by} asked to reopen {label} of {link} already (reopening {open_.reopening_id}): "
            "another person decides it"
        )
    with _in_words():
        made: int = conn.execute(
            sa.text(
                "insert into tieout.period_reopening (link, label, asked_by, reason) "
                "values (:link, :label, :who, :reason) returning reopening_id"
            ),
            {"link": link, "label": label, "who": who.strip(), "reason": reason.strip()},
        ).scalar_one()
    _told(conn, link, label, who, "reopening_asked", {"reason": reason.strip(), "reopening": made})
    return made


def decide_reopening(conn: Connection, reopening_id: int, who: str, agreed: bool, note: str = "") -> Reopening:
    """Another person than the one who asked opens the period again, or refuses it. Who asked may take it back.

    Raises:
        Refused: there is none, it was decided, the same person agrees, or a refusal gives no reason.
    """
    _named(who)
    query = sa.select(*_REOPENING).where(period_reopening.c.reopening_id == reopening_id)
    row = conn.execute(query).one_or_none()
    if row is None:
        raise Refused(f"there is no reopening {reopening_id}")
    asked = Reopening(*row)
    if not agreed and not note.strip():
        raise Refused(f"refusing reopening {reopening_id} needs a reason")
    event = "reopened" if agreed else "reopening_refused"
    detail = {"reopening": reopening_id, "asked_by": asked.asked_by, "reason": asked.reason, "note": note.strip()}
    _audited(conn, asked.link, asked.label, who, event, detail)
    with _in_words():
        decided = conn.execute(
            sa.text(
                "update tieout.period_reopening set decided_by = :who, decided_at = now(), agreed = :agreed, "
                "note = nullif(:note, '') where reopening_id = :id "
                "returning reopening_id, link, label, asked_by, asked_at, reason, decided_by, decided_at, agreed, note"
            ),
            {"who": who.strip(), "agreed": agreed, "note": note.strip(), "id": reopening_id},
        ).one()
    _told(conn, asked.link, asked.label, who, event, detail)
    return Reopening(*decided)


def waiting(conn: Connection, link: str, label: str) -> Reopening | None:
    """The reopening of a period that nobody has decided."""
    query = sa.select(*_REOPENING).where(
        period_reopening.c.link == link, period_reopening.c.label == label, period_reopening.c.agreed.is_(None)
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else Reopening(*row)


def reopenings(conn: Connection, link: str, *, undecided: bool = False) -> Sequence[Reopening]:
    """The link's reopenings, newest first; `undecided`: only those that wait for another person."""
    query = sa.select(*_REOPENING).where(period_reopening.c.link == link)
    if undecided:
        query = query.where(period_reopening.c.agreed.is_(None))
    query = query.order_by(period_reopening.c.reopening_id.desc()).limit(MOST)
    return [Reopening(*row) for row in conn.execute(query)]


def events(conn: Connection, link: str, label: str | None = None) -> Sequence[PeriodEvent]:
    """What happened to a period, or to all of the link, newest first, at most MOST."""
    query = sa.select(*_EVENT).where(period_event.c.link == link)
    if label is not None:
        query = query.where(period_event.c.label == label)
    return [PeriodEvent(*row) for row in conn.execute(query.order_by(period_event.c.event_id.desc()).limit(MOST))]


def links(conn: Connection) -> list[str]:
    """Links that have a period with a state of its own."""
    return list(conn.execute(sa.select(period.c.link).distinct().order_by(period.c.link)).scalars())


def in_words(error: DBAPIError) -> str | None:
    """What a trigger of the periods said, with its hint; None where the error is another one."""
    if getattr(error.orig, "sqlstate", None) not in (KEPT_OUT, NOT_SO, "23P01"):
        return None
    said = error.orig.diag  # type: ignore[union-attr]  # psycopg's, by its sqlstate
    return "; ".join(part for part in (said.message_primary, said.message_hint) if part)


def kept_out(error: DBAPIError) -> bool:
    """Whether it says that a document is dated in a closed period."""
    return getattr(error.orig, "sqlstate", None) == KEPT_OUT


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        words = in_words(error)
        if words is None:
            raise
        raise Refused(words) from error


def _become(conn: Connection, there: PeriodState, state: str, who: str) -> None:
    with _in_words():
        conn.execute(
            sa.text("update tieout.period set state = :state, changed_by = :who where link = :link and label = :label"),
            {"state": state, "who": who.strip(), "link": there.link, "label": there.label},
        )


def _locked(conn: Connection, link: str, label: str) -> PeriodState | None:
    query = sa.select(*_STATE).where(period.c.link == link, period.c.label == label).with_for_update()
    row = conn.execute(query).one_or_none()
    return None if row is None else PeriodState(*row)


def _there(conn: Connection, link: str, label: str) -> PeriodState:
    found = _locked(conn, link, label)
    if found is None:
        raise Refused(f"period {label} of {link} is open and never was anything else: begin closing it first")
    return found


def _named(who: str) -> None:
    if not who.strip():
        raise Refused("a change of a period needs the name of who makes it")


def _audited(conn: Connection, link: str, label: str, who: str, event: str, detail: Mapping[str, Any]) -> None:
    """Comes first: the link's audit chain is locked before its periods, as by everybody who plans documents."""
    told = audit.Event(who.strip(), f"period.{event}", f"period:{link}:{label}", detail)
    audit.append(conn, f"link:{link}", [told])


def _told(conn: Connection, link: str, label: str, who: str, event: str, detail: Mapping[str, Any]) -> int:
    made: int = conn.execute(
        sa.text(
            "insert into tieout.period_event (link, label, actor, event, detail) "
            "values (:link, :label, :who, :event, cast(:detail as jsonb)) returning event_id"
        ),
        {"link": link, "label": label, "who": who.strip(), "event": event, "detail": dumps(dict(detail))},
    ).scalar_one()
    return made
