"""Virtual time: one true time of the simulated world, the database's clock beside it, and each process's own clocks.

The true time never jumps and never goes back. The database's clock is the true one plus an error that may be set
forward or back; a process's monotonic clock begins anywhere, its wall clock may be wrong. Nothing here sleeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.engine import Connection

#: What each reading of the database's clock takes, so that transactions have instants of their own.
TICK_SECONDS = 0.00001
START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(slots=True)
class VirtualClock:
    """The world's time, and a `Clock` for whoever needs no process of its own.

    Attributes:
        seconds: true time since the start.
        error: seconds that the database's clock is ahead of it.
    """

    seconds: float = 0.0
    error: float = 0.0
    start: datetime = START

    @property
    def now(self) -> datetime:
        """What the database's clock shows."""
        return self.start + timedelta(seconds=self.seconds + self.error)

    @property
    def database_seconds(self) -> float:
        """The same in seconds since the start."""
        return self.seconds + self.error

    def database_now(self, conn: Connection) -> datetime:
        self.seconds += TICK_SECONDS
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(slots=True)
class ProcessClock:
    """The clocks as one process has them: `origin` of its monotonic clock, `wall_error` of its own date and time.

    Delivery must not read the wall clock of a process; `wall` is there for mutants that do.
    """

    world: VirtualClock
    origin: float = 0.0
    wall_error: float = 0.0

    def database_now(self, conn: Connection) -> datetime:
        return self.world.database_now(conn)

    def monotonic(self) -> float:
        return self.world.seconds + self.origin

    def wall(self) -> datetime:
        """Date and time as this process believes them to be."""
        return self.world.start + timedelta(seconds=self.world.seconds + self.wall_error)

    def sleep(self, seconds: float) -> None:
        self.world.sleep(seconds)
