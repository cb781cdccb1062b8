"""What a record may hold: types of fields, and the refusal of what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.state import Record

Check = Callable[[Any], Any]
LARGEST = Decimal(10) ** 18


class Refused(Exception):
    """A definite no to one item: {"code", "message"}."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse(body: bytes) -> Any:
    """The request's JSON with every fraction as Decimal. Raises ValueError."""
    return json.loads(body, parse_float=Decimal)


def text(most: int) -> Check:
    """A text of at most so many characters."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise Refused("wrong_type", "expected a text")
        if len(value) > most:
            raise Refused("too_long", f"at most {most} characters")
        return value

    return check


def number(value: Any) -> str:
    """A number, or a text that holds one. It is kept and given as a text, exactly as it came."""
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        read = Decimal(str(value))
    except InvalidOperation:
        raise Refused("wrong_type", "expected a number") from None
    if not read.is_finite() or abs(read) >= LARGEST:
        raise Refused("wrong_type", "a number out of range")
    return f"{read:f}"


def day(value: Any) -> str:
    """YYYY-MM-DD."""
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise Refused("wrong_type", "expected a date") from None


def flag(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise Refused("wrong_type", "expected true or false")
    return value


def each(fields: Mapping[str, Check]) -> Check:
    """A list of objects with these fields."""

    def check(value: Any) -> list[Record]:
        if not isinstance(value, list):
            raise Refused("wrong_type", "expected a list")
        return [typed(fields, one) for one in value]

    return check


def typed(fields: Mapping[str, Check], given: Any) -> Record:
    """The fields as they are kept; null empties one. Raises Refused."""
    if not isinstance(given, dict):
        raise Refused("wrong_type", "expected an object")
    kept: Record = {}
    for name, value in given.items():
        if name not in fields:
            raise Refused("unknown_field", f"{name}: there is no such field")
        try:
            kept[name] = None if value is None else fields[name](value)
        except Refused as error:
            raise Refused(error.code, f"{name}: {error}") from None
    return kept
