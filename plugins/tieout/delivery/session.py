"""The database session of a worker: its bound on idle transactions, and the lock of the one poster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.engine import Connection

_LOCK = "hashtextextended('tieout.poster:' || %(target)s::text, 0)"


@dataclass(slots=True)
class Poster:
    """One poster at a time for a target without guards: a lock of this session, gone when the session is gone.

    The mark before a send is written on the same session: a worker that lost the lock cannot mark, nor send.
    """

    conn: Connection
    target: str
    is_taken: bool = False

    def take(self) -> bool:
        """Whether this session is the target's one poster, now or since before."""
        if not self.is_taken:
            with self.conn.begin():
                sql = f"select pg_try_advisory_lock({_LOCK})"
                self.is_taken = bool(self.conn.exec_driver_sql(sql, {"target": self.target}).scalar_one())
        return self.is_taken

    def give_back(self) -> None:
        """Inside a transaction of the session."""
        if self.is_taken:
            self.conn.exec_driver_sql(f"select pg_advisory_unlock({_LOCK})", {"target": self.target})
            self.is_taken = False


@contextmanager
def delivering(poster: Poster, idle_transaction_seconds: float) -> Iterator[None]:
    """The settings and locks of the session; it goes back to the pool without them."""
    conn = poster.conn
    with conn.begin():
        # A worker that is paused in a transaction would keep the others from the audit chain until it wakes.
        conn.exec_driver_sql(
            "select set_config('idle_in_transaction_session_timeout', %(ms)s, false)",
            {"ms": f"{idle_transaction_seconds * 1000:.0f}"},
        )
    try:
        yield
    finally:
        if not conn.invalidated:
            with conn.begin():
                conn.exec_driver_sql("reset idle_in_transaction_session_timeout")
                poster.give_back()
