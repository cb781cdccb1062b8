"""When two values are the same although they are spelled otherwise; shared by the vendors' comparing of documents."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

#: (field, sent, found).
Difference = tuple[str, str, str]


def same_rate(sent: Any, found: Any, least: int) -> bool:
    """Equal, or the same as far as the vendor keeps places (`least` at least); what has more may be cut or rounded."""
    left, right = number_of(sent), number_of(found)
    if left is None or right is None:
        return left == right
    kept = max(least, places_of(right))
    return left == right if places_of(left) <= kept else abs(left - right) < Decimal(1).scaleb(-kept)


def places_of(number: Decimal) -> int:
    """How many decimals it has, without zeros at the end."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def number_of(value: Any) -> Decimal | None:
    """The exact number; None where it is none."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def text_of(value: Any) -> str:
    """The text without blanks at its ends: vendors give "" where nothing is set, and line ends as they like."""
    return "" if value is None else str(value).replace("\r\n", "\n").strip()


def shown(value: Any) -> str:
    """The value in a difference."""
    return "" if value is None else str(value)[:200]
