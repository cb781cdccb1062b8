"""One budget of calls for each connection, shared by all workers through the store: a row of `tieout.pace`.

The rules are those of connectors/pace.py. Asking and telling are a short transaction each, on a session of their own;
none is open while a call is under way or somebody waits. They are not made durable: what a crash of the database
forgets is half a second of counting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy.engine import Connection, Engine

from tieout.connectors import pace
from tieout.connectors.gate import wait_for
from tieout.connectors.pace import Allowance, Ask, Heard, Pace, Wait
from tieout.connectors.wire import Clock
from tieout.model.errors import RateLimited, Retriable
from tieout.store.engine import dumps

T = TypeVar("T")

log = structlog.get_logger(__name__)

_FIELDS = (
    "width", "narrowed_at", "open_at", "closed_by", "urgent_until", "answer_seconds", "strain", "has_window", "day",
    "day_calls", "day_left", "day_limit", "day_heard_at", "total_calls", "total_refused",
)  # fmt: skip
_LOAD = f"""
select calls, slots, slots_until, fastest, {", ".join(_FIELDS)}, clock_timestamp() as now
from tieout.pace where connection = %(connection)s
"""  # noqa: S608 - constants of this module; values are bound
_SAVE = f"""
update tieout.pace set calls = %(calls)s, slots = %(slots)s, slots_until = %(slots_until)s,
    fastest = %(fastest)s::jsonb, {", ".join(f"{name} = %({name})s" for name in _FIELDS)}, updated_at = %(now)s
where connection = %(connection)s
"""  # noqa: S608
_NEW = "insert into tieout.pace (connection) values (%(connection)s) on conflict do nothing"


class SharedGate:
    """The gate of one connection in this process; the others that open the same connection share its row.

    Args:
        engine: of the store.
        name: the connection's name.
        clock: for waiting; the budget itself is on the database's clock.
    """

    def __init__(self, engine: Engine, name: str, allowance: Allowance, clock: Clock | None = None) -> None:
        self.name = name
        self.allowance = allowance
        self._engine = engine
        self._clock = clock or Clock()
        self._line = Line()

    def enter(self, priority: int, patience: float, seconds: float, weight: int = 1) -> str:
        """See connectors.gate.Gate."""
        ask = Ask(uuid4().hex, priority, seconds, weight)
        end = self._clock.monotonic() + patience
        with self._line.stand(priority, patience) as is_first:
            if not is_first:
                raise RateLimited(f"{self.name}: others of this process wait for a call, too", 1.0)
            wait_for(lambda: self._admit(ask), self._clock, self.name, max(end - self._clock.monotonic(), 0.0))
        return ask.ticket

    def leave(self, ticket: str, heard: Heard | None) -> None:
        """See connectors.gate.Gate."""

        def note(before: Pace, now: datetime) -> tuple[Pace, None]:
            if heard is None:
                return pace.abandoned(before, ticket), None
            return pace.answered(before, self.allowance, ticket, heard, now), None

        try:
            self._change(note)
        except Retriable as error:
            # The answer to the call must not be lost for this; the slot is a lease and ends by itself.
            log.warning("pace.not_noted", connection=self.name, error=str(error))

    def closed_for(self) -> float:
        """Seconds until batch work may go on, where the vendor or the day's budget says so; 0 when it may now.

        Raises:
            Retriable: the store is gone.
        """
        with self._engine.connect() as conn:
            found, now = load(conn, self.name)
        return pace.closed_for(found, self.allowance, now)

    def workers(self) -> int:
        """How many callers can be kept busy now. Raises Retriable when the store is gone."""
        with self._engine.connect() as conn:
            return pace.useful_workers(load(conn, self.name)[0], self.allowance)

    def _admit(self, ask: Ask) -> Wait | None:
        return self._change(lambda before, now: pace.admit(before, self.allowance, ask, now))

    def _change(self, work: Callable[[Pace, datetime], tuple[Pace, T]]) -> T:
        with self._engine.begin() as conn:
            conn.exec_driver_sql("set local synchronous_commit = off")
            before, now = load(conn, self.name, lock=True)
            after, result = work(before, now)
            if after is not before:
                _save(conn, self.name, after, now)
            return result


def load(conn: Connection, name: str, *, lock: bool = False) -> tuple[Pace, datetime]:
    """A connection's budget and the database's time; with `lock` the row is made where there is none, and held."""
    query = _LOAD + ("for update" if lock else "")
    row = conn.exec_driver_sql(query, {"connection": name}).one_or_none()
    if row is None and lock:
        conn.exec_driver_sql(_NEW, {"connection": name})
        row = conn.exec_driver_sql(query, {"connection": name}).one()
    if row is None:
        return pace.NEW, conn.exec_driver_sql("select clock_timestamp()").scalar_one()
    values: Mapping[str, Any] = row._asdict()
    found = Pace(
        calls=tuple(row.calls),
        slots=dict(zip(row.slots, row.slots_until, strict=True)),
        fastest={kind: float(seconds) for kind, seconds in row.fastest.items()},
        **{name: values[name] for name in _FIELDS},
    )
    return found, row.now


def _save(conn: Connection, name: str, after: Pace, now: datetime) -> None:
    values = {name: getattr(after, name) for name in _FIELDS}
    slots = {"slots": list(after.slots), "slots_until": list(after.slots.values())}
    lists = {**slots, "calls": list(after.calls), "fastest": dumps(after.fastest)}
    conn.exec_driver_sql(_SAVE, {"connection": name, "now": now, **values, **lists})


class Line:
    """Threads of one process wait in the order in which they came, those of higher priority first.

    Only the first of them asks the store; without this, each freed call would be asked for by all of them. One of
    higher priority asks beside it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[int, int]] = []
        self._serial = count()

    def __len__(self) -> int:
        """How many stand in it."""
        return len(self._waiting)

    @contextmanager
    def stand(self, priority: int, patience: float) -> Iterator[bool]:
        """Whether it became the first one's turn within `patience` seconds."""
        me = (-priority, next(self._serial))
        with self._changed:
            self._waiting.append(me)
            is_first = self._changed.wait_for(lambda: min(self._waiting) == me, patience)
        try:
            yield is_first
        finally:
            with self._changed:
                self._waiting.remove(me)
                self._changed.notify_all()
