"""HubSpot's JSON: exact numbers in, texts out; its spelling of times. Knows no rule of the CRM."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.hubspot.errors import bad_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(body: bytes) -> Any:
    """The request's JSON with every fraction as Decimal; an empty body is an empty object. Raises Problem."""
    if not body.strip():
        return {}
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise bad_json(str(error)[:200]) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def dump(value: Any) -> bytes:
    """JSON text. Surrogates that no UTF-8 has stay escaped."""
    return json.dumps(value, default=_spell, separators=(",", ":"), allow_nan=False).encode()


def _spell(value: object) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Decimal):  # exchange rates only: values of properties are texts
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"no JSON for a {type(value).__name__}")


def iso(moment: datetime) -> str:
    """2026-03-01T10:00:00.123Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def iso_short(moment: datetime) -> str:
    """As values of properties have it: no fraction when it is 0."""
    return iso(moment).replace(".000Z", "Z")


def millis(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def read_moment(value: Any) -> datetime | None:
    """Epoch milliseconds, an ISO date or an ISO date and time, in UTC; None when it is none of them."""
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    try:
        if text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) != 4:
            return _EPOCH + timedelta(milliseconds=int(text))
        if len(text) < 10:
            return None
        if len(text) == 10:
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
