"""/crm/v3/schemas (also /crm-object-schemas/v3/schemas): custom objects."""

from __future__ import annotations

import re
from typing import Any

from sandbox.hubspot import associations, definitions
from sandbox.hubspot.call import Call, names
from sandbox.hubspot.catalog import ObjectType, properties_of
from sandbox.hubspot.errors import Problem, invalid, not_found
from sandbox.hubspot.portal import Portal
from sandbox.state import Record

FIRST_TYPE = 3_465_404
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]{0,49}")


def listing(call: Call) -> Any:
    """Custom objects only."""
    archived = call.flag("archived")
    schemas = call.portal.state.table("schemas").values()
    return {"results": [_view(call.portal, one) for one in schemas if one["archived"] is archived]}


def read(call: Call) -> Any:
    return _view(call.portal, _schema(call))


def create(call: Call) -> Any:
    portal, sent = call.portal, call.object()
    name, labels = sent.get("name"), sent.get("labels")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid("name: letters, digits and _ are allowed, a letter first, 50 at most")
    if not isinstance(labels, dict) or not all(isinstance(labels.get(k), str) for k in ("singular", "plural")):
        raise invalid("Some required fields were not set: [labels]")
    if portal.find_kind(name) is not None:
        raise Problem(409, "OBJECT_ALREADY_EXISTS", f"Object type '{name}' already exists.",
                      sub_category="ObjectTypeError.OBJECT_TYPE_ALREADY_EXISTS")  # fmt: skip
    linked = [portal.kind(one) for one in names(sent.get("associatedObjects"), "associatedObjects") or []]
    schema = _new(portal, sent, name, labels)
    portal.state.table("schemas").put(schema["objectTypeId"], schema)
    kind = portal.kind(schema["objectTypeId"])
    _fill(portal, kind, sent)
    for to in linked:
        associations.add_type(portal, kind, to, f"{kind.name}_to_{to.singular}", (None, None))
    return 201, _view(portal, schema)


def _new(portal: Portal, sent: Record, name: str, labels: Record) -> Record:
    type_id, now = f"2-{FIRST_TYPE + len(portal.state.table('schemas'))}", portal.now()
    primary = sent.get("primaryDisplayProperty")
    if not isinstance(primary, str | None):
        raise invalid("primaryDisplayProperty: a text is required")
    return {
        "id": type_id,
        "objectTypeId": type_id,
        "name": name,
        "labels": {key: labels[key] for key in ("singular", "plural")},
        "primaryDisplayProperty": primary,
        "secondaryDisplayProperties": names(sent.get("secondaryDisplayProperties"), "secondaryDisplayProperties") or [],
        "requiredProperties": names(sent.get("requiredProperties"), "requiredProperties") or [],
        "searchableProperties": names(sent.get("searchableProperties"), "searchableProperties") or [],
        "description": sent.get("description") if isinstance(sent.get("description"), str) else None,
        "archived": False,
        "createdAt": now,
        "updatedAt": now,
    }


def _fill(portal: Portal, kind: ObjectType, sent: Record) -> None:
    """The properties that each custom object has, and those that were sent with it."""
    own = sent.get("properties", [])
    if not isinstance(own, list):
        raise invalid("properties: a list is required")
    group = {"name": kind.group, "label": f"{kind.name} Information", "displayOrder": -1, "archived": False}
    portal.state.table(f"property_groups/{kind.id}").put(kind.group, group)
    for property_ in properties_of(kind):
        portal.properties(kind).put(property_["name"], property_)
    for one in own:
        definitions.add(portal, kind, one)
    named = [*kind.default_properties, *kind.required, *(sent.get("searchableProperties") or [])]
    unknown = [name for name in named if name not in portal.properties(kind)]
    if unknown:
        raise invalid(f"Property {unknown[0]} does not exist for {kind.name}")


def add_association(call: Call) -> Any:
    """{fromObjectTypeId, toObjectTypeId, name}: an unlabelled type between a custom object and another."""
    kind, sent = call.portal.kind(_schema(call)["objectTypeId"]), call.object()
    to = call.portal.kind(str(sent.get("toObjectTypeId")))
    if any(one["label"] is None for one in associations.definitions(call.portal, kind, to)):
        raise invalid(f"{kind.name} and {to.name} are associated already")
    name = str(sent.get("name") or f"{kind.name}_to_{to.singular}")
    return 201, _association(associations.add_type(call.portal, kind, to, name, (None, None))[0])


def archive(call: Call) -> Any:
    """Refused while there are records that are not archived."""
    schema = _schema(call)
    kind = call.portal.kind(schema["objectTypeId"])
    if call.portal.by_id(kind, False).keys:
        raise invalid(f"Object type {kind.name} cannot be archived while it has records")
    call.portal.state.table("schemas").put(schema["objectTypeId"], schema | {"archived": True})
    return 204, None


def _schema(call: Call) -> Record:
    kind = call.portal.find_kind(call.args["type"])
    if kind is None:
        raise not_found(f"Object type {call.args['type'][:100]} does not exist")
    return call.portal.state.table("schemas").get(kind.id) or _standard(kind)


def _standard(kind: ObjectType) -> Record:
    schema: Record = {"id": kind.id, "objectTypeId": kind.id, "name": kind.singular.upper(), "archived": False}
    schema |= {"labels": {"singular": kind.singular, "plural": kind.name}, "description": None}
    schema |= {"primaryDisplayProperty": kind.default_properties[0], "secondaryDisplayProperties": []}
    return schema | {"requiredProperties": list(kind.required), "searchableProperties": []}


def _view(portal: Portal, schema: Record) -> Record:
    table = portal.state.table("association_types")
    own = [one for one in table.values() if schema["objectTypeId"] in (one["from"], one["to"])]
    properties = portal.state.table(f"properties/{schema['objectTypeId']}").values()
    shown = {"properties": list(properties), "associations": [_association(one) for one in own]}
    full = f"p{portal.setting('portal_id')}_{schema['name']}"
    return schema | shown | ({"fullyQualifiedName": full} if schema["id"].startswith("2-") else {})


def _association(row: Record) -> Record:
    return {"id": row["id"], "fromObjectTypeId": row["from"], "toObjectTypeId": row["to"], "name": row["name"]}
