"""Rate limits: calls a minute and a day, calls at the same time. Rolling windows by the sandbox's clock, in memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.xero.errors import Problem, too_many

_WINDOWS = {"minute": 60.0, "day": 86_400.0, "app_minute": 60.0}  # seconds
_HEADERS = {"day": "X-DayLimit-Remaining", "minute": "X-MinLimit-Remaining", "app_minute": "X-AppMinLimit-Remaining"}


class Limiter:
    """Counts the calls of each client. A restart begins anew."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], deque[datetime]] = {}
        self._open: dict[str, int] = {}

    def reset(self) -> None:
        self._calls.clear()

    def enter(self, client: str, limits: Mapping[str, Any], now: datetime, minute: float = 60.0) -> dict[str, str]:
        """Counts the call in; headers for its answer. Raises Problem (429), and then it does not count.

        Args:
            minute: seconds of a minute, for those who cannot wait for one.
        """
        for which, length in _WINDOWS.items():
            seconds = minute if which == "minute" else length
            calls, limit = self._window(client, which, seconds, now), limits.get(which)
            if limit is not None and len(calls) >= limit:
                wait = calls[-limit] + timedelta(seconds=seconds) - now
                raise self._refuse(client, limits, which.replace("_", ""), math.ceil(wait.total_seconds()))
        if limits.get("concurrent") is not None and self._open.get(client, 0) >= limits["concurrent"]:
            raise self._refuse(client, limits, "concurrent", 1)
        for which in _WINDOWS:
            self._calls[(client, which)].append(now)
        self._open[client] = self._open.get(client, 0) + 1
        return self._headers(client, limits)

    def leave(self, client: str) -> None:
        """The answer is made."""
        self._open[client] = self._open.get(client, 1) - 1

    def _window(self, client: str, which: str, seconds: float, now: datetime) -> deque[datetime]:
        calls = self._calls.setdefault((client, which), deque())
        while calls and calls[0] <= now - timedelta(seconds=seconds):
            calls.popleft()
        return calls

    def _headers(self, client: str, limits: Mapping[str, Any]) -> dict[str, str]:
        left = {}
        for which, header in _HEADERS.items():
            if limits.get(which) is not None:
                left[header] = str(max(0, limits[which] - len(self._calls.get((client, which), ()))))
        return left

    def _refuse(self, client: str, limits: Mapping[str, Any], which: str, wait: int) -> Problem:
        problem = too_many(which, max(1, wait))
        problem.headers |= self._headers(client, limits)
        return problem
