"""The reading side: what changed since, by list or by search; records by id; by a date.

Search gives at most 10,000 results for a question, its pages are by number and shift when records change, and its index
is behind. So only first pages are read, each from the time stamp of the last record of the one before; where one time
stamp fills a page, its records are read by id. What search finds are ids: the records are read by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tieout.connectors.base import Page, Record
from tieout.connectors.hubspot import associations
from tieout.connectors.hubspot.objects import (
    PARENT,
    Kind,
    Wanted,
    kind_of,
    modified_property,
    pipeline_properties,
    wanted,
)
from tieout.connectors.hubspot.pipelines import Pipelines
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.model.errors import ConfigurationFault, VendorFault
from tieout.model.staged import StagedEntity

PAGE = 100  # records of a list page and of a batch read
FOUND = 200  # results of a search page
GATHERED = 1000  # records whose associations are read together
MOST_QUERY = 4000  # characters of a list's query; with more properties, only ids are listed
INDEX_LAG, MOST_INDEX_LAG = 60.0, 240.0  # seconds; the extraction's windows reach 300 s behind the last one
#: A day, whatever the time zone in which the instant was entered, begins and ends within this of UTC's.
ANY_ZONE = timedelta(hours=14)
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Hit = tuple[datetime, str]  # of a search: the value that it is ordered by, and the record's id


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading needs.

    Attributes:
        lag: a window ends so long before now: what changed since is in the index by the next run.
        look_back: windows begin so long before `since`, for portals whose index is further behind than 5 minutes.
    """

    session: HubSpotSession
    pipelines: Pipelines
    lag: timedelta
    look_back: timedelta


