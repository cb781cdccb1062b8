"""The reading side: what changed by SystemModstamp, what was deleted, records by id. Pages as the API gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.base import Page, Record
from tieout.connectors.salesforce import bulk, soql
from tieout.connectors.session import Session
from tieout.model.errors import Fatal, PermissionDenied, VendorFault
from tieout.model.raw_records import RawRecords
from tieout.model.staged import StagedEntity

BATCH = 2000  # the most that one page can have; also the default
BULK_FROM = 50_000  # records of one window from which a job is cheaper than pages (25 calls)
IDS_AT_ONCE = 200  # ids in one IN: the query stays well under the 16 KB of a URL
DELETED_DAYS = 15
_NEXT = re.compile(r"/services/data/v\d{1,3}\.\d/query/[A-Za-z0-9-]{1,100}")
_HEADERS = {"Sforce-Query-Options": f"batchSize={BATCH}"}


def changed(
    session: Session, data: str, entity: StagedEntity, since: datetime | None, upto: datetime, bulk_from: int
) -> Iterator[Page]:
    """See base.Source.changed. Windows of `bulk_from` records or more are read by a bulk job."""
    order = [entity.modified, entity.key] if entity.modified else [entity.key]
    query = soql.select(soql.columns(entity), entity.object, soql.window(entity, since, upto), order)
    yield from _asked_or_bulk(session, data, query, entity, bulk_from)


def dated(
    session: Session, data: str, entity: StagedEntity, field: str, first: date, last: date, parent: str | None,
    bulk_from: int,
) -> Iterator[Page]:  # fmt: skip
    """See base.Source.dated. The pages of one query are of one moment: what changes meanwhile moves no other record."""
    name = field if parent is None else soql.above(parent, field)
    query = soql.select(soql.columns(entity), entity.object, soql.days(name, first, last), [entity.key])
    yield from _asked_or_bulk(session, data, query, entity, bulk_from)


def _asked_or_bulk(session: Session, data: str, query: str, entity: StagedEntity, bulk_from: int) -> Iterator[Page]:
    first = _asked(session, f"{data}/query", query, entity)
    # The first page tells how many there are: the count costs no call of its own.
    if first["totalSize"] >= bulk_from:
        yield from bulk.query(session, data, query, entity)
        return
    yield from _pages(session, first, entity)


def fetch(session: Session, data: str, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
    """See base.Source.fetch."""
    known = [soql.id_18(text) for text in ids if soql.is_id(text)]  # what is no id is no record either
    for start in range(0, len(known), IDS_AT_ONCE):
        wanted = known[start : start + IDS_AT_ONCE]
        conditions = [soql.among(entity.key, wanted)]
        query = soql.select(soql.columns(entity), entity.object, conditions, [entity.key])
        yield from _pages(session, _asked(session, f"{data}/query", query, entity), entity)


def deleted(
    session: Session, data: str, entity: StagedEntity, since: datetime, upto: datetime, now: datetime
) -> Iterator[Sequence[str]]:
    """See base.Source.deleted: `/deleted`, and the recycle bin for objects that are not replicated."""
    if since < now - timedelta(days=DELETED_DAYS):
        raise Fatal(
            f"{session.name}: {entity.object}: deletions before {now - timedelta(days=DELETED_DAYS):%Y-%m-%d} are"
            f" not kept (asked since {since:%Y-%m-%d}); read the object whole once and compare"
        )
    # Both ends are cut to the minute by Salesforce, and must be a minute apart.
    start = since.astimezone(UTC).replace(second=0, microsecond=0)
    end = max(upto.astimezone(UTC).replace(second=0, microsecond=0), start) + timedelta(minutes=1)
    path = f"{data}/sobjects/{soql.identifier(entity.object)}/deleted/"
    window = {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
    try:
        answer = session.get(path, window)
    except (VendorFault, PermissionDenied):
        # Too many for one answer, or an object that is not replicated.
        yield from _from_bin(session, data, entity, since, upto)
        return
    yield [soql.given_id(item.get("id")) for item in _records(answer, "deletedRecords", entity)]


def _from_bin(
    session: Session, data: str, entity: StagedEntity, since: datetime, upto: datetime
) -> Iterator[Sequence[str]]:
    conditions = ["IsDeleted = true", *soql.window(entity, since, upto)]
    query = soql.select([entity.key], entity.object, conditions, [entity.key])
    first = _asked(session, f"{data}/queryAll", query, entity)
    for page in _pages(session, first, entity):
        yield [soql.given_id(record.get(entity.key)) for record in page.records]


def _asked(session: Session, path: str, query: str, entity: StagedEntity) -> dict[str, Any]:
    return _page(session.get(path, {"q": query}, _HEADERS, parse=_parse), entity)


def _parse(body: bytes) -> Any:
    return exact_json.page(body, "records")


def query_all(session: Session, data: str, query: str) -> list[Record]:
    """All records of a small query."""
    answer = session.get(f"{data}/query", {"q": query}, _HEADERS)
    if not isinstance(answer, dict) or not isinstance(answer.get("records"), list):
        raise VendorFault(f"{session.name}: the answer to a query has no records")
    records: list[Record] = list(answer["records"])
    while not answer.get("done", True):
        answer = session.get(_next(session, answer), headers=_HEADERS)
        records += answer["records"]
    return records


def _pages(session: Session, page: dict[str, Any], entity: StagedEntity) -> Iterator[Page]:
    while True:
        yield Page(page["records"])
        if page.get("done", True):
            return
        page = _page(session.get(_next(session, page), headers=_HEADERS, parse=_parse), entity)


def _next(session: Session, page: dict[str, Any]) -> str:
    # Only the part below the instance is taken: whatever host the answer names, the token goes nowhere else.
    found = _NEXT.search(str(page.get("nextRecordsUrl", "")))
    if found is None:
        raise VendorFault(f"{session.name}: a page that is not the last has no nextRecordsUrl that can be followed")
    return found[0]


def _page(answer: Any, entity: StagedEntity) -> dict[str, Any]:
    _records(answer, "records", entity)
    if not isinstance(answer.get("totalSize"), int):
        raise VendorFault(f"Salesforce's answer for {entity.object} has no totalSize")
    page: dict[str, Any] = answer
    return page


def _records(answer: Any, name: str, entity: StagedEntity) -> Sequence[Record]:
    records = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(records, list | RawRecords):
        raise VendorFault(f"Salesforce's answer for {entity.object} has no list {name!r}")
    return records
