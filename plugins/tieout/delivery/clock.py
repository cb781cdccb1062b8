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
        """Seconds on a clock of this machine that never goes back, and that counts the time when it was suspended."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits."""
        ...


#: Linux has a clock that goes on while the machine is suspended (a laptop's lid, a virtual machine that is moved). By
#: `time.monotonic` a worker that wakes up after its lease would think that it has time left to send.
_BOOT_TIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class SystemClock:
    """The real clocks."""

    def database_now(self, conn: Connection) -> datetime:
        now: datetime = conn.exec_driver_sql("select clock_timestamp()").scalar_one()
        return now.astimezone(UTC)

    def monotonic(self) -> float:
        return time.monotonic() if _BOOT_TIME is None else time.clock_gettime(_BOOT_TIME)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


system_clock = SystemClock()
