"""Xero's dates: `/Date(1539993600000+0000)/` and ISO texts. Payloads keep them raw; comparing needs them read."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

_MS = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(value: Any) -> datetime | None:
    """The instant (milliseconds are always UTC, whatever offset is written behind them); None when it is none."""
    if not isinstance(value, str):
        return None
    found = _MS.fullmatch(value)
    if found:
        try:
            return _EPOCH + timedelta(milliseconds=int(found[1]))
        except OverflowError:
            return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def day(value: Any) -> date | None:
    """The calendar date; None when it is none."""
    moment = instant(value)
    return None if moment is None else moment.date()


def header(value: datetime) -> str:
    """A value for If-Modified-Since: whole seconds in UTC, rounded down."""
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
