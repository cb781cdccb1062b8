"""JSON without loss: numbers come in and go out as Decimal or int, never as float.

Nothing of a vendor is here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tieout.model.raw_records import RawRecords


def loads(body: bytes | str) -> Any:
    """Parsed JSON; every number with a point or an exponent is a Decimal.

    Raises:
        ValueError: not JSON, not UTF-8, NaN or an infinity, an absurdly long integer, nested too deeply.
    """
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def page(body: bytes, name: str) -> Any:
    """As `loads`, of an object whose list `name` holds records: these stay as they came (RawRecords).

    Raises:
        ValueError: as `loads`.
    """
    try:
        body.decode()
        parts = _parts.decode(body)
        bodies = [bytes(record) for record in _list.decode(parts[name])]
        if not all(record.startswith(b"{") for record in bodies):
            return loads(body)
        rest = {key: loads(bytes(part)) for key, part in parts.items() if key != name}
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, RecursionError):
        # No JSON, no such list, or half of a surrogate pair in a text: the other reader says which, or reads it.
        return loads(body)
    return {**rest, name: RawRecords(bodies)}


def page_inside(body: bytes, outer: str, name: str) -> Any:
    """As `page`, where the object with the list stands in another one under `outer`.

    Raises:
        ValueError: as `loads`.
    """
    try:
        body.decode()
        parts = _parts.decode(body)
        inner = page(bytes(parts[outer]), name)
        rest = {key: loads(bytes(part)) for key, part in parts.items() if key != outer}
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, RecursionError):
        return loads(body)
    return {**rest, outer: inner}


_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


def dumps(value: Any) -> bytes:
    """JSON of str, bool, int, Decimal, None, date, datetime, sequences and mappings, in UTF-8.

    A Decimal is written in plain digits with its own scale, so `Decimal("10.00")` is `10.00`.

    Raises:
        TypeError: a value of another type, floats among them.
        ValueError: a Decimal that is no number.
    """
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts).encode()


def _write(value: Any, parts: list[str]) -> None:
    if value is None or isinstance(value, bool | str):
        parts.append(json.dumps(value, ensure_ascii=False))
    elif isinstance(value, int):
        parts.append(str(value))
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} cannot be written as a number")
        parts.append(format(value, "f"))
    elif isinstance(value, datetime | date):
        parts.append(json.dumps(value.isoformat()))
    elif isinstance(value, Mapping):
        _write_all("{}", ((f"{json.dumps(str(key), ensure_ascii=False)}:", item) for key, item in value.items()), parts)
    elif isinstance(value, list | tuple):
        _write_all("[]", (("", item) for item in value), parts)
    else:
        raise TypeError(f"{type(value).__name__} cannot be written exactly as JSON")


def _write_all(brackets: str, items: Any, parts: list[str]) -> None:
    parts.append(brackets[0])
    for number, (label, item) in enumerate(items):
        parts.append(f",{label}" if number else label)
        _write(item, parts)
    parts.append(brackets[1])


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")
