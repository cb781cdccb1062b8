"""The reading side: what changed since, by list or by search; records by id; by a date.

How a window is searched through is in search.py; here the records get what stands beside their properties.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tieout.connectors.base import Page
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
from tieout.connectors.hubspot.records import PAGE, by_ids, is_id, moment, results
from tieout.connectors.hubspot.search import Filter, Hit, found
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.model.errors import ConfigurationFault
from tieout.model.staged import StagedEntity

GATHERED = 1000  # records whose associations are read together
MOST_QUERY = 4000  # characters of a list's query; with more properties, only ids are listed
INDEX_LAG, MOST_INDEX_LAG = 60.0, 240.0  # seconds; the extraction's windows reach 300 s behind the last one
#: A day, whatever the time zone in which the instant was entered, begins and ends within this of UTC's.
ANY_ZONE = timedelta(hours=14)


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
            page = [record for record in records if name is None or moment(record, name) < upto]
            yield from _finished(reader, kind, want, page)
        return
    name = modified_property(entity, kind)
    end = min(upto, reader.session.clock.now() - reader.lag)
    for hits in _gathered(found(reader.session, kind, name, since - reader.look_back, end, in_pipeline(reader, kind))):
        records = _of_kind(reader, kind, by_ids(reader.session, kind, want, [id_ for _, id_ in hits]))
        records.sort(key=lambda record: (moment(record, name), int(record["id"])))
        yield from _finished(reader, kind, want, records)


def fetch(reader: Reader, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
    """See base.Source.fetch."""
    kind = kind_of(entity.object)
    want = wanted(entity, kind)
    known = list(dict.fromkeys(id_ for id_ in ids if is_id(id_)))  # what is no id is no record either
    for start in range(0, len(known), GATHERED):
        some = known[start : start + GATHERED]
        records = _of_kind(reader, kind, by_ids(reader.session, kind, want, some))
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
    for hits in _gathered(found(reader.session, above, name, start, end, in_pipeline(reader, above))):
        ids = [id_ for _, id_ in hits]
        if parent is not None:
            below = associations.others(reader.session, above.object, kind.object, ids)
            ids = list(dict.fromkeys(id_ for pairs in below.values() for id_, _ in pairs))
        for at in range(0, len(ids), GATHERED):
            records = _of_kind(reader, kind, by_ids(reader.session, kind, want, ids[at : at + GATHERED]))
            yield from _finished(reader, kind, want, records)


def _listed(reader: Reader, kind: Kind, want: Wanted) -> Iterator[list[dict[str, Any]]]:
    """All records by id, in lists of GATHERED: one that changes meanwhile keeps its place, a new one is last."""
    in_pipeline(reader, kind)  # one that is not there is told before anything is read
    session, path = reader.session, f"/crm/v3/objects/{kind.object}"
    params = {"limit": str(PAGE), "archived": "false", "properties": ",".join(want.properties)}
    only_ids = len(urlencode(params)) > MOST_QUERY
    if only_ids:
        params["properties"] = "hs_object_id"
    gathered: list[dict[str, Any]] = []
    while True:
        answer = session.get(path, params)
        page = results(session, kind, answer)
        if only_ids and page:
            page = by_ids(session, kind, want, [one["id"] for one in page])
        gathered += _of_kind(reader, kind, page)
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


def in_pipeline(reader: Reader, kind: Kind, operator: str = "EQ") -> list[Filter]:
    """The condition of search that a kind's pipeline is. Raises ConfigurationFault when there is not just one."""
    if kind.pipeline is None:
        return []
    name = pipeline_properties(kind.object)[0]
    return [{"propertyName": name, "operator": operator, "value": reader.pipelines.find(kind.object, kind.pipeline).id}]


def _of_kind(reader: Reader, kind: Kind, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those in the kind's pipeline: whoever names ids, or an index that is behind, may mean others."""
    if kind.pipeline is None:
        return records
    name, id_ = pipeline_properties(kind.object)[0], reader.pipelines.find(kind.object, kind.pipeline).id
    return [one for one in records if str((one.get("properties") or {}).get(name)) == id_]


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
