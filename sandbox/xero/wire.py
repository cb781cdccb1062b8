"""Xero's JSON: exact numbers, its two spellings of dates, the envelope. Knows no rule of the ledger."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.xero.errors import Refused, bad_json

LARGEST = Decimal(10) ** 15  # no amount, price or quantity reaches it

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
# json knows no Decimal: each goes out as a marked string, and the marks and quotes are then taken off.
_MARK = "\0"
_MARKED = re.compile(rb'"\\u0000([^"]*)"')


def parse(body: bytes) -> Any:
    """The request's JSON with every fraction as Decimal. Raises BadCall."""
    if b"\\u0000" in body:
        raise bad_json()
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except ValueError as error:
        raise bad_json() from error


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def dump(value: Any) -> bytes:
    """JSON text; Decimals as numbers with the digits they have, dates as /Date(ms+0000)/."""
    text = json.dumps(value, default=_spell, separators=(",", ":"), allow_nan=False)
    return _MARKED.sub(rb"\1", text.encode())


def _spell(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value}"
    if isinstance(value, date):
        return ms_date(value)
    raise TypeError(f"no JSON for a {type(value).__name__}")


def ms_date(value: date) -> str:
    """`/Date(1539993600000+0000)/`, for a date at midnight UTC."""
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return f"/Date({(value - _EPOCH) // timedelta(milliseconds=1)}+0000)/"


def date_string(value: date) -> str:
    """What stands in `DateString`."""
    return f"{value.isoformat()}T00:00:00"


def read_date(value: Any, field: str) -> date:
    """A date as clients send it: ISO date, ISO date and time, or /Date(ms)/. Raises Refused."""
    if isinstance(value, str):
        match = _MS_DATE.fullmatch(value)
        try:
            if match:
                return (_EPOCH + timedelta(milliseconds=int(match[1]))).date()
            return datetime.fromisoformat(value).date()
        except (ValueError, OverflowError):
            pass  # refused below, with the field's name
    raise Refused(f"The {field} is not a valid date.")


def read_number(value: Any, field: str) -> Decimal:
    """A number, or a text that holds one. Raises Refused."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise Refused(f"The {field} is not a valid number.")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise Refused(f"The {field} is not a valid number.") from error
    if not number.is_finite() or abs(number) >= LARGEST:
        raise Refused(f"The {field} is out of range.")
    return number


def read_guid(value: Any) -> str | None:
    """The id in lower case with hyphens, or None when it is not one."""
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def new_id() -> str:
    return str(uuid.uuid4())


def envelope(now: datetime) -> dict[str, Any]:
    """What stands before every list."""
    return {"Id": new_id(), "Status": "OK", "ProviderName": "Sandbox", "DateTimeUTC": ms_date(now)}
