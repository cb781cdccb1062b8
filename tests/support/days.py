"""The day that it is for a link: around midnight another one than in UTC."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from tieout.model.link import Link


def today(link: Link) -> date:
    """Today in the link's time zone."""
    return datetime.now(ZoneInfo(link.time_zone)).date()
