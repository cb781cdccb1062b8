"""Makes what a portal needs and does not have: include/crm_setup/hubspot.json, through the API. What is there stays.

The file: `objects` (custom objects with `name`, `labels`, `properties`, `associated`, `pipeline`?), `properties` of
standard objects, `pipelines` of objects by label; what says `optional` is made on request only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.model.errors import PermissionDenied

GROUP, GROUP_LABEL = "tieout", "Tieout"
#: Type -> the form in which people enter it.
_FIELD_TYPES = {
    "string": "text", "number": "number", "date": "date", "datetime": "date", "bool": "booleancheckbox",
    "enumeration": "select",
}  # fmt: skip


def set_up(session: HubSpotSession, wanted: Mapping[str, Any], *, optional: bool = False) -> list[str]:
    """What was made, a sentence each; empty when all was there.

    Raises:
        PermissionDenied: the app may not (crm.schemas.* and the objects' scopes), or the portal has no custom objects.
        Retriable, VendorFault: from the API; running again carries on.
    """
    done: list[str] = []
    there = {str(one.get("name")) for one in _list(session, "/crm/v3/schemas")}
    for one in wanted.get("objects") or ():
        if one.get("optional") and not optional:
            continue
        if one["name"] not in there:
            _post(session, "/crm/v3/schemas", _schema(one))
            done.append(f"custom object {one['name']}")
        else:
            done += _properties(session, one["name"], one["properties"])
    for obj, properties in (wanted.get("properties") or {}).items():
        done += _properties(session, obj, properties)
    for obj, pipelines in (wanted.get("pipelines") or {}).items():
        done += _pipelines(session, obj, [one for one in pipelines if optional or not one.get("optional")])
    return done


def _properties(session: HubSpotSession, obj: str, wanted: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    there = {str(one.get("name")) for one in _list(session, f"/crm/v3/properties/{obj}")}
    missing = [one for one in wanted if one["name"] not in there]
    if missing and GROUP not in {str(one.get("name")) for one in _list(session, f"/crm/v3/properties/{obj}/groups")}:
        _post(session, f"/crm/v3/properties/{obj}/groups", {"name": GROUP, "label": GROUP_LABEL})
    for one in missing:
        _post(session, f"/crm/v3/properties/{obj}", {**_property(one), "groupName": GROUP})
        yield f"property {obj}.{one['name']}"


def _property(wanted: Mapping[str, Any]) -> dict[str, Any]:
    type_ = str(wanted["type"])
    made: dict[str, Any] = {
        "name": wanted["name"],
        "label": wanted["label"],
        "type": type_,
        "fieldType": wanted.get("fieldType") or _FIELD_TYPES[type_],
        "description": wanted.get("description") or "",
        "hasUniqueValue": bool(wanted.get("unique")),
    }
    options = [("Yes", "true"), ("No", "false")] if type_ == "bool" else []
    options += [(str(value), str(value)) for value in wanted.get("options") or ()]
    if options:
        made["options"] = [
            {"label": label, "value": value, "displayOrder": at} for at, (label, value) in enumerate(options)
        ]
    return made


def _schema(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": wanted["name"],
        "labels": wanted["labels"],
        "primaryDisplayProperty": wanted["properties"][0]["name"],
        "requiredProperties": [wanted["properties"][0]["name"]],
        "searchableProperties": [wanted["properties"][0]["name"]],
        "properties": [_property(one) for one in wanted["properties"]],
        "associatedObjects": list(wanted.get("associated") or ()),
    }


def _pipelines(session: HubSpotSession, obj: str, wanted: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    there = _list(session, f"/crm/v3/pipelines/{obj}") if wanted else []
    by_name = {name: one for one in there for name in (str(one.get("label")).lower(), str(one.get("id")).lower())}
    for one in wanted:
        found = by_name.get(str(one["label"]).lower())
        if found is None:
            stages = [_stage(stage, at) for at, stage in enumerate(one["stages"])]
            body = {"label": one["label"], "displayOrder": len(there), "stages": stages}
            _post(session, f"/crm/v3/pipelines/{obj}", body)
            yield f"pipeline {one['label']} of {obj}"
            continue
        known = {str(stage.get("label")).lower() for stage in found.get("stages") or []}
        for at, stage in enumerate(one["stages"]):
            if str(stage["label"]).lower() not in known:
                _post(session, f"/crm/v3/pipelines/{obj}/{found['id']}/stages", _stage(stage, len(known) + at))
                yield f"stage {stage['label']} of the pipeline {one['label']} of {obj}"


def _stage(wanted: Mapping[str, Any], at: int) -> dict[str, Any]:
    return {"label": wanted["label"], "displayOrder": at, "metadata": wanted.get("metadata") or {}}


def _list(session: HubSpotSession, path: str) -> list[Mapping[str, Any]]:
    found = session.get(path).get("results")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _post(session: HubSpotSession, path: str, body: Mapping[str, Any]) -> None:
    reply = session.write("POST", path, exact_json.dumps(body))
    if reply.status >= 300:
        error = session.raw.http.fault(reply)
        if isinstance(error, PermissionDenied):
            raise PermissionDenied(f"{error}; set-up needs the scopes crm.schemas.*.write of the connector's README")
        raise error
