"""Salesforce record ids: 15 case-sensitive characters, or 18 with a checksum that survives loss of case."""

from __future__ import annotations

from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase, digits

_DIGITS = digits + ascii_uppercase + ascii_lowercase  # base 62, in the order in which Salesforce counts
_CHECK = ascii_uppercase + "012345"
_LETTERS = frozenset(_DIGITS)
_POD = "Ws0"  # characters 4 to 6: the instance of this organisation, and a reserved one


def suffix(id15: str) -> str:
    """The three check characters: one for each group of five, telling which of them are upper case."""
    groups = (id15[start : start + 5] for start in (0, 5, 10))
    return "".join(_CHECK[sum(1 << n for n, char in enumerate(group) if "A" <= char <= "Z")] for group in groups)


@lru_cache(maxsize=200_000)
def normal(text: str) -> str | None:
    """The 18-character form of an id of 15 or 18 characters; None when it is no id (or its checksum is wrong)."""
    if len(text) not in (15, 18) or not _LETTERS.issuperset(text):
        return None
    whole = text[:15] + suffix(text[:15])
    return whole if len(text) == 15 or text == whole else None


def make(prefix: str, number: int) -> str:
    """The id of the `number`-th record of the object with that key prefix."""
    tail = ""
    while number:
        number, rest = divmod(number, 62)
        tail = _DIGITS[rest] + tail
    id15 = prefix + _POD + tail.rjust(9, "0")
    return id15 + suffix(id15)
