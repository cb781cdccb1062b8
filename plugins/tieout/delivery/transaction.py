"""One transaction of the protocol: the database's time, the work, its audit rows last; again when it was a deadlock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy.engine import Connection

from tieout.delivery.clock import Clock
from tieout.delivery.states import Journal
from tieout.model.errors import Retriable

T = TypeVar("T")

#: Times that a transaction is tried when PostgreSQL ends it because of a deadlock or a serialisation failure.
TRIES = 5
_AGAIN = ("40P01", "40001")


@dataclass(frozen=True, slots=True)
class Transactions:
    """Runs transactions of one worker on one connection.

    Attributes:
        crash: called with `before_<name>_commit` and `after_<name>`; a test may raise or end the process there.
    """

    conn: Connection
    target: str
    actor: str
    run_id: UUID | None
    clock: Clock
    crash: Callable[[str], None]

    def run(self, name: str, work: Callable[[Connection, Journal], T]) -> T:
        """The work's result, committed together with its audit rows.

        Raises:
            Retriable: the database is gone, or ended the transaction TRIES times.
        """
        for remaining in reversed(range(TRIES)):
            try:
                with self.conn.begin():
                    journal = Journal(self.target, self.actor, self.run_id, self.clock.database_now(self.conn))
                    result = work(self.conn, journal)
                    journal.write(self.conn)
                    self.crash(f"before_{name}_commit")
            except Retriable as error:
                # The whole transaction was undone, so doing it again is the first time.
                if remaining and getattr(error.__cause__, "sqlstate", None) in _AGAIN:
                    continue
                raise
            self.crash(f"after_{name}")
            return result
        raise AssertionError("TRIES is at least one")
