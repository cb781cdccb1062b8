"""Vendor records as JSON bytes that PostgreSQL takes: exact numbers, and nothing in a text that jsonb refuses.

The fast way is one call into C for each record. Only a record that PostgreSQL could not store (a NUL character, half of
a surrogate pair, a number that is none) goes through `clean`, which says what it replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

#: What stands in the place of a character that cannot be stored.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
#: jsonb numbers end at 131,072 digits before the point; nothing that is an amount has this many.
MAX_EXPONENT = 1000

#: A record of this size may hold a number that is too long for jsonb.
SUSPICIOUS_BYTES = 64 * 1024

_EXPONENT_SIGN = re.compile(rb"E[+-]")
_EXPONENT = re.compile(rb"[0-9.]E[+-][0-9]")
_NO_NUMBER = re.compile(rb"N(?:aN)")
_INFINITY = re.compile(rb"I(?:nfinity)")

_encoder = msgspec.json.Encoder(decimal_format="number")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Replaced:
    """One value that was changed so that it can be stored: where it stood, and what was wrong in words."""

    path: tuple[str, ...]
    what: str


def is_plain(bodies: Sequence[bytes]) -> bool:
    """May these go to PostgreSQL as they came? They are JSON without halves of pairs (RawRecords).

    A number of thousands of digits that is written in few bytes is not found: PostgreSQL takes it or refuses it.
    """
    return b"\\u0000" not in b"\n".join(bodies) and max(map(len, bodies), default=0) <= SUSPICIOUS_BYTES


def plain(value: Any) -> bytes | None:
    """Any value as JSON; None when it may hold what cannot be stored."""
    try:
        body = _encoder.encode(value)
    except (UnicodeEncodeError, TypeError):
        return None
    return None if _is_suspicious(body) else body


def encode_all(records: Sequence[Mapping[str, Any]]) -> tuple[list[bytes], dict[int, list[Replaced]]]:
    """As `encode` for each; what was replaced by the record's number, of those in which something was.

    What makes a record suspicious is looked for in all of them at once.
    """
    try:
        bodies = [_encoder.encode(record) for record in records]
    except (UnicodeEncodeError, TypeError):
        checked = [encode(record) for record in records]
    else:
        if not _is_suspicious(b"\n".join(bodies)) and max(map(len, bodies), default=0) <= SUSPICIOUS_BYTES:
            return bodies, {}
        checked = [_checked(record, body) for record, body in zip(records, bodies, strict=True)]
    replaced = {number: what for number, (_, what) in enumerate(checked) if what}
    return [body for body, _ in checked], replaced


def encode(record: Mapping[str, Any]) -> tuple[bytes, list[Replaced]]:
    """The record as JSON in UTF-8, and what had to be replaced in it (nearly always nothing)."""
    try:
        body = _encoder.encode(record)
    except (UnicodeEncodeError, TypeError):
        return encode_clean(record)
    return _checked(record, body)


def _checked(record: Mapping[str, Any], body: bytes) -> tuple[bytes, list[Replaced]]:
    # What only looks like it (an escaped backslash before u0000, a person named NaN) comes out the same.
    if len(body) > SUSPICIOUS_BYTES or _is_suspicious(body):
        return encode_clean(record)
    return body, []


def _is_suspicious(text: bytes) -> bool:
    """Each question begins with a single byte, which is looked for at the speed of memory."""
    return (
        (b"\\" in text and b"\\u0000" in text)
        or (_EXPONENT_SIGN.search(text) is not None and _EXPONENT.search(text) is not None)
        or _NO_NUMBER.search(text) is not None
        or _INFINITY.search(text) is not None
    )


def encode_clean(record: Mapping[str, Any]) -> tuple[bytes, list[Replaced]]:
    """As `encode`, by way of `clean`: for a record that was refused."""
    replaced: list[Replaced] = []
    return _encoder.encode(clean(record, (), replaced)), replaced


def clean(value: Any, path: tuple[str, ...], replaced: list[Replaced]) -> Any:
    """A copy of the value with everything that jsonb refuses replaced; adds to `replaced` what that was."""
    if isinstance(value, str):
        text = clean_text(value)
        if text != value:
            replaced.append(Replaced(path, "characters that cannot be stored (NUL or half of a pair)"))
        return text
    if isinstance(value, Mapping):
        return {clean_text(str(key)): clean(item, (*path, str(key)), replaced) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [clean(item, path, replaced) for item in value]
    if isinstance(value, float | Decimal) and not _is_storable(value):
        return str(value)  # the conversion of the column that declares it will name it
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value
    replaced.append(Replaced(path, f"a {type(value).__name__}, which is no JSON"))
    return clean_text(str(value))


def clean_text(text: str) -> str:
    """The text with NUL and lone surrogates replaced."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def _is_storable(number: float | Decimal) -> bool:
    exact = Decimal(number) if isinstance(number, float) else number
    if not exact.is_finite():
        return False
    exponent = exact.as_tuple().exponent
    return isinstance(exponent, int) and abs(exponent) <= MAX_EXPONENT and abs(exact.adjusted()) <= MAX_EXPONENT
