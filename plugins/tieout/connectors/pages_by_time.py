"""Reading all that changed in an order that survives changes made meanwhile; and all documents of some days.

Pages by number shift when a record that was read already changes: it moves to the end, the rest move up, and one record
slips from the next page into this one unread. So only first pages are read, each from the instant (or day) at which the
one before it ended; page numbers are used within one second (one day) alone, and read again until nothing new appears.

How a page is asked for is the vendor's; nothing of a vendor is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import TypeVar

from tieout.connectors.base import Page, Record
from tieout.model.errors import Retriable
from tieout.model.raw_records import RawRecords

T = TypeVar("T")
#: Modification time, key, record (as it came, where nobody parsed it).
Item = tuple[datetime, str, Record | bytes]
#: Its day, key, record.
Dated = tuple[date, str, Record | bytes]

MOST_PASSES = 5  # over the pages of one crowded second, until a pass finds nothing new
OVERLAP = timedelta(seconds=1)


def in_order(
    first_page: Callable[[datetime | None], list[Item]],
    crowded: Callable[[datetime, list[Item]], tuple[list[Item], bool]],
    size: int,
    since: datetime | None,
    upto: datetime,
) -> Iterator[Page]:
    """Records modified in [since, upto), each once, by (time, key).

    Args:
        first_page: the first `size` records from that second on, by time.
        crowded: all records of that second, of which the given first page is full; and whether nothing follows.
        size: a page of fewer is the last one.
    """
    cursor = since
    seen: dict[str, datetime] = {}  # what was given of the time that the next page reads again
    while True:
        found = first_page(cursor)
        ended = len(found) < size
        if not ended and cursor is not None and second(found[-1][0]) <= second(cursor):
            found, ended = crowded(second(cursor), found)
        fresh = [
            (moment, key, record)
            for moment, key, record in found
            if seen.get(key) != moment and moment < upto and (since is None or moment >= since)
        ]
        fresh.sort(key=lambda item: (item[0], item[1]))
        if fresh:
            yield Page(together([record for _, _, record in fresh]))
        if ended or found[-1][0] >= upto:
            return
        cursor = second(found[-1][0])
        seen = {key: moment for moment, key, _ in found if moment >= cursor - OVERLAP}


def of_days(
    pages: Callable[[date, date, int], list[Dated]], size: int, first: date, last: date, what: str
) -> Iterator[Page]:
    """Records whose day is in [first, last], at least once each.

    Args:
        pages: the records from one day to another, by day, by number of the page (from 1).
        what: the entity, for messages.

    Raises:
        Retriable: a crowded day did not stand still.
    """
    begin, given = first, set[str]()
    while begin <= last:
        found = pages(begin, last, 1)
        ended = len(found) < size
        if not ended and found[-1][0] == begin:
            whole = until_settled(partial(_numbered, pages, begin, size), f"{what}: the records dated {begin}")
            found, ended = list(whole.values()), begin == last
            following = begin + timedelta(days=1)
        else:
            following = last if ended else found[-1][0]
        fresh = [record for _, key, record in found if key not in given]
        if fresh:
            yield Page(together(fresh))
        if ended:
            return
        # Only days that are asked for again can bring a record again.
        given = {key for on, key, _ in found if on >= following}
        begin = following


def _numbered(pages: Callable[[date, date, int], list[Dated]], on: date, size: int) -> Iterator[tuple[str, Dated]]:
    number = 0
    page: list[Dated] = []
    while number == 0 or len(page) == size:
        number += 1
        page = pages(on, on, number)
        yield from ((one[1], one) for one in page)


def until_settled(one_pass: Callable[[], Iterable[tuple[str, T]]], what: str) -> dict[str, T]:
    """What passes over shifting pages find, by key, once a pass brings no new key.

    Raises:
        Retriable: each of MOST_PASSES passes found something new.
    """
    collected: dict[str, T] = dict(one_pass())
    for _ in range(MOST_PASSES):
        before = len(collected)
        collected.update(one_pass())
        if len(collected) == before:
            return collected
    raise Retriable(f"{what} did not stand still")


def together(found: Sequence[Record | bytes]) -> Sequence[Record]:
    """Parsed and raw records as one sequence."""
    raw = RawRecords([one for one in found if isinstance(one, bytes)])
    if len(raw) == len(found):
        return raw
    parsed = iter(raw)
    return [next(parsed) if isinstance(one, bytes) else one for one in found]


def second(moment: datetime) -> datetime:
    """The whole second in which it is."""
    return moment.replace(microsecond=0)
