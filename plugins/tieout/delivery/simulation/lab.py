"""A database for plays: sessions that are kept, sessions that can be ended, tables that are emptied now and then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tieout.store.engine import connect

#: Milliseconds that a session waits for a lock. Who holds it is a worker that stands still until the waiting one has
#: given up, so that any wait is as good as the longest.
LOCK_MS = 2
#: Plays between two emptyings.
PLAYS = 100
_EMPTY = """
alter table tieout.audit_event disable trigger user;
truncate tieout.intent, tieout.attempt, tieout.crosswalk, tieout.dead_letter, tieout.audit_event, tieout.audit_head;
alter table tieout.audit_event enable trigger user;
"""


@dataclass(slots=True)
class Lab:
    """One process's sessions on one database, at the newest schema, which nobody else uses.

    Attributes:
        watch: a session in autocommit that sees what is committed.
        plays: how many were begun.
    """

    engine: Engine
    watch: psycopg.Connection[Any]
    plays: int = 0
    _sessions: dict[int, list[Any]] = field(default_factory=dict)

    def next_number(self) -> int:
        """The number of another play; empties the tables when it is time."""
        if self.plays % PLAYS == 0:
            self.watch.execute(_EMPTY, prepare=False)
        self.plays += 1
        return self.plays

    def end_session(self) -> None:
        """Ends the session of the calling thread's delivery as PostgreSQL would, and waits until it is gone."""
        session = self._sessions[threading.get_ident()][0]
        self.watch.execute("select pg_terminate_backend(%s, 10000)", (session.info.backend_pid,))

    def _taken(self, session: Any, record: Any, proxy: Any) -> None:
        self._sessions.setdefault(threading.get_ident(), []).append(session)

    def _given_back(self, session: Any, record: Any) -> None:
        for sessions in self._sessions.values():
            if session in sessions:
                sessions.remove(session)
                return


@contextmanager
def opened(database_url: str) -> Iterator[Lab]:
    """A lab on that database; its sessions end with it."""
    engine = connect(database_url, application_name="simulation", pre_ping=False)
    watch = psycopg.connect(database_url.replace("+psycopg://", "://", 1), autocommit=True, prepare_threshold=0)
    lab = Lab(engine, watch)
    sa.event.listen(engine, "connect", _fast)
    sa.event.listen(engine, "checkout", lab._taken)
    sa.event.listen(engine, "checkin", lab._given_back)
    try:
        yield lab
    finally:
        watch.close()
        engine.dispose()


def _fast(session: Any, record: Any) -> None:
    """Statements are prepared at their first use: a play runs the same few hundred times over."""
    session.prepare_threshold = 0
    with session.cursor() as cursor:
        cursor.execute(f"set lock_timeout = {LOCK_MS}")
    session.commit()
