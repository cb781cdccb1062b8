"""/crm/v3/objects/{type}: list, read, create, change, archive, merge."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from sandbox.hubspot import associations, records, values
from sandbox.hubspot.associations import read_id
from sandbox.hubspot.call import Call
from sandbox.hubspot.catalog import ObjectType
from sandbox.hubspot.errors import invalid, not_found
from sandbox.state import Record

PAGE, MOST = 10, 100


def listing(call: Call) -> Any:
    """By id. `after` is the id at which the page begins, so records that come or go meanwhile shift nothing."""
    kind, limit = call.kind(), call.limit(PAGE, MOST)
    keys = call.portal.by_id(kind, call.flag("archived")).keys
    after = call.one("after")
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < 20):
        raise invalid(f"after: {after[:40]} is no cursor of this list")
    start = bisect_left(keys, (0, int(after))) if after else 0
    hidden = call.hidden_since()
    table, found = call.portal.records(kind), []
    for _, id_ in keys[start : start + limit]:
        record = table[str(id_)]
        if hidden is None or record["created"] < hidden:
            found.append(_view(call, kind, record))
    answer: dict[str, Any] = {"results": found}
    if start + limit < len(keys):
        answer["paging"] = call.next_page(str(keys[start + limit][1]))
    return answer


def read(call: Call) -> Any:
    return _view(call, call.kind(), _record(call, call.flag("archived")))


def create(call: Call) -> Any:
    sent, kind = call.object(), call.kind()
    made = records.create(call.portal, kind, sent.get("properties"), sent.get("associations"))
    return 201, records.written(call.portal, kind, made)


def update(call: Call) -> Any:
    kind = call.kind()
    changed = records.update(call.portal, kind, _record(call), call.object().get("properties"))
    return records.written(call.portal, kind, changed)


def archive(call: Call) -> Any:
    """204 for a record that is archived already, too (M)."""
    kind, id_ = call.kind(), call.id()
    if call.portal.find_record(kind, id_, archived=True) is None:
        records.archive(call.portal, kind, call.portal.record(kind, id_))
    return 204, None


def forget(call: Call) -> Any:
    """{objectId, idProperty}: for data protection. Of contacts only; 204 for an address that nobody has (M)."""
    kind, sent = call.portal.kind("contacts"), call.object()
    name, id_ = sent.get("idProperty"), sent.get("objectId")
    if name in (None, "", "hs_object_id"):
        record = call.portal.find_record(kind, read_id(id_)) or call.portal.find_record(kind, read_id(id_), True)
    else:
        record = by_property(call, kind, name, id_)
    if record is not None:
        records.forget(call.portal, kind, record)
    elif name != "email":
        raise not_found()
    return 204, None


def merge(call: Call) -> Any:
    kind, sent = call.kind(), call.object()
    primary = call.portal.record(kind, read_id(sent.get("primaryObjectId")))
    other = call.portal.record(kind, read_id(sent.get("objectIdToMerge")))
    return records.written(call.portal, kind, records.merge(call.portal, kind, primary, other))


def by_property(call: Call, kind: ObjectType, name: str, value: Any) -> Record | None:
    """The record with this value of a unique property. Raises Problem when the property is not unique."""
    unique = values.unique_property(call.portal, kind, name)
    text = values.as_text(value) if not isinstance(value, dict | list) else None
    return call.portal.by_value(kind, unique, text) if text else None


def _record(call: Call, archived: bool = False) -> Record:
    kind, name = call.kind(), call.one("idProperty")
    if name is None or name == "hs_object_id":
        if not (call.args["id"].isascii() and call.args["id"].isdigit()):
            raise not_found()
        return call.portal.record(kind, call.args["id"], archived)
    found = by_property(call, kind, name, call.args["id"])
    if found is None:
        raise not_found()
    return found


def _view(call: Call, kind: ObjectType, record: Record) -> dict[str, Any]:
    shown = records.view(call.portal, kind, record, call.many("properties"))
    wanted = [call.portal.kind(name) for name in call.many("associations") or ()]
    linked = associations.brief(call.portal, kind, record["id"], wanted)
    return shown | ({"associations": linked} if linked else {})
