"""The reading side: what changed since, what is gone, records of some days, records by id.

A page ends with a cursor in the order (modified, id): a record that changes meanwhile moves behind it and comes again,
and none moves into a place that was read already. A vendor that pages by number is read by connectors/pages_by_time.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial

from scaffold.ledger.connector.operations import ABOVE, DATED, OBJECTS
from tieout.connectors import exact_json
from tieout.connectors.base import Page, Record
from tieout.connectors.http import Call
from tieout.connectors.session import Session
from tieout.model.errors import ConfigurationFault, VendorFault
from tieout.model.staged import StagedEntity

IDS = 500  # of one look-up
JSON = {"Content-Type": "application/json"}


def known(entity: StagedEntity) -> str:
    """The entity's object. Raises ConfigurationFault when it is not read."""
    if entity.object not in OBJECTS:
        raise ConfigurationFault(f"New System: {entity.object!r} is not read; known are {', '.join(OBJECTS)}")
    return entity.object


def changed(session: Session, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
    """See base.Source.changed. An entity without `modified` is read whole."""
    window = {} if entity.modified is None else _window(since, upto)
    for records in _pages(session, known(entity), window):
        yield Page(records)


def deleted(session: Session, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
    """See base.Source.deleted: what is gone is kept as a mark, without a bound."""
    for records in _pages(session, known(entity), {"deleted": "true", **_window(since, upto)}):
        yield [str(record[entity.key]) for record in records]


def dated(
    session: Session, entity: StagedEntity, field: str, first: date, last: date, parent: str | None
) -> Iterator[Page]:
    """See base.Source.dated: records by their own day, or by that of the record above."""
    obj = known(entity)
    chosen = obj if parent is None else ABOVE.get(parent, "")
    if field not in DATED.get(chosen, ()):
        raise ConfigurationFault(f"New System: {obj} cannot be chosen by {field!r}; known are {dict(DATED)}")
    days = {"date_field": field, "date_from": first.isoformat(), "date_to": last.isoformat()}
    for records in _pages(session, chosen, days):
        if parent is None:
            yield Page(records)
            continue
        ids = [str(record["id"]) for record in records]
        for start in range(0, len(ids), IDS):
            yield Page(having(session, obj, parent, ids[start : start + IDS]))


def fetch(session: Session, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
    """See base.Source.fetch."""
    for start in range(0, len(ids), IDS):
        yield Page(having(session, known(entity), entity.key, ids[start : start + IDS]))


def having(session: Session, obj: str, field: str, values: Sequence[str]) -> Sequence[Record]:
    """The live records of which the field is one of these values, at most IDS."""
    call = Call("POST", f"/api/{obj}/find", {}, JSON, exact_json.dumps({"field": field, "values": list(values)}))
    return _records(session, obj, session.read(call, partial(exact_json.page, name="records"))[1])


def _pages(session: Session, obj: str, params: Mapping[str, str]) -> Iterator[Sequence[Record]]:
    after: Mapping[str, str] = {}
    while True:
        answer = session.get(f"/api/{obj}", {**params, **after}, parse=partial(exact_json.page, name="records"))
        records = _records(session, obj, answer)
        if records:
            yield records
        if not answer.get("next"):
            return
        if after.get("after") == answer["next"]:
            raise VendorFault(f"{session.name}: {obj}: the page after {answer['next']} ends where it begins")
        after = {"after": answer["next"]}


def _records(session: Session, obj: str, answer: object) -> Sequence[Record]:
    if not isinstance(answer, dict) or not isinstance(answer.get("records"), Sequence):
        raise VendorFault(f"{session.name}: the answer to a list of {obj} has no records")
    found: Sequence[Record] = answer["records"]
    return found


def _window(since: datetime | None, upto: datetime) -> dict[str, str]:
    window = {"modified_before": _spelled(upto)}
    return window if since is None else {"modified_since": _spelled(since), **window}


def _spelled(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
