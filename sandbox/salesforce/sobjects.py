"""`/sobjects/...`: one record at a time, by id or by external id, and what is known about objects."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from sandbox.salesforce import ids
from sandbox.salesforce.checks import matches
from sandbox.salesforce.describe import describe, describe_all, summary
from sandbox.salesforce.errors import ApiError, Refused, not_found
from sandbox.salesforce.fields import Field, SObject
from sandbox.salesforce.incoming import read_record
from sandbox.salesforce.saving import ManyMatches, delete, insert, living, unit, update, upsert
from sandbox.salesforce.soql.paths import reader
from sandbox.salesforce.soql.render import record_url, visible
from sandbox.salesforce.values import read
from sandbox.salesforce.wire import Call, Reply
from sandbox.state import Record


def sobject_of(call: Call, name: str) -> SObject:
    """The object of that name. Raises ApiError 404 when it is not there or not visible."""
    found = call.org.schema.find(name)
    if found is None or not call.access.may("read", found):
        raise not_found()
    return found


def everything(call: Call) -> Reply:
    """GET /sobjects"""
    return Reply(value=describe_all(call.org, call.access, call.version))


def basic(call: Call, name: str) -> Reply:
    """GET /sobjects/X"""
    sobject = sobject_of(call, name)
    recent = sorted(call.org.table(sobject.name).values(), key=lambda one: str(one["LastModifiedDate"]))[-5:]
    items = [{"attributes": _attributes(call, sobject, one["Id"]), "Id": one["Id"]} for one in recent]
    return Reply(value={"objectDescribe": summary(sobject, call.access, call.version), "recentItems": items})


def full(call: Call, name: str) -> Reply:
    """GET /sobjects/X/describe"""
    return Reply(value=describe(call.org, sobject_of(call, name), call.access, call.version))


def create(call: Call, name: str) -> Reply:
    """POST /sobjects/X"""
    sobject = sobject_of(call, name)
    incoming = read_record(sobject, call.json_object())
    with unit(call.org, call.access) as work:
        id_ = insert(work, sobject, incoming)
    location = {"Location": record_url(call.version, sobject.name, id_)}
    return Reply(201, {"id": id_, "success": True, "errors": []}, location)


def retrieve(call: Call, name: str, key: str) -> Reply:
    """GET /sobjects/X/id"""
    sobject = sobject_of(call, name)
    return _retrieved(call, sobject, living_or_404(call, sobject, _id(key)))


def retrieve_external(call: Call, name: str, field_name: str, value: str) -> Reply:
    """GET /sobjects/X/field/value; 300 with the URLs when there are several."""
    sobject = sobject_of(call, name)
    field = external_field(sobject, field_name)
    if field.name == "Id":
        return retrieve(call, name, value)
    found = matches(call.org, sobject, field, read(field, unquote(value)))
    if not found:
        raise not_found()
    if len(found) > 1:
        return _many(call, sobject, [one["Id"] for one in found])
    return _retrieved(call, sobject, found[0])


def change(call: Call, name: str, key: str) -> Reply:
    """PATCH /sobjects/X/id"""
    sobject = sobject_of(call, name)
    id_ = _id(key)
    living_or_404(call, sobject, id_)
    incoming = read_record(sobject, call.json_object())
    with unit(call.org, call.access) as work:
        update(work, sobject, id_, incoming)
    return Reply(204)


def change_external(call: Call, name: str, field_name: str, value: str) -> Reply:
    """PATCH /sobjects/X/field/value: upsert; `?updateOnly=true` never makes a record."""
    sobject = sobject_of(call, name)
    field = external_field(sobject, field_name)
    wanted = read(field, unquote(value))
    incoming = read_record(sobject, call.json_object())
    if field.name in incoming.values:
        message = f"The {field.name} field should not be specified in the sobject data."
        raise ApiError(400, "INVALID_FIELD", message)
    if call.query.get("updateOnly") == "true" and not matches(call.org, sobject, field, wanted):
        raise not_found()
    try:
        with unit(call.org, call.access) as work:
            id_, created = upsert(work, sobject, field, wanted, incoming)
    except ManyMatches as error:
        return _many(call, sobject, error.ids)
    return Reply(201 if created else 200, {"id": id_, "success": True, "errors": [], "created": created})


def remove(call: Call, name: str, key: str) -> Reply:
    """DELETE /sobjects/X/id"""
    sobject = sobject_of(call, name)
    id_ = _id(key)
    living_or_404(call, sobject, id_)
    with unit(call.org, call.access) as work:
        delete(work, sobject, id_)
    return Reply(204)


def remove_external(call: Call, name: str, field_name: str, value: str) -> Reply:
    """DELETE /sobjects/X/field/value"""
    sobject = sobject_of(call, name)
    field = external_field(sobject, field_name)
    found = matches(call.org, sobject, field, read(field, unquote(value)))
    if len(found) > 1:
        return _many(call, sobject, [one["Id"] for one in found])
    if not found:
        raise not_found()
    return remove(call, name, found[0]["Id"])


def external_field(sobject: SObject, name: str) -> Field:
    """An external id field, or Id. Raises ApiError 404."""
    field = sobject.find(name)
    if field is None or not (field.external_id or field.name == "Id"):
        raise not_found(f"Provided external ID field does not exist or is not accessible: {name}")
    return field


def as_json(call: Call, sobject: SObject, record: Record, fields: list[Field]) -> dict[str, Any]:
    """A record as it goes out."""
    made: dict[str, Any] = {"attributes": _attributes(call, sobject, record["Id"])}
    for field in fields:
        made[field.name] = reader(field)(record)
    return made


def chosen(call: Call, sobject: SObject, names: list[str]) -> list[Field]:
    """The fields of these names. Raises ApiError 400 for one that is not there or not visible."""
    fields = []
    for name in names:
        field = sobject.find(name)
        if field is None or not call.access.sees(sobject, field):
            raise ApiError(400, "INVALID_FIELD", f"No such column '{name}' on entity '{sobject.name}'")
        fields.append(field)
    return fields


def living_or_404(call: Call, sobject: SObject, id_: str) -> Record:
    """The living record. Raises ApiError 404, as for a resource."""
    try:
        return living(call.org, sobject, id_)
    except Refused as error:
        problem = error.problems[0]
        if problem.code == "ENTITY_IS_DELETED":
            raise ApiError(404, problem.code, problem.message) from None
        raise not_found() from None


def _retrieved(call: Call, sobject: SObject, record: Record) -> Reply:
    asked = call.query.get("fields")
    names = [name.strip() for name in asked.split(",")] if asked else []
    if names and "id" not in (name.lower() for name in names):
        names.append("Id")
    fields = chosen(call, sobject, names) if names else visible(sobject, call.access)
    return Reply(value=as_json(call, sobject, record, fields))


def _id(text: str) -> str:
    found = ids.normal(text)
    if found is None:
        raise not_found(f"Provided external ID field does not exist or is not accessible: {text}")
    return found


def _attributes(call: Call, sobject: SObject, id_: str) -> dict[str, str]:
    return {"type": sobject.name, "url": record_url(call.version, sobject.name, id_)}


def _many(call: Call, sobject: SObject, found: list[str]) -> Reply:
    return Reply(300, [record_url(call.version, sobject.name, id_) for id_ in found])
