"""The reading side: what changed since, what is gone, documents of some days, records by id.

How pages are put together so that none slips through is pages_by_time.py's; within one crowded second, and one crowded
day, records stand by Id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from tieout.connectors.base import Page, Record
from tieout.connectors.pages_by_time import OVERLAP, Dated, Item, in_order, of_days, until_settled
from tieout.connectors.quickbooks import settings
from tieout.connectors.quickbooks.links import LINKED, with_links
from tieout.connectors.quickbooks.query import PAGE_SIZE, STAMP, among, at, on, quoted, select
from tieout.connectors.quickbooks.sign_in import QuickBooksSession
from tieout.connectors.wire import chunks
from tieout.model.errors import ConfigurationFault, Fatal, VendorFault
from tieout.model.raw_records import RawRecords, values_at
from tieout.model.staged import StagedEntity

#: Documents and lists that change data capture tells deletions of.
TOLD = ("Account", "CreditMemo", "Customer", "Invoice", "Item", "Payment", "RefundReceipt", "SalesReceipt")
OBJECTS = (*TOLD, "TaxCode", "TaxRate", "CompanyCurrency", "Term", "ExchangeRate", settings.COMPANY)
DATED = ("Invoice", "CreditMemo", "Payment", "RefundReceipt", "SalesReceipt")
CDC_DAYS = 30  # how far back change data capture goes
CDC_MOST = 1000  # objects of one answer


def known(entity: StagedEntity) -> str:
    """The entity's object. Raises ConfigurationFault when it is not read."""
    if entity.object not in OBJECTS:
        raise ConfigurationFault(f"QuickBooks: {entity.object!r} is not read; known are {', '.join(OBJECTS)}")
    return entity.object


