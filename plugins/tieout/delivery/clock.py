"""Time, as the delivery protocol sees it. Every use of time in `delivery` goes through a `Clock`.

Leases and quiet periods are measured on the database's clock, the last check before a send on this machine's monotonic
one. A simulation gives both out of one virtual time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.engine import Connection


class Clock(Protocol):
    """Where the protocol takes its time from."""

    def database_now(self, conn: Connection) -> datetime:
        """The database's time now (not the transaction's start), in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock of this process that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits."""
        ...


class SystemClock:
    """The real clocks."""

    def database_now(self, conn: Connection) -> datetime:
        now: datetime = conn.exec_driver_sql("select clock_timestamp()").scalar_one()
        return now.astimezone(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


system_clock = SystemClock()
