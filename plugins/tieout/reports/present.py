"""Amounts, times and durations as a person reads them. No HTML here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any

from tieout.model.money import from_minor

#: Parts of a run's summary in the order in which they add up to `read`.
PARTS = ("posted", "unchanged", "in_flight", "held", "quarantined", "cancelled", "reversed")


def amount(minor: Any, currency: str) -> str:
    """1234567, "EUR" -> "12,345.67"; minor units as they are where the currency is unknown."""
    if minor is None:
        return ""
    try:
        return f"{from_minor(int(minor), currency):,f}"
    except ValueError:
        return f"{int(minor):,} minor units" if int(minor) else "0"


def quantity(value: Decimal | None) -> str:
    """Decimal("7.0000") -> "7", without zeros at its end; nothing where there is none."""
    return "" if value is None else format(value.normalize(), ",f")


def price(value: Decimal) -> str:
    """Decimal("1250.5") -> "1,250.50": two places at least, all of them where there are more."""
    whole, _, places = quantity(value).partition(".")
    return f"{whole}.{places.ljust(2, '0')}"


def moment(value: Any) -> str:
    """An instant (or its ISO text) in UTC to the second; other text as it is."""
    instant = _instant(value)
    if instant is not None:
        return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return "" if value is None else str(value)


def duration(start: Any, end: Any) -> str:
    """The time between two instants (or ISO texts): "1 min 05 s"; empty where one is missing."""
    first, last = _instant(start), _instant(end)
    if first is None or last is None:
        return ""
    seconds = (last - first).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def age(since: Any, now: datetime) -> str:
    """How long ago an instant is, in its two largest units: "3 d 4 h"; empty where there is none."""
    instant = _instant(since)
    if instant is None:
        return ""
    seconds = max(int((now - instant).total_seconds()), 0)
    for unit, size, next_unit, next_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // next_size} {next_unit}"
    return f"{seconds} s"


def words(name: str) -> str:
    """`in_flight` -> "in flight"."""
    return name.replace("_", " ")


def plain(value: Any) -> str:
    """Any fact as text: instants in UTC, structures as indented JSON with exact numbers."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, indent=2, default=str, ensure_ascii=False)
    if isinstance(value, Decimal | date | int | str | float | bool):
        return str(value)
    return "" if value is None else str(value)


def closing(counts: Mapping[str, Any], amounts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the closing summary: one for the counts, one for each currency, with whether it adds up.

    Returns:
        `{"what", "read", "parts": [...in the order of PARTS], "closes"}`, texts ready to show.
    """
    rows = [_closing_row("documents", counts, lambda value: f"{int(value):,}")] if counts else []
    for currency, parts in sorted(amounts.items()):
        rows.append(_closing_row(currency, parts, lambda value, currency=currency: amount(value, currency)))
    return rows


def _closing_row(what: str, numbers: Mapping[str, Any], show: Any) -> dict[str, Any]:
    parts = [int(numbers.get(part) or 0) for part in PARTS]
    read = int(numbers.get("read") or 0)
    return {"what": what, "read": show(read), "parts": [show(part) for part in parts], "closes": sum(parts) == read}


def _instant(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return None


def figure(value: Any, scale: int) -> str:
    """123456, 2 -> "1,234.56": a whole number in 10^-scale; empty for None."""
    if value is None:
        return ""
    return f"{exact(value, scale):,f}"


def exact(value: Any, scale: int) -> Decimal:
    """A whole number in 10^-scale as it is meant, with all its decimals."""
    return _EXACT.scaleb(Decimal(int(value)), -scale)


#: As many digits as numeric(38,0) sums have, and more: nothing is rounded on its way to a page or a file.
_EXACT = Context(prec=100)


def share(part: Any, whole: Any) -> str:
    """5, 40 -> "+12.5%": a change in percent of what was there; empty where there was nothing."""
    if not whole:
        return ""
    percent = Decimal(int(part)) * 100 / abs(Decimal(int(whole)))
    return f"{percent:+,.1f}%"


# Controls, marks that turn the direction of what follows, and signs without width: they hide or forge what one reads.
# The joiners (200C, 200D) stay, scripts and emoji need them, and so do the two direction marks (200E, 200F).
_HIDING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]"
)
_BREAKS = re.compile(r"[\t\r\n]+")


def harmless(text: Any) -> str:
    """Text of another system in one line, without what hides or turns characters: the same on pages and in files."""
    return "" if text is None else _BREAKS.sub(" ", _HIDING.sub("", str(text)))
