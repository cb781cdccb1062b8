"""The reading side: what changed since, in an order that survives changes made meanwhile; records by id.

How pages are put together so that none slips through is pages_by_time.py's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.base import Page, Record
from tieout.connectors.pages_by_time import MOST_PASSES, OVERLAP, Dated, Item, in_order, of_days, second
from tieout.connectors.wire import chunks
from tieout.connectors.xero.dates import day, header, instant
from tieout.connectors.xero.sign_in import XeroSession
from tieout.model.errors import ConfigurationFault, Retriable, VendorFault
from tieout.model.raw_records import RawRecords, values_at
from tieout.model.staged import StagedEntity

PAGE_SIZE = 1000  # Xero's most


_FIELD = re.compile(r"[A-Za-z]{1,40}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How one entity is listed.

    Attributes:
        answer: the key of the list in the answer.
        paged: takes `page`, `pageSize`, `order` and If-Modified-Since.
        since: takes If-Modified-Since.
        by: how records are fetched by id: `ids` parameter, `guid` or `text` in a where, or `all` of them.
    """

    answer: str
    paged: bool = False
    since: bool = False
    by: str = "all"
    params: Mapping[str, str] | None = None


ENDPOINTS: dict[str, Endpoint] = {
    "Contacts": Endpoint("Contacts", paged=True, since=True, by="ids", params={"includeArchived": "true"}),
    "Invoices": Endpoint(
        "Invoices", paged=True, since=True, by="ids", params={"includeArchived": "true", "unitdp": "4"}
    ),
    "CreditNotes": Endpoint("CreditNotes", paged=True, since=True, by="guid", params={"unitdp": "4"}),
    "Payments": Endpoint("Payments", paged=True, since=True, by="guid"),
    "Overpayments": Endpoint("Overpayments", paged=True, since=True, by="guid", params={"unitdp": "4"}),
    "Prepayments": Endpoint("Prepayments", paged=True, since=True, by="guid", params={"unitdp": "4"}),
    "Items": Endpoint("Items", since=True, params={"unitdp": "4"}),
    "Accounts": Endpoint("Accounts", since=True),
    "TaxRates": Endpoint("TaxRates"),
    "Currencies": Endpoint("Currencies"),
    "Organisation": Endpoint("Organisations"),
}


def endpoint(entity: StagedEntity) -> Endpoint:
    """How the entity is listed. Raises ConfigurationFault when it is not read."""
    if entity.object not in ENDPOINTS:
        raise ConfigurationFault(f"Xero: {entity.object!r} is not read; known are {', '.join(ENDPOINTS)}")
    return ENDPOINTS[entity.object]


