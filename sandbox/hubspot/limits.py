"""Rate limits: ten seconds, the day, searches a second. Rolling windows by the sandbox's clock, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.hubspot.auth import PRIVATE
from sandbox.hubspot.errors import too_many

_WINDOWS = {
    "daily": (86_400, "DAILY"),
    "ten_seconds": (10, "TEN_SECONDLY_ROLLING"),
    "search_per_second": (1, "SECONDLY"),
}


class Limiter:
    """Counts calls. A restart begins anew."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[datetime]] = {name: deque() for name in _WINDOWS}

    def reset(self) -> None:
        for calls in self._calls.values():
            calls.clear()

    def enter(self, app: str, search: bool, limits: Mapping[str, Any], now: datetime) -> dict[str, str]:
        """Counts the call in; headers for its answer, none for a search. Raises Problem (429), which counts nothing.

        The day's limit holds for private apps only.
        """
        names = [*(["daily"] if app == PRIVATE else []), "search_per_second" if search else "ten_seconds"]
        for name in names:
            seconds, policy = _WINDOWS[name]
            calls, limit = self._calls[name], limits.get(name)
            while calls and calls[0] <= now - timedelta(seconds=seconds):
                calls.popleft()
            if limit is not None and len(calls) >= limit:
                raise too_many(policy, self._headers(app, search, limits))
        for name in names:
            if limits.get(name) is not None:
                self._calls[name].append(now)
        return self._headers(app, search, limits)

    def _headers(self, app: str, search: bool, limits: Mapping[str, Any]) -> dict[str, str]:
        if search:
            return {}
        headers = {}
        if limits.get("ten_seconds") is not None:
            headers["X-HubSpot-RateLimit-Interval-Milliseconds"] = "10000"
            headers["X-HubSpot-RateLimit-Max"] = str(limits["ten_seconds"])
            headers["X-HubSpot-RateLimit-Remaining"] = self._left("ten_seconds", limits)
        if limits.get("daily") is not None and app == PRIVATE:
            headers["X-HubSpot-RateLimit-Daily"] = str(limits["daily"])
            headers["X-HubSpot-RateLimit-Daily-Remaining"] = self._left("daily", limits)
        return headers

    def _left(self, name: str, limits: Mapping[str, Any]) -> str:
        return str(max(0, limits[name] - len(self._calls[name])))