def changed(session: QuickBooksSession, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
    """See base.Source.changed. An entity without `modified` is read whole."""
    obj = known(entity)
    if entity.modified is None or obj in settings.MADE:
        yield Page(settings.whole(session, obj))
        return
    for page in in_order(
        partial(_first_page, session, entity, upto), partial(_crowded, session, entity), PAGE_SIZE, since, upto
    ):
        yield Page(finished(session, obj, page.records))


def _first_page(
    session: QuickBooksSession, entity: StagedEntity, upto: datetime, cursor: datetime | None
) -> list[Item]:
    # The second in which `upto` is belongs to the window up to `upto` itself: that is looked at record by record.
    window = [f"{STAMP} < {at(upto + OVERLAP)}"]
    if cursor is not None:
        window.insert(0, f"{STAMP} >= {at(cursor)}")
    return _items(entity, session.query(select(entity.object, window, order=STAMP), entity.object))


def _crowded(
    session: QuickBooksSession, entity: StagedEntity, moment: datetime, first: list[Item]
) -> tuple[list[Item], bool]:
    """All records of one second that has more than a page of them, by Id; what comes after is still to be read."""
    window = (f"{STAMP} >= {at(moment)}", f"{STAMP} < {at(moment + OVERLAP)}")

    def one_pass() -> Iterator[tuple[str, Item]]:
        for start in range(1, 10_000_000, PAGE_SIZE):
            statement = select(entity.object, window, order="Id", start=start)
            page = _items(entity, session.query(statement, entity.object))
            yield from ((item[1], item) for item in page)
            if len(page) < PAGE_SIZE:
                return

    what = f"{session.connection.name}: {entity.object}: the records of {moment}"
    inside = list(until_settled(one_pass, what).values())
    # The last one stands for the second after: from there the next first page goes on.
    after = _items(
        entity,
        session.query(select(entity.object, [f"{STAMP} >= {at(moment + OVERLAP)}"], order=STAMP), entity.object),
    )
    return [*sorted(inside, key=lambda item: (item[0], item[1])), *after], len(after) < PAGE_SIZE


def _items(entity: StagedEntity, found: Sequence[Record]) -> list[Item]:
    values = values_at(found, [STAMP, entity.key])
    each: Sequence[Record | bytes] = found.bodies if isinstance(found, RawRecords) else found
    return [(_moment(entity, stamp), str(key), one) for (stamp, key), one in zip(values, each, strict=True)]


def finished(session: QuickBooksSession, obj: str, records: Sequence[Record]) -> Sequence[Record]:
    """The records with what stands only in their payments."""
    if obj not in LINKED:
        return records
    return with_links(obj, list(records), lambda ids: by_ids(session, "Payment", ids))


def dated(session: QuickBooksSession, entity: StagedEntity, field: str, first: date, last: date) -> Iterator[Page]:
    """See base.Source.dated: documents by TxnDate (or DueDate)."""
    obj = known(entity)
    if obj not in DATED or field not in ("TxnDate", "DueDate"):
        raise ConfigurationFault(
            f"QuickBooks: {obj} cannot be chosen by {field!r}: only {', '.join(DATED)} can, by TxnDate"
        )
    pages = partial(_of_days, session, entity, field)
    for page in of_days(pages, PAGE_SIZE, first, last, f"{session.connection.name}: {obj}"):
        yield Page(finished(session, obj, page.records))


def _of_days(
    session: QuickBooksSession, entity: StagedEntity, field: str, first: date, last: date, number: int
) -> list[Dated]:
    window = (f"{field} >= {on(first)}", f"{field} <= {on(last)}")
    start = (number - 1) * PAGE_SIZE + 1
    # One day alone is read by number of the page: there the order must be one that no record shares with another.
    statement = select(entity.object, window, order="Id" if first == last else field, start=start)
    found = session.query(statement, entity.object)
    each: Sequence[Record | bytes] = found.bodies if isinstance(found, RawRecords) else found
    made: list[Dated] = []
    for (day, key), one in zip(values_at(found, [field, entity.key]), each, strict=True):
        try:
            made.append((date.fromisoformat(str(day)[:10]), str(key), one))
        except ValueError:
            raise VendorFault(f"QuickBooks: {entity.object} {key}: {field} is no date: {day!r}") from None
    return made


def deleted(
    session: QuickBooksSession, entity: StagedEntity, since: datetime, upto: datetime
) -> Iterator[Sequence[str]]:
    """See base.Source.deleted: from change data capture, one entity a call.

    An answer that is full is gone on from its last time stamp, where its objects stand in order of time.

    Raises:
        Fatal: further back than 30 days, or more changes than change data capture tells: compare the whole entity.
    """
    obj = known(entity)
    if obj not in TOLD:
        return
    oldest = session.raw.http.clock.now() - timedelta(days=CDC_DAYS)
    if since < oldest:
        raise Fatal(
            f"{session.connection.name}: QuickBooks tells deletions of {obj} of the last {CDC_DAYS} days; asked for"
            f" those since {since.isoformat()}: read the entity whole"
        )
    cursor, given = since, set[str]()
    while True:
        found = _captured(session, obj, cursor)
        stamps = [_moment(entity, (one.get("MetaData") or {}).get("LastUpdatedTime")) for one in found]
        gone = [
            str(one.get("Id")) for one, stamp in zip(found, stamps, strict=True)
            if str(one.get("status")).lower() == "deleted" and since <= stamp < upto and str(one.get("Id")) not in given
        ]  # fmt: skip
        given.update(gone)
        if gone:
            yield gone
        if len(found) < CDC_MOST or (stamps and stamps == sorted(stamps) and stamps[-1] >= upto):
            return
        following = stamps[-1].replace(microsecond=0)
        if stamps != sorted(stamps) or following <= cursor:
            raise Fatal(
                f"{session.connection.name}: more than {CDC_MOST} changes of {obj} since {cursor.isoformat()}: change"
                " data capture leaves some out; read the entity whole"
            )
        cursor = following


def _captured(session: QuickBooksSession, obj: str, since: datetime) -> list[dict[str, Any]]:
    stamp = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = session.get("cdc", {"entities": obj, "changedSince": stamp})
    responses = answer.get("CDCResponse") if isinstance(answer, dict) else None
    if not isinstance(responses, list):
        raise VendorFault(f"{session.connection.name}: the answer of change data capture has no CDCResponse")
    found: list[dict[str, Any]] = []
    for response in responses:
        for part in response.get("QueryResponse") or []:
            found += [one for one in part.get(obj) or [] if isinstance(one, dict)]
    return found


def fetch(session: QuickBooksSession, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
    """See base.Source.fetch."""
    obj = known(entity)
    if obj in settings.MADE:
        wanted = set(ids)
        yield Page([one for one in settings.whole(session, obj) if str(one.get(entity.key)) in wanted])
        return
    for some in id_chunks(ids):
        yield Page(finished(session, obj, session.query(select(obj, [among("Id", some)]), obj)))


def by_ids(session: QuickBooksSession, obj: str, ids: Sequence[str]) -> Iterator[Record]:
    """The records with these ids as Intuit gives them."""
    for some in id_chunks(ids):
        yield from session.query(select(obj, [among("Id", some)]), obj)


def id_chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    """Ids in lists that fit into a URL; what is no id of Intuit's is no record either."""
    return chunks([one for one in ids if one.isascii() and one.isalnum()], len(quoted("")) * 3 + 4)


def instant(value: Any) -> datetime | None:
    """Intuit's time stamp (with an offset); None when it is none."""
    try:
        read = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _moment(entity: StagedEntity, stamp: Any) -> datetime:
    moment = instant(stamp)
    if moment is None:
        raise VendorFault(f"QuickBooks: {entity.object}: a record without a readable {STAMP}: {stamp!r}")
    return moment