def changed(session: XeroSession, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
    """See base.Source.changed. An entity without `modified` is read whole."""
    place = endpoint(entity)
    if entity.modified is None:
        yield Page(records(session.get(entity.object, _params(place)), place))
    elif not place.paged:
        # No order can be asked for with these, and they are few: one answer has them all.
        found = records(session.get(entity.object, _params(place), _since(place, since)), place)
        stamp = str(entity.modified)
        inside = [(moment, one) for one in found if _inside(moment := _moment(entity, one.get(stamp)), since, upto)]
        inside.sort(key=lambda pair: (pair[0], str(pair[1].get(entity.key))))
        yield Page([record for _, record in inside])
    else:
        yield from _in_order(session, entity, place, since, upto)


def _in_order(
    session: XeroSession, entity: StagedEntity, place: Endpoint, since: datetime | None, upto: datetime
) -> Iterator[Page]:
    return in_order(
        lambda cursor: _page(session, entity, place, cursor, 1),
        lambda cursor, first: _crowded_second(session, entity, place, cursor, first),
        PAGE_SIZE,
        since,
        upto,
    )


def _crowded_second(
    session: XeroSession, entity: StagedEntity, place: Endpoint, cursor: datetime, first: list[Item]
) -> tuple[list[Item], bool]:
    """More records than a page in the cursor's second: all up to the first page that reaches past it, by number.

    Read again until a pass finds nothing new, because numbers shift. The second value says that nothing follows.

    Raises:
        Retriable: each pass found something new.
    """
    within = second(cursor)
    collected: dict[str, Item] = {}
    for _ in range(MOST_PASSES):
        before = dict(collected)
        number, page = 1, first
        while len(page) == PAGE_SIZE and second(page[-1][0]) <= within:
            collected.update({item[1]: item for item in page})
            number += 1
            page = _page(session, entity, place, cursor, number)
        collected.update({item[1]: item for item in page})
        if collected.keys() == before.keys():
            return sorted(collected.values(), key=lambda item: (item[0], item[1])), len(page) < PAGE_SIZE
        first = _page(session, entity, place, cursor, 1)
    raise Retriable(f"{session.connection.name}: {entity.object}: the records of {within} did not stand still")


def _page(
    session: XeroSession, entity: StagedEntity, place: Endpoint, since: datetime | None, number: int
) -> list[Item]:
    params = {
        **_params(place),
        "page": str(number),
        "pageSize": str(PAGE_SIZE),
        "order": f"{entity.modified} ASC",
    }
    answer = session.get(entity.object, params, _since(place, since), lambda body: exact_json.page(body, place.answer))
    found = records(answer, place)
    values = values_at(found, [str(entity.modified), entity.key])
    each: Sequence[Record | bytes] = found.bodies if isinstance(found, RawRecords) else found
    return [(_moment(entity, stamp), str(key), one) for (stamp, key), one in zip(values, each, strict=True)]


def dated(session: XeroSession, entity: StagedEntity, field: str, first: date, last: date) -> Iterator[Page]:
    """See base.Source.dated. By the same rule as `changed`: first pages only, each from the day of the last record of
    the one before; page numbers within one day alone."""
    place = endpoint(entity)
    if not place.paged:
        raise ConfigurationFault(f"Xero: {entity.object} cannot be read by a date: only documents with pages can")
    yield from of_days(
        lambda begin, end, number: _of_days(session, entity, place, field, begin, end, number),
        PAGE_SIZE,
        first,
        last,
        f"{session.connection.name}: {entity.object}",
    )


def _of_days(
    session: XeroSession, entity: StagedEntity, place: Endpoint, field: str, first: date, last: date, number: int
) -> list[Dated]:
    if not _FIELD.fullmatch(field):
        raise ConfigurationFault(f"Xero: {field!r} is not the name of a date that {entity.object} can be chosen by")
    params = {
        **_params(place),
        "page": str(number),
        "pageSize": str(PAGE_SIZE),
        "order": f"{field} ASC",
        "where": f"{field}>={_in_where(first)} AND {field}<={_in_where(last)}",
    }
    answer = session.get(entity.object, params, {}, lambda body: exact_json.page(body, place.answer))
    found = records(answer, place)
    each: Sequence[Record | bytes] = found.bodies if isinstance(found, RawRecords) else found
    made: list[Dated] = []
    for (on, key), one in zip(values_at(found, [field, entity.key]), each, strict=True):
        if (dated_on := day(on)) is None:
            raise VendorFault(f"Xero: {entity.object} {key}: {field} is no date: {on!r}")
        made.append((dated_on, str(key), one))
    return made


def _in_where(on: date) -> str:
    return f"DateTime({on.year}, {on.month:02}, {on.day:02})"


def fetch(session: XeroSession, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
    """See base.Source.fetch."""
    place = endpoint(entity)
    if place.by == "all":
        wanted = set(ids)
        found = records(session.get(entity.object, _params(place)), place)
        yield Page([record for record in found if str(record.get(entity.key)) in wanted])
        return
    for part in _by_ids(session, entity.object, entity.key, ids):
        yield Page(part)


def by_ids(session: XeroSession, obj: str, key: str, ids: Sequence[str]) -> Iterator[Record]:
    """The records with these ids, archived ones too; `key` is the field of the id."""
    for part in _by_ids(session, obj, key, ids):
        yield from part


def _by_ids(session: XeroSession, obj: str, key: str, ids: Sequence[str]) -> Iterator[list[Record]]:
    as_list = ENDPOINTS[obj].by == "ids"
    known = [text for text in ids if is_guid(text)]  # what is no id is no record either
    for some in chunks(known, 0 if as_list else len(key) + 14):
        where = " OR ".join(f"{key}=={guid(text)}" for text in some)
        yield listed(session, obj, {"IDs": ",".join(some)} if as_list else {"where": where})


def listed(session: XeroSession, obj: str, chosen: Mapping[str, str]) -> list[Record]:
    """The records that `where`, `IDs` or the like choose, with their lines; archived ones too."""
    place = ENDPOINTS[obj]
    found: list[Record] = []
    for number in range(1, 1000):
        params = {**_params(place), **chosen, "page": str(number), "pageSize": str(PAGE_SIZE)}
        page = records(session.get(obj, params), place)
        found += page
        if len(page) < PAGE_SIZE:
            return found
    raise VendorFault(f"Xero: {obj}: a million records for one question")


def records(answer: Mapping[str, Any], place: Endpoint) -> Sequence[Record]:
    """The list of an answer. Raises VendorFault when it has none."""
    found = answer.get(place.answer)
    if isinstance(found, RawRecords):
        return found
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise VendorFault(f"Xero's answer has no list {place.answer!r}")
    return found


def is_guid(text: str) -> bool:
    """Whether the text has the form of one of Xero's ids."""
    return len(text) == 36 and all(char in "0123456789abcdefABCDEF-" for char in text)


def guid(text: str) -> str:
    """A GUID as it stands in a where. Raises ValueError for anything else."""
    if not is_guid(text):
        raise ValueError(f"not a Xero id: {text[:40]!r}")
    return f'Guid("{text.lower()}")'


def text(value: str) -> str:
    """A text as it stands in a where."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _moment(entity: StagedEntity, stamp: Any) -> datetime:
    moment = instant(stamp)
    if moment is None:
        raise VendorFault(f"Xero: {entity.object}: a record without a readable {entity.modified}")
    return moment


def _inside(moment: datetime, since: datetime | None, upto: datetime) -> bool:
    # Xero filters by whole seconds: what it gives of the second before `since` is left out.
    return moment < upto and (since is None or moment >= since)


def _since(place: Endpoint, since: datetime | None) -> dict[str, str]:
    # Whether If-Modified-Since includes its own second is nowhere written.
    return {"If-Modified-Since": header(since - OVERLAP)} if since is not None and place.since else {}


def _params(place: Endpoint) -> dict[str, str]:
    return dict(place.params or {})
