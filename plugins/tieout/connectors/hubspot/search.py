"""Windows by search: ids of the records whose time is in a span, however many, whatever changes meanwhile.

Search gives at most 10,000 results for a question, its pages are by number and shift when records change, and its index
is behind. So only first pages are asked for, each from the time stamp of the last record of the one before; where one
time stamp fills a page, its records are taken one after another by id. What search finds are ids: values are read by
them (records.by_ids).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from tieout.connectors.hubspot.objects import Kind
from tieout.connectors.hubspot.records import EPOCH, MS, moment, results
from tieout.connectors.hubspot.sign_in import HubSpotSession

FOUND = 200  # results of a search page

Hit = tuple[datetime, str]  # the value that it is ordered by, and the record's id
Filter = dict[str, Any]


def found(
    session: HubSpotSession, kind: Kind, name: str, start: datetime, end: datetime, own: Sequence[Filter] = ()
) -> Iterator[list[Hit]]:
    """Pages of the records whose property `name` is in [start, end), by it and id; each record once per value.

    Args:
        own: further conditions, such as a pipeline's.
    """
    cursor, last, seen = _up_to_ms(start), _up_to_ms(end), set[str]()
    while cursor < last:
        hits = _search(session, kind, name, [*own, *_window(name, cursor, last)], name)
        fresh = [hit for hit in hits if hit[1] not in seen]
        if fresh:
            yield fresh
        if len(hits) < FOUND:
            return
        given = seen | {id_ for _, id_ in hits}
        moments = [at for at, _ in hits]
        if moments != sorted(moments) or moments[0] < cursor or moments[-1] >= last:
            # These are not the values that it was ordered by: to go on from the last one could leave records out.
            yield from _by_id(session, kind, name, [*own, *_window(name, cursor, last)], given)
            return
        if moments[-1] > cursor:
            cursor = moments[-1]
            seen = {id_ for at, id_ in hits if at == cursor}
            continue
        yield from _by_id(session, kind, name, [*own, *_window(name, cursor, cursor + MS)], given)
        cursor, seen = cursor + MS, set()


def _by_id(
    session: HubSpotSession, kind: Kind, name: str, filters: Sequence[Filter], given: set[str]
) -> Iterator[list[Hit]]:
    """All that the filters let through but for what was given already; any number of them."""
    after = 0
    while True:
        above = {"propertyName": "hs_object_id", "operator": "GT", "value": str(after)}
        hits = _search(session, kind, name, [*filters, above], "hs_object_id")
        fresh = [hit for hit in hits if hit[1] not in given]
        if fresh:
            yield fresh
        if len(hits) < FOUND:
            return
        after = max(int(id_) for _, id_ in hits)


def _search(session: HubSpotSession, kind: Kind, name: str, filters: Sequence[Filter], order: str) -> list[Hit]:
    answer = session.search(
        kind.object,
        {
            "filterGroups": [{"filters": list(filters)}],
            "sorts": [{"propertyName": order, "direction": "ASCENDING"}],
            "properties": [name],
            "limit": FOUND,
        },
    )
    return [(moment(record, name), str(record["id"])) for record in results(session, kind, answer)]


def _window(name: str, start: datetime, end: datetime) -> list[Filter]:
    return [
        {"propertyName": name, "operator": operator, "value": str((at - EPOCH) // MS)}
        for operator, at in (("GTE", start), ("LT", end))
    ]


def _up_to_ms(at: datetime) -> datetime:
    """The first whole millisecond that is not before it: HubSpot keeps no more."""
    return EPOCH + -(-(at - EPOCH) // MS) * MS
