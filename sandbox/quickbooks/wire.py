"""Intuit's JSON: exact numbers, dates, and whether a body holds what its type may hold. Knows no rule of the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from sandbox.quickbooks.errors import Refused, bad_date, bad_number, unsupported
from sandbox.quickbooks.fields import FIELDS

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
LARGEST = Decimal(10) ** 14  # no amount, price or quantity reaches it
MOST_PLACES = 7  # of UnitPrice and Qty
MAX_DEPTH = 20  # of a body

# json knows no Decimal: each goes out as a marked string, and the marks and quotes are then taken off.
_MARK = "\0"
_MARKED = re.compile(rb'"\\u0000([^"]*)"')
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def cents(value: Decimal) -> Decimal:
    """Rounded to two places, halves away from zero: the one rounding of amounts."""
    return value.quantize(CENT, ROUND_HALF_UP)


def parse(body: bytes) -> Any:
    """The request's JSON with every fraction as Decimal. Raises Refused."""
    if b"\\u0000" in body or b"\0" in body:
        raise unsupported("Property Name:failed to parse json object; a NUL character is not supported")
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise unsupported("Property Name:failed to parse json object; the body is not valid JSON") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def dump(value: Any) -> bytes:
    """JSON text; Decimals as numbers with the digits they have."""
    text = json.dumps(value, default=_spell, separators=(",", ":"), allow_nan=False)
    return _MARKED.sub(rb"\1", text.encode())


def _spell(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value:f}"
    raise TypeError(f"no JSON for a {type(value).__name__}")


def typed(kind: str, body: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The body with its numbers as Decimal; nulls are left out. Raises Refused 2010 and 2090."""
    known = FIELDS[kind]
    kept = {}
    for name, value in body.items():
        path = f"{where}{name}"
        if name not in known:
            raise unsupported(f"Property Name:failed to parse json object; {path} specified is unsupported or invalid")
        if value is not None:
            kept[name] = _value(known[name], value, path)
    return kept


def _value(kind: str, value: Any, path: str) -> Any:
    if kind.endswith("*"):
        if not isinstance(value, list):
            raise _not_a(path, "list")
        return [_value(kind[:-1], entry, path) for entry in value]
    if kind == "any":
        return plain(value, path)
    if kind in FIELDS:
        if not isinstance(value, dict):
            raise _not_a(path, kind)
        return typed(kind, value, f"{path}.")
    return _SCALARS[kind](value, path)


def plain(value: Any, path: str, depth: int = 0) -> Any:
    """What is kept as it was sent. Raises Refused when it is nested too deeply."""
    if depth > MAX_DEPTH:
        raise _not_a(path, "property of this depth")
    if isinstance(value, dict):
        return {key: plain(inner, path, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner, path, depth + 1) for inner in value]
    return value


def _string(value: Any, path: str) -> str:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _not_a(path, "text") from None
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _not_a(path, "String")
    return str(value)


def _boolean(value: Any, path: str) -> bool | None:
    if isinstance(value, bool):
        return value
    if value == "":  # as python-quickbooks sends what was not set
        return None
    if value in ("true", "false"):
        return bool(value == "true")
    raise _not_a(path, "Boolean")


def read_number(value: Any, path: str) -> Decimal | None:
    """A number, or a text that holds one; None for an empty text. Raises Refused."""
    if value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise bad_number(path, value)
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError) as error:
        raise bad_number(path, value) from error
    if not number.is_finite() or abs(number) >= LARGEST or number.as_tuple().exponent < -30:  # type: ignore[operator]
        raise bad_number(path, value)
    return number + 0 if number else Decimal(0)


def read_date(value: Any, path: str) -> str | None:
    """YYYY-MM-DD; a time after it is cut off; None for an empty text. Raises Refused."""
    if value == "":
        return None
    try:
        if not isinstance(value, str) or not _DATE.match(value):
            raise ValueError
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        raise bad_date(path, value) from None


def _not_a(path: str, kind: str) -> Refused:
    return unsupported(
        f"Property Name:Can not construct instance of {kind}; {path} specified is unsupported or invalid"
    )


_SCALARS = {"string": _string, "boolean": _boolean, "decimal": read_number, "date": read_date}


def places(value: Decimal) -> int:
    """Digits after the point, without zeros at the end."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
