"""Rate limits: calls a minute and a second, batches a minute, calls at once. Rolling windows by the sandbox's clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.quickbooks.errors import throttled

_WINDOWS = {"minute": 60, "second": 1, "batch_minute": 60}  # seconds


class Limiter:
    """Counts the calls of each company and app, in memory: a restart begins anew."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], deque[datetime]] = {}
        self._open: dict[str, int] = {}

    def reset(self) -> None:
        self._calls.clear()

    def enter(self, realm: str, client: str, limits: Mapping[str, Any], now: datetime, is_batch: bool) -> None:
        """Counts the call in. Raises Refused (429), and then it does not count."""
        names = [which for which in _WINDOWS if is_batch or which != "batch_minute"]
        counted = []
        for which in names:
            whose = realm if which == "minute" else f"{realm} {client}"
            calls = self._calls.setdefault((whose, which), deque())
            while calls and calls[0] <= now - timedelta(seconds=_WINDOWS[which]):
                calls.popleft()
            if limits.get(which) is not None and len(calls) >= limits[which]:
                raise throttled()
            counted.append(calls)
        key = f"{realm} {client}"
        if limits.get("concurrent") is not None and self._open.get(key, 0) >= limits["concurrent"]:
            raise throttled()
        for calls in counted:
            calls.append(now)
        self._open[key] = self._open.get(key, 0) + 1

    def leave(self, realm: str, client: str) -> None:
        """The answer is made."""
        key = f"{realm} {client}"
        self._open[key] = self._open.get(key, 1) - 1
