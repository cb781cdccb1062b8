"""Records of one type: made, changed, archived, merged, shown. Each function is one record's fate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sandbox.hubspot import associations, calculated, values
from sandbox.hubspot.catalog import ObjectType
from sandbox.hubspot.errors import invalid
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.wire import iso_short
from sandbox.state import Record


def create(portal: Portal, kind: ObjectType, sent: Any, links: Any = None) -> Record:
    """Raises Problem."""
    given = values.checked(portal, kind, sent)
    if kind.name == "line_items":
        given = calculated.from_product(portal, given)
    values.refuse_missing(kind, given)
    given = calculated.fill(portal, kind, given)
    values.refuse_taken(portal, kind, given, None)
    wanted = associations.read_new(portal, kind, links)
    now, id_ = portal.now(), portal.new_id()
    record = {"id": id_, "created": now, "updated": now, "archived": False, "archivedAt": None}
    record["properties"] = {name: value for name, value in given.items() if value is not None}
    portal.records(kind).put(id_, record)
    for to, to_id, types in wanted:
        associations.add(portal, kind, id_, to, to_id, types)
    _tell(portal, kind, id_, "creation")
    return record


def update(portal: Portal, kind: ObjectType, record: Record, sent: Any) -> Record:
    """Only what is sent changes. A write that changes no value still counts as a change (M). Raises Problem."""
    given = values.checked(portal, kind, sent)
    values.refuse_taken(portal, kind, given, record["id"])
    merged: dict[str, str | None] = {**record["properties"], **given}
    if kind.pipeline and given.get(kind.stage) and kind.pipeline not in given:
        kept = merged.get(kind.pipeline)
        if kept and portal.stage(kind, kept, str(given[kind.stage])) is None:
            del merged[kind.pipeline]  # a stage of another pipeline moves the record there
    merged = calculated.fill(portal, kind, merged)
    changed = record | {"updated": portal.now()}
    changed["properties"] = {name: value for name, value in merged.items() if value is not None}
    put(portal, kind, record, changed)
    for name, value in given.items():
        if value != record["properties"].get(name):
            _tell(portal, kind, record["id"], "propertyChange", propertyName=name, propertyValue=value or "")
    return changed


def archive(portal: Portal, kind: ObjectType, record: Record) -> None:
    """Gone from lists, searches and associations; can be read with archived=true."""
    now = portal.now()
    _linger(portal, kind, record)
    associations.drop_all(portal, kind, record["id"])
    put(portal, kind, record, record | {"archived": True, "archivedAt": now, "updated": now})
    _tell(portal, kind, record["id"], "deletion")


def restore(portal: Portal, kind: ObjectType, record: Record) -> None:
    """A person brings an archived record back: it keeps its id, not its associations (M). Raises Problem."""
    values.refuse_taken(portal, kind, record["properties"], record["id"])
    put(portal, kind, record, record | {"archived": False, "archivedAt": None, "updated": portal.now()})
    _tell(portal, kind, record["id"], "restore")


def forget(portal: Portal, kind: ObjectType, record: Record) -> None:
    """Gone for data protection: no list has it any more, nor the archive."""
    associations.drop_all(portal, kind, record["id"])
    portal.records(kind).delete(record["id"])
    _tell(portal, kind, record["id"], "privacyDeletion")


def merge(portal: Portal, kind: ObjectType, primary: Record, other: Record) -> Record:
    """A new record: the primary's values, the other's where it has none. Both old ids lead to it. Raises Problem."""
    if primary["id"] == other["id"]:
        raise invalid("An object cannot be merged with itself.")
    now, id_ = portal.now(), portal.new_id()
    old = [one["id"] for one in (primary, other)]
    before = [part for one in (primary, other) for part in one["properties"].get("hs_merged_object_ids", "").split(";")]
    winner = primary | {"id": id_, "updated": now, "created": min(primary["created"], other["created"])}
    winner["properties"] = other["properties"] | primary["properties"]
    winner["properties"]["hs_merged_object_ids"] = ";".join(dict.fromkeys([*filter(None, before), *old]))
    winner["properties"] = {k: v for k, v in calculated.fill(portal, kind, winner["properties"]).items() if v}
    records, merged = portal.records(kind), portal.state.table(f"merged/{kind.id}")
    for one in (primary, other):
        _linger(portal, kind, one)
        records.delete(one["id"])
    records.put(id_, winner)
    for one in old:
        associations.move(portal, kind, one, id_)
        for earlier in merged.index("to")(one):
            merged.put(earlier["from"], earlier | {"to": id_})
        merged.put(one, {"from": one, "to": id_})
    _tell(portal, kind, id_, "merge", primaryObjectId=int(old[0]), mergedObjectIds=[int(old[1])], newObjectId=int(id_))
    return winner


def put(portal: Portal, kind: ObjectType, before: Record, after: Record) -> None:
    """Keeps the version that a lagging search index still shows."""
    after = {key: value for key, value in after.items() if key != "_indexed"}
    shown = _indexed(portal, before)
    if shown is not None:
        after["_indexed"] = shown
    portal.records(kind).put(after["id"], after)


def lingering(portal: Portal, kind: ObjectType) -> dict[str, Record]:
    """id -> what a lagging index still shows of a record that is archived or merged away."""
    rows, now, table = portal.state.table(f"lingering/{kind.id}").values(), portal.now(), portal.records(kind)
    late = [row for row in rows if row["until"] > now]
    return {row["id"]: row["record"] for row in late if (table.get(row["id"]) or row)["archived"]}


def _linger(portal: Portal, kind: ObjectType, record: Record) -> None:
    table, now = portal.state.table(f"lingering/{kind.id}"), portal.now()
    for id_ in [row["id"] for row in table.values() if row["until"] <= now]:
        table.delete(id_)
    shown = _indexed(portal, record)
    if shown is not None:
        until = now + timedelta(seconds=float(portal.setting("search_lag_seconds")))
        table.put(record["id"], {"id": record["id"], "archived": True, "until": until, "record": shown})


def _indexed(portal: Portal, record: Record) -> Record | None:
    """The version of a record that a lagging index has; None where it has none, or does not lag."""
    lag = float(portal.setting("search_lag_seconds"))
    if not lag:
        return None
    if record["updated"] > portal.now() - timedelta(seconds=lag):
        older: Record | None = record.get("_indexed")
        return older
    return {key: value for key, value in record.items() if key != "_indexed"}


def value(kind: ObjectType, record: Record, name: str) -> str | None:
    """A property's value; those that are no more than the record's frame are made here."""
    if name == "hs_object_id":
        return str(record["id"])
    if name in ("createdate", "hs_createdate"):
        return iso_short(record["created"])
    if name == kind.modified or name == "hs_lastmodifieddate":
        return iso_short(record["updated"])
    found: str | None = record["properties"].get(name)
    return found


def view(portal: Portal, kind: ObjectType, record: Record, names: Iterable[str] | None = None) -> dict[str, Any]:
    """As an answer shows it. Of the names that were asked for those that exist, null where there is no value.

    Args:
        names: None for the type's default properties; an answer to a write shows all that have a value.
    """
    known = portal.properties(kind)
    shown = {name: value(kind, record, name) for name in (kind.default_properties if names is None else names)
             if name in known and not known[name]["archived"]}  # fmt: skip
    shown |= {name: value(kind, record, name) for name in ("hs_object_id", "createdate", kind.modified)}
    answer = {"id": record["id"], "properties": shown, "createdAt": record["created"], "updatedAt": record["updated"]}
    answer["archived"] = record["archived"]
    return answer | ({"archivedAt": record["archivedAt"]} if record["archived"] else {})


def written(portal: Portal, kind: ObjectType, record: Record) -> dict[str, Any]:
    return view(portal, kind, record, record["properties"])


def _tell(portal: Portal, kind: ObjectType, id_: str, what: str, **more: Any) -> None:
    event: Mapping[str, Any] = {"subscriptionType": f"object.{what}", "objectTypeId": kind.id, "objectId": int(id_)}
    portal.events.append({**event, **more})
