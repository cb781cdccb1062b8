"""/crm/v3/properties and their groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.hubspot.call import Call
from sandbox.hubspot.catalog import ObjectType, Property
from sandbox.hubspot.errors import Problem, invalid, not_found
from sandbox.hubspot.portal import Portal
from sandbox.state import Record

MOST_UNIQUE = 10  # properties of one type
FIELD_TYPES = {
    "string": ("text", "textarea", "html", "phonenumber", "file", "calculation_equation"),
    "number": ("number", "calculation_equation"),
    "date": ("date",),
    "datetime": ("date",),
    "bool": ("booleancheckbox", "calculation_equation"),
    "enumeration": ("select", "radio", "checkbox", "booleancheckbox", "calculation_equation"),
}
CHANGEABLE: Mapping[str, type] = {
    **dict.fromkeys(("label", "description", "groupName", "type", "fieldType"), str),
    **dict.fromkeys(("hidden", "formField"), bool),
    "displayOrder": int,
}
_NAME = re.compile("[a-z][a-z0-9_]{0,99}")


def listing(call: Call) -> Any:
    archived = call.flag("archived")
    return {"results": [p for p in call.portal.properties(call.kind()).values() if p["archived"] is archived]}


def read(call: Call) -> Any:
    return _known(call, call.kind(), call.args["name"])


def create(call: Call) -> Any:
    return 201, add(call.portal, call.kind(), call.object())


def update(call: Call) -> Any:
    """Label, description, group, options and the like; name and uniqueness stay."""
    kind, sent = call.kind(), call.object()
    known = _known(call, kind, call.args["name"])
    if known["modificationMetadata"]["readOnlyDefinition"] and set(sent) - {"options", "label", "description"}:
        raise invalid(f"The property {known['name']} is defined by HubSpot and cannot be changed")
    changes = {key: sent[key] for key in CHANGEABLE if sent.get(key) is not None}
    for key, value in changes.items():
        if not isinstance(value, CHANGEABLE[key]):
            raise invalid(f"{key}: a {CHANGEABLE[key].__name__} is required")
    if "options" in sent:
        changes["options"] = _options(sent["options"])
    changed = known | changes
    _check(call.portal, kind, changed)
    changed["updatedAt"] = call.portal.now()
    call.portal.properties(kind).put(known["name"], changed)
    return changed


def archive(call: Call) -> Any:
    kind = call.kind()
    _archive(call, kind, call.args["name"])
    return 204, None


def batch_read(call: Call) -> Any:
    kind, archived = call.kind(), call.object().get("archived") is True
    found = [call.portal.properties(kind).get(_name(one)) for one in call.inputs(100, "property")]
    return _batch(call, [one for one in found if one is not None and one["archived"] is archived])


def batch_create(call: Call) -> Any:
    """All or none (M)."""
    kind = call.kind()
    return 201, _batch(call, [add(call.portal, kind, one) for one in call.inputs(100, "property")])


def batch_archive(call: Call) -> Any:
    kind = call.kind()
    for one in call.inputs(100, "property"):
        _archive(call, kind, _name(one))
    return 204, None


def groups(call: Call) -> Any:
    return {"results": list(_groups(call.portal, call.kind()).values())}


def add_group(call: Call) -> Any:
    kind, sent = call.kind(), call.object()
    name, label = sent.get("name"), sent.get("label")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(label, str):
        raise invalid("Some required fields were not set: [name, label]")
    if name in _groups(call.portal, kind):
        raise Problem(409, "OBJECT_ALREADY_EXISTS", f"A property group named '{name}' already exists.")
    group = {"name": name, "label": label, "displayOrder": -1, "archived": False}
    _groups(call.portal, kind).put(name, group)
    return 201, group


def one_group(call: Call) -> Any:
    found = _groups(call.portal, call.kind()).get(call.args["name"])
    if found is None:
        raise not_found()
    return found


def _groups(portal: Portal, kind: ObjectType) -> Any:
    return portal.state.table(f"property_groups/{kind.id}")


def add(portal: Portal, kind: ObjectType, sent: Any) -> Property:
    """One new property. Raises Problem."""
    if not isinstance(sent, dict):
        raise invalid("a property must be an object")
    sent = {"groupName": kind.group} | sent if kind.custom else sent
    required = ("name", "label", "type", "fieldType", "groupName")
    missing = [key for key in required if not isinstance(sent.get(key), str) or not sent[key]]
    if missing:
        raise invalid(f"Some required fields were not set: [{', '.join(missing)}]")
    name = sent["name"]
    if not _NAME.fullmatch(name) or name.startswith("hs_"):
        message = f'Property name "{name[:100]}" is invalid: small letters, digits and _, a letter first, and no hs_'
        raise Problem(400, "VALIDATION_ERROR", message, sub_category="PropertyValidationError.INVALID_NAME")
    known = portal.properties(kind).get(name)
    if known is not None and not known["archived"]:
        message = f"A property named '{name}' already exists."
        raise Problem(409, "OBJECT_ALREADY_EXISTS", message, sub_category="Properties.PROPERTY_EXISTS",
                      context={"name": [name]})  # fmt: skip
    now = portal.now()
    property_ = {
        "name": name,
        "label": sent["label"],
        "type": sent["type"],
        "fieldType": sent["fieldType"],
        "description": _text(sent.get("description"), "description"),
        "groupName": sent["groupName"],
        "options": _options(sent.get("options")),
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": False,
        "hasUniqueValue": sent.get("hasUniqueValue") is True,
        "hidden": sent.get("hidden") is True,
        "hubspotDefined": False,
        "formField": sent.get("formField") is True,
        "modificationMetadata": {"archivable": True, "readOnlyDefinition": False, "readOnlyValue": False},
        "archived": False,
        "createdAt": now,
        "updatedAt": now,
    }
    _check(portal, kind, property_)
    if property_["hasUniqueValue"]:
        taken = [p for p in portal.properties(kind).values()
                 if p["hasUniqueValue"] and not p["hubspotDefined"] and not p["archived"]]  # fmt: skip
        if len(taken) >= MOST_UNIQUE:
            raise invalid(f"An object type can have at most {MOST_UNIQUE} properties with unique values")
        if property_["type"] not in ("string", "number"):
            raise invalid("Only properties of type string or number can have unique values")
    portal.properties(kind).put(name, property_)
    return property_


def _check(portal: Portal, kind: ObjectType, property_: Property) -> None:
    type_, field = property_["type"], property_["fieldType"]
    if not isinstance(type_, str) or type_ not in FIELD_TYPES:
        raise invalid(f"type {str(type_)[:40]} is not one of {', '.join(FIELD_TYPES)}")
    if field not in FIELD_TYPES[type_]:
        raise invalid(f"fieldType {str(field)[:40]} does not go with type {type_}: {', '.join(FIELD_TYPES[type_])}")
    if not isinstance(property_["groupName"], str) or property_["groupName"] not in _groups(portal, kind):
        raise invalid(f"The property group {str(property_['groupName'])[:100]} does not exist for {kind.name}")
    if not all(isinstance(property_[key], str) for key in ("label", "description")):
        raise invalid("label and description must be texts")
    if type_ == "enumeration" and not property_["options"] and not property_["externalOptions"]:
        raise invalid("A property of type enumeration needs options")


def _options(sent: Any) -> list[Record]:
    if sent is None:
        return []
    if not isinstance(sent, list) or not all(
        isinstance(one, dict) and isinstance(one.get("value"), str) and isinstance(one.get("label"), str)
        for one in sent
    ):
        raise invalid("options: a list of {label, value, displayOrder, hidden} is required")
    values = [one["value"] for one in sent]
    if len(set(values)) < len(values):
        raise invalid("options: each value may come once")
    return [
        {"label": one["label"], "value": one["value"], "displayOrder": place, "hidden": one.get("hidden") is True}
        for place, one in enumerate(sent)
    ]


def _text(value: Any, name: str) -> str:
    if value is not None and not isinstance(value, str):
        raise invalid(f"{name} must be a text")
    return value or ""


def _name(one: Record) -> str:
    if not isinstance(one.get("name"), str):
        raise invalid("Some required fields were not set: [name]")
    return str(one["name"])


def _known(call: Call, kind: ObjectType, name: str) -> Property:
    found = call.portal.properties(kind).get(name)
    if found is None or found["archived"] is not call.flag("archived"):
        raise not_found(f"Property {name[:100]} does not exist for {kind.name}")
    return found


def _archive(call: Call, kind: ObjectType, name: str) -> None:
    found = _known(call, kind, name)
    if not found["modificationMetadata"]["archivable"]:
        raise invalid(f"The property {name} is defined by HubSpot and cannot be archived")
    call.portal.properties(kind).put(name, found | {"archived": True, "archivedAt": call.portal.now()})


def _batch(call: Call, results: list[Property]) -> Record:
    now = call.portal.now()
    return {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
