"""Whether a value of expect.yaml is what was found: numbers by amount, days by their date, yes and no strictly."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any


def same(wanted: Any, found: Any) -> bool:
    """See the module."""
    if isinstance(wanted, bool):
        return wanted is found
    if isinstance(wanted, Decimal | int) and found is not None:
        try:
            return Decimal(str(found)) == wanted
        except InvalidOperation:
            return False
    if isinstance(wanted, date):
        return str(found)[:10] == wanted.isoformat()
    return bool(wanted == found)