def changed(reader: Reader, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
    """See base.Source.changed. Whole by the list, which is never behind; since a time by search."""
    kind = kind_of(entity.object)
    want = wanted(entity, kind)
    if since is None or entity.modified is None:
        name = None if entity.modified is None else modified_property(entity, kind)
        for records in _listed(reader, kind, want):
            page = [record for record in records if name is None or _moment(record, name) < upto]
            yield from _finished(reader, kind, want, page)
        return
    name = modified_property(entity, kind)
    end = min(upto, reader.session.clock.now() - reader.lag)
    for hits in _gathered(found(reader, kind, name, since - reader.look_back, end)):
        records = by_ids(reader.session, kind, want, [id_ for _, id_ in hits])
        records.sort(key=lambda record: (_moment(record, name), int(record["id"])))
        yield from _finished(reader, kind, want, records)


def fetch(reader: Reader, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
    """See base.Source.fetch."""
    kind = kind_of(entity.object)
    want = wanted(entity, kind)
    known = list(dict.fromkeys(id_ for id_ in ids if is_id(id_)))  # what is no id is no record either
    for start in range(0, len(known), GATHERED):
        some = known[start : start + GATHERED]
        # The old id of a merged record brings the record that it was merged into: that is not the one asked for.
        records = [one for one in by_ids(reader.session, kind, want, some) if one["id"] in some]
        yield from _finished(reader, kind, want, records)


def dated(
    reader: Reader, entity: StagedEntity, field: str, first: date, last: date, parent: str | None
) -> Iterator[Page]:
    """See base.Source.dated. By search: a record that was made within the last seconds may not be in the index yet.

    A property that holds an instant gives the records of these days in any time zone, so a few more than asked for.
    """
    kind = kind_of(entity.object)
    want = wanted(entity, kind)
    name = field.removeprefix("properties.")
    if name == field:
        raise ConfigurationFault(f"HubSpot: {field!r} of {entity.object}: only a property can be searched for")
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    above = kind if parent is None else Kind(_object_above(entity, kind, parent))
    if _holds_instants(reader.session, above, name):
        start, end = start - ANY_ZONE, end + ANY_ZONE
    for hits in _gathered(found(reader, above, name, start, end)):
        ids = [id_ for _, id_ in hits]
        if parent is not None:
            below = associations.others(reader.session, above.object, kind.object, ids)
            ids = list(dict.fromkeys(id_ for pairs in below.values() for id_, _ in pairs))
        for at in range(0, len(ids), GATHERED):
            records = by_ids(reader.session, kind, want, ids[at : at + GATHERED])
            yield from _finished(reader, kind, want, records)


def found(
    reader: Reader, kind: Kind, name: str, start: datetime, end: datetime, filters: Sequence[dict[str, str]] = ()
) -> Iterator[list[Hit]]:
    """Pages of the records whose property `name` is in [start, end), by it and id; each record once per value."""
    own = [*_in_pipeline(reader, kind), *filters]
    cursor, seen = _up_to_ms(start), set[str]()
    while cursor < end:
        window = [_filter(name, "GTE", cursor), _filter(name, "LT", _up_to_ms(end))]
        hits = _search(reader.session, kind, name, [*own, *window], name)
        fresh = [hit for hit in hits if hit[1] not in seen]
        if fresh:
            yield fresh
        if len(hits) < FOUND:
            return
        if hits[-1][0] > cursor:
            cursor = hits[-1][0]
            seen = {id_ for moment, id_ in hits if moment == cursor}
            continue
        # One time stamp fills a page: its records, of which there may be any number, one after another by id.
        given = {id_ for _, id_ in hits} | seen
        yield from _of_one_moment(reader.session, kind, name, own, cursor, given)
        cursor, seen = cursor + _MS, set()


def _of_one_moment(
    session: HubSpotSession, kind: Kind, name: str, own: Sequence[dict[str, str]], moment: datetime, given: set[str]
) -> Iterator[list[Hit]]:
    window = [_filter(name, "GTE", moment), _filter(name, "LT", moment + _MS)]
    after = 0
    while True:
        above = {"propertyName": "hs_object_id", "operator": "GT", "value": str(after)}
        hits = _search(session, kind, name, [*own, *window, above], "hs_object_id")
        fresh = [hit for hit in hits if hit[1] not in given]
        if fresh:
            yield fresh
        if len(hits) < FOUND:
            return
        after = max(int(id_) for _, id_ in hits)


def _search(session: HubSpotSession, kind: Kind, name: str, filters: Sequence[dict[str, str]], order: str) -> list[Hit]:
    answer = session.search(
        kind.object,
        {
            "filterGroups": [{"filters": list(filters)}],
            "sorts": [{"propertyName": order, "direction": "ASCENDING"}],
            "properties": [name],
            "limit": FOUND,
        },
    )
    return [(_moment(record, name), str(record["id"])) for record in results(session, kind, answer)]


def by_ids(session: HubSpotSession, kind: Kind, want: Wanted, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The records with these ids, as they are now, in their order; ids that are gone or archived are missing."""
    records: list[dict[str, Any]] = []
    place = {id_: at for at, id_ in enumerate(ids)}
    for start in range(0, len(ids), PAGE):
        inputs = [{"id": id_} for id_ in ids[start : start + PAGE]]
        body = {"inputs": inputs, "properties": list(want.properties), "propertiesWithHistory": []}
        records += results(session, kind, session.ask(f"/crm/v3/objects/{kind.object}/batch/read", body))
    # Results come in any order; the record that another was merged into was not asked for, and comes last.
    return sorted(records, key=lambda record: place.get(record["id"], len(ids)))


def results(session: HubSpotSession, kind: Kind, answer: Record) -> list[dict[str, Any]]:
    """The records of an answer. Raises VendorFault when it has none."""
    found = answer.get("results")
    if not isinstance(found, list) or not all(isinstance(one, dict) and is_id(str(one.get("id"))) for one in found):
        raise VendorFault(f"{session.name}: the answer for {kind.object} has no results with ids")
    return [{**one, "id": str(one["id"])} for one in found]


def is_id(text: str) -> bool:
    """Whether the text has the form of one of HubSpot's ids."""
    return text.isascii() and text.isdigit() and len(text) <= 20


def _listed(reader: Reader, kind: Kind, want: Wanted) -> Iterator[list[dict[str, Any]]]:
    """All records by id, in lists of GATHERED: one that changes meanwhile keeps its place, a new one is last."""
    session, path = reader.session, f"/crm/v3/objects/{kind.object}"
    params = {"limit": str(PAGE), "archived": "false", "properties": ",".join(want.properties)}
    only_ids = len(urlencode(params)) > MOST_QUERY
    if only_ids:
        params["properties"] = "hs_object_id"
    pipeline = {one["value"] for one in _in_pipeline(reader, kind)}
    gathered: list[dict[str, Any]] = []
    while True:
        answer = session.get(path, params)
        page = results(session, kind, answer)
        if only_ids and page:
            page = by_ids(session, kind, want, [one["id"] for one in page])
        gathered += [one for one in page if not pipeline or _pipeline_of(kind, one) in pipeline]
        after = ((answer.get("paging") or {}).get("next") or {}).get("after")
        if len(gathered) >= GATHERED or (gathered and not after):
            yield gathered
            gathered = []
        if not after:
            return
        params["after"] = str(after)


def _finished(reader: Reader, kind: Kind, want: Wanted, records: Sequence[dict[str, Any]]) -> Iterator[Page]:
    """The records with what stands beside their properties; those without the parent they should have are left out."""
    ids = [record["id"] for record in records]
    links: dict[str, dict[str, str | None]] = {id_: {} for id_ in ids}
    for to in want.associations if records else ():
        others = associations.others(reader.session, kind.object, to, ids)
        for id_ in ids:
            links[id_][to] = associations.only(others.get(id_, []))
            if to == kind.parent:
                links[id_][PARENT] = links[id_][to]
    page = []
    for record in records:
        own = links[record["id"]]
        if kind.parent is not None and own[PARENT] is None:
            continue
        made = {**record, "associations": own} if want.associations else record
        if want.stage:
            stage = reader.pipelines.stage_of(kind.object, record.get("properties") or {})
            made = {**made, "stage": stage.as_record() if stage else {}}
        page.append(made)
    if page:
        yield Page(page)


def _gathered(pages: Iterator[list[Hit]]) -> Iterator[list[Hit]]:
    gathered: list[Hit] = []
    for hits in pages:
        gathered += hits
        if len(gathered) >= GATHERED:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def _in_pipeline(reader: Reader, kind: Kind) -> list[dict[str, str]]:
    if kind.pipeline is None:
        return []
    name = pipeline_properties(kind.object)[0]
    return [{"propertyName": name, "operator": "EQ", "value": reader.pipelines.find(kind.object, kind.pipeline).id}]


def _pipeline_of(kind: Kind, record: Record) -> str:
    return str((record.get("properties") or {}).get(pipeline_properties(kind.object)[0]))


def _object_above(entity: StagedEntity, kind: Kind, parent: str) -> str:
    name = parent.removeprefix("associations.")
    above = kind.parent if name == PARENT else name
    if name == parent or above is None:
        raise ConfigurationFault(f"HubSpot: {parent!r} of {entity.object}: expected associations.<object>")
    return above


def _holds_instants(session: HubSpotSession, kind: Kind, name: str) -> bool:
    type_ = session.get(f"/crm/v3/properties/{kind.object}/{name}").get("type")
    if type_ not in ("date", "datetime"):
        raise ConfigurationFault(f"HubSpot: {kind.object}.{name} is of type {type_}; expected date or datetime")
    return bool(type_ == "datetime")


def _filter(name: str, operator: str, moment: datetime) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str((moment - _EPOCH) // _MS)}


def _up_to_ms(moment: datetime) -> datetime:
    """The first whole millisecond that is not before it: HubSpot keeps no more."""
    return _EPOCH + -(-(moment - _EPOCH) // _MS) * _MS


def _moment(record: Record, name: str) -> datetime:
    """The value of a date or time of a record; a date is its midnight in UTC."""
    found = (record.get("properties") or {}).get(name)
    if found in (None, "") and name in ("hs_lastmodifieddate", "lastmodifieddate"):
        found = record.get("updatedAt")
    text = str(found)
    try:
        if text.isascii() and text.isdigit():
            return _EPOCH + int(text) * _MS
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise VendorFault(f"HubSpot: record {record.get('id')}: {name} is no time: {text[:40]!r}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
