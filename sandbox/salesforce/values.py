"""Turning what came over the wire into what is kept, field by field; and instants into Salesforce's text and back.

Kept values are canonical: decimals have at least one place and no trailing zeros, instants are UTC text with
milliseconds, ids have 18 characters. So equal values are equal as Python values and can be written out as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from sandbox.salesforce import ids
from sandbox.salesforce.errors import ApiError, refused
from sandbox.salesforce.fields import NUMBER_TYPES, Field

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_OFFSET = re.compile(r"([+-]\d{2})(\d{2})$")
_KINDS = {bool: "VALUE_TRUE", str: "VALUE_STRING", dict: "START_OBJECT", list: "START_ARRAY", type(None): "VALUE_NULL"}
WIDE = Context(prec=200)  # digits: enough for the product of any two numbers that are let in, so nothing is lost
MAX_DIGITS = 60  # of a number in a request; more is no number that a field could hold


def stamp(moment: datetime) -> str:
    """`2026-01-31T10:00:00.000+0000`."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def parse_instant(text: str) -> datetime | None:
    """An ISO 8601 instant as UTC; a date alone is its midnight; None when it is neither."""
    try:
        moment = datetime.fromisoformat(_OFFSET.sub(r"\1:\2", text))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def canonical(number: Decimal) -> Decimal:
    """The same number with at least one decimal place and no trailing zeros beyond it."""
    number = number.normalize(WIDE)
    exponent = number.as_tuple().exponent
    return number.quantize(Decimal("0.1"), context=WIDE) if isinstance(exponent, int) and exponent > -1 else number


def round_half_up(number: Decimal, places: int) -> Decimal:
    """Rounded away from zero at the half, canonical."""
    return canonical(number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, WIDE))


def read(field: Field, value: Any) -> Any:
    """The JSON value of a request as the field's type. Raises ApiError (the whole request cannot be read)."""
    if value is None and field.type != "boolean":
        return None
    reader = _READERS.get(field.type, _text)
    result = reader(value)
    if result is _BAD:
        raise bad_value(field, value)
    return result


def read_text(field: Field, text: str) -> Any:
    """The same for a cell of a CSV file; raises Refused for that row."""
    if field.type == "boolean":
        if text.lower() in ("true", "1"):
            return True
        if text.lower() in ("false", "0"):
            return False
    try:
        return read(field, text)
    except ApiError:
        message = f"{field.label}: value not of required type: {text}"
        raise refused("INVALID_TYPE_ON_FIELD_IN_RECORD", message, field.name) from None


def bad_value(field: Field, value: Any) -> ApiError:
    """The error for a value that cannot be read as the field's type."""
    kind = _KINDS.get(type(value), "VALUE_NUMBER_INT" if isinstance(value, int) else "VALUE_NUMBER_FLOAT")
    shown = f" value {value}" if isinstance(value, str | int | Decimal) else ""
    message = (
        f"Cannot deserialize instance of {field.type} from {kind}{shown} or request may be missing a required field"
    )
    return ApiError(400, "JSON_PARSER_ERROR", f"{message} at [line:1, column:1]")


_BAD = object()


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | Decimal) else _BAD


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return _BAD
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return _BAD
    if not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS or len(number.as_tuple().digits) > MAX_DIGITS:
        return _BAD
    return number


def _whole(value: Any) -> Any:
    number = _number(value)
    if isinstance(number, Decimal):
        return int(number) if number == number.to_integral_value() else _BAD
    return number


def _date(value: Any) -> Any:
    if not isinstance(value, str):
        return _BAD
    if not value.strip():
        return None
    try:
        return date.fromisoformat(value.strip()[:10]).isoformat() if _DATE.match(value.strip()) else _BAD
    except ValueError:
        return _BAD


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return _BAD
    if not value.strip():
        return None
    moment = parse_instant(value.strip())
    return _BAD if moment is None else stamp(moment)


def _boolean(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, bool) else _BAD


def _reference(value: Any) -> Any:
    if not isinstance(value, str):
        return _BAD
    text = value.strip()
    return (ids.normal(text) or text) if text else None  # what is no id is refused when the record is saved


_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(NUMBER_TYPES, _number),
    "int": _whole,
    "date": _date,
    "datetime": _instant,
    "boolean": _boolean,
    "reference": _reference,
    "id": _reference,
}
