"""An index in order of a value, for ranges and for paging in that order without a sort."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.state import Record

MAX_ID = 18  # digits; Python itself refuses to read numbers of thousands of digits


class Ordered:
    """Ids in order of (value, number of the id). Kept up by the table, see `Table.attach`."""

    def __init__(self, key: Callable[[Record], Any]) -> None:
        self._key = key
        self._entries: list[tuple[Any, int, str]] = []
        self._entry_of: dict[str, tuple[Any, int, str]] = {}

    def add(self, id_: str, record: Record) -> None:
        self.remove(id_)
        entry = (self._key(record), number(id_), id_)
        self._entry_of[id_] = entry
        insort(self._entries, entry)

    def remove(self, id_: str) -> None:
        entry = self._entry_of.pop(id_, None)
        if entry is not None:
            del self._entries[bisect_left(self._entries, entry)]

    def span(self, low: tuple[Any, bool] | None, high: tuple[Any, bool] | None) -> range:
        """The places between two bounds, each (value, whether the value itself is inside)."""
        first, last = 0, len(self._entries)
        if low is not None:
            first = (bisect_left if low[1] else bisect_right)(self._entries, low[0], key=_value)
        if high is not None:
            last = (bisect_right if high[1] else bisect_left)(self._entries, high[0], key=_value)
        return range(first, max(first, last))

    def ids(self, places: range) -> Iterator[str]:
        """The ids at these places, in their order."""
        return (self._entries[place][2] for place in places)


def _value(entry: tuple[Any, int, str]) -> Any:
    return entry[0]


def number(id_: str) -> int:
    """An id as the number that it is ordered by; US tax codes have words for ids."""
    return int(id_) if id_.isdecimal() else -1
