"""Date literals such as LAST_N_DAYS:7: the days that they stand for. The user's time zone is UTC."""

from __future__ import annotations

from datetime import date, timedelta

_DAY = timedelta(days=1)


def month(day: date, shift: int) -> date:
    """The first day of the month that many months from the day's."""
    count = day.year * 12 + day.month - 1 + shift
    return date(count // 12, count % 12 + 1, 1)


def span(name: str, number: int | None, today: date) -> tuple[date, date] | None:
    """(first day, first day after) of a literal; None when there is no literal of that name, or its number lacks."""
    if number is not None:
        return _counted(name, number, today)
    monday = today - timedelta(days=(today.weekday() + 1) % 7)  # weeks begin on Sunday
    quarter = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    spans = {
        "TODAY": (today, today + _DAY),
        "YESTERDAY": (today - _DAY, today),
        "TOMORROW": (today + _DAY, today + 2 * _DAY),
        "THIS_WEEK": (monday, monday + 7 * _DAY),
        "LAST_WEEK": (monday - 7 * _DAY, monday),
        "NEXT_WEEK": (monday + 7 * _DAY, monday + 14 * _DAY),
        "THIS_MONTH": (month(today, 0), month(today, 1)),
        "LAST_MONTH": (month(today, -1), month(today, 0)),
        "NEXT_MONTH": (month(today, 1), month(today, 2)),
        "THIS_QUARTER": (quarter, month(quarter, 3)),
        "LAST_QUARTER": (month(quarter, -3), quarter),
        "NEXT_QUARTER": (month(quarter, 3), month(quarter, 6)),
        "THIS_YEAR": (date(today.year, 1, 1), date(today.year + 1, 1, 1)),
        "LAST_YEAR": (date(today.year - 1, 1, 1), date(today.year, 1, 1)),
        "NEXT_YEAR": (date(today.year + 1, 1, 1), date(today.year + 2, 1, 1)),
        "LAST_90_DAYS": (today - 90 * _DAY, today + _DAY),
        "NEXT_90_DAYS": (today + _DAY, today + 91 * _DAY),
    }
    return spans.get(name)


def _counted(name: str, number: int, today: date) -> tuple[date, date] | None:
    spans = {
        "LAST_N_DAYS": lambda: (today - number * _DAY, today + _DAY),
        "NEXT_N_DAYS": lambda: (today + _DAY, today + (number + 1) * _DAY),
        "N_DAYS_AGO": lambda: (today - number * _DAY, today - (number - 1) * _DAY),
        "LAST_N_MONTHS": lambda: (month(today, -number), month(today, 0)),
        "NEXT_N_MONTHS": lambda: (month(today, 1), month(today, number + 1)),
        "LAST_N_YEARS": lambda: (date(today.year - number, 1, 1), date(today.year, 1, 1)),
        "NEXT_N_YEARS": lambda: (date(today.year + 1, 1, 1), date(today.year + number + 1, 1, 1)),
    }
    if name not in spans:
        return None
    try:
        return spans[name]()
    except (OverflowError, ValueError):  # before year 1 or after 9999
        return None
