"""`/composite/sobjects`: up to 200 records in one call, an answer for each, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from sandbox.salesforce import ids
from sandbox.salesforce.errors import ApiError, Problem, Refused, refused
from sandbox.salesforce.fields import SObject
from sandbox.salesforce.incoming import Incoming, read_record
from sandbox.salesforce.saving import ManyMatches, Unit, delete, insert, unit, update, upsert
from sandbox.salesforce.sobjects import as_json, chosen, external_field, sobject_of
from sandbox.salesforce.wire import Call, Reply

MAX_RECORDS = 200
MAX_READ = 2000
MAX_CHUNKS = 10  # runs of records of one object
Item = dict[str, Any]
Work = Callable[[Unit], Item]
_ROLLED_BACK = Problem(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)


class _Undo(Exception):
    """Takes the transaction back."""


def create(call: Call) -> Reply:
    """POST /composite/sobjects"""
    body, given = _given(call)

    def one(sobject: SObject, incoming: Incoming) -> Work:
        return lambda work: {"id": insert(work, sobject, incoming), "success": True, "errors": []}

    return _run(call, [one(*each) for each in given], body.get("allOrNone"))


def change(call: Call) -> Reply:
    """PATCH /composite/sobjects"""
    body, given = _given(call)

    def one(sobject: SObject, incoming: Incoming) -> Work:
        def work_on(work: Unit) -> Item:
            id_ = incoming.values.pop("Id", None)
            if id_ is None:
                raise refused("MISSING_ARGUMENT", "Id not specified in an update call")
            _require_id(sobject, id_)
            update(work, sobject, id_, incoming)
            return {"id": id_, "success": True, "errors": []}

        return work_on

    return _run(call, [one(*each) for each in given], body.get("allOrNone"))


def put(call: Call, name: str, field_name: str) -> Reply:
    """PATCH /composite/sobjects/X/field: upsert."""
    sobject = sobject_of(call, name)
    field = external_field(sobject, field_name)
    body, given = _given(call, sobject)
    seen: set[Any] = set()

    def one(incoming: Incoming) -> Work:
        def work_on(work: Unit) -> Item:
            value = incoming.values.get(field.name)
            key = value.casefold() if isinstance(value, str) and field.name != "Id" else value
            if key is not None and key in seen:
                raise refused("DUPLICATE_VALUE", f"Duplicate external id specified: {value}", field.name)
            seen.add(key)
            try:
                id_, created = upsert(work, sobject, field, value, incoming)
            except ManyMatches as error:
                found = ", ".join(error.ids)
                message = f"more than one record found for external id field: [{found}]"
                raise refused("DUPLICATE_EXTERNAL_ID", message, field.name) from None
            return {"id": id_, "success": True, "errors": [], "created": created}

        return work_on

    return _run(call, [one(incoming) for _, incoming in given], body.get("allOrNone"))


def remove(call: Call) -> Reply:
    """DELETE /composite/sobjects?ids=a,b&allOrNone=true"""
    asked = [text for text in call.query.get("ids", "").split(",") if text]
    _limit(asked, MAX_RECORDS)

    def one(text: str) -> Work:
        def work_on(work: Unit) -> Item:
            id_ = ids.normal(text)
            sobject = call.org.by_prefix(id_) if id_ else None
            if id_ is None or sobject is None:
                raise refused("MALFORMED_ID", f"malformed id {text}")
            delete(work, sobject, id_)
            return {"id": id_, "success": True, "errors": []}

        return work_on

    return _run(call, [one(text) for text in asked], call.query.get("allOrNone", "").lower() == "true")


def read_many(call: Call, name: str) -> Reply:
    """GET or POST /composite/sobjects/X with ids and fields: null for a record that is not there."""
    sobject = sobject_of(call, name)
    if call.method == "POST":
        body = call.json_object()
        asked, names = body.get("ids", []), body.get("fields", [])
        if not all(isinstance(part, list) and all(isinstance(one, str) for one in part) for part in (asked, names)):
            raise ApiError(400, "JSON_PARSER_ERROR", "ids and fields: lists of texts are expected")
    else:
        asked, names = call.query.get("ids", "").split(","), call.query.get("fields", "").split(",")
    _limit(asked, MAX_READ)
    if not names or names == [""]:
        raise ApiError(400, "MISSING_ARGUMENT", "fields have to be specified")
    fields = chosen(call, sobject, [name.strip() for name in names])
    answer: list[Item | None] = []
    for text in asked:
        record = call.org.get(sobject.name, ids.normal(text) or "")
        living = record is not None and not record["IsDeleted"]
        answer.append(as_json(call, sobject, record, fields) if record is not None and living else None)
    return Reply(value=answer)


def _given(call: Call, sobject: SObject | None = None) -> tuple[dict[str, Any], list[tuple[SObject, Incoming]]]:
    """The body and its records as they were read. Raises ApiError 400 when one cannot be read."""
    body = call.json_object()
    records = body.get("records")
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise ApiError(400, "JSON_PARSER_ERROR", "records: a list of sObjects is expected")
    _limit(records, MAX_RECORDS)
    given: list[tuple[SObject, Incoming]] = []
    for one in records:
        attributes = one.get("attributes")
        kind = attributes.get("type") if isinstance(attributes, dict) else None
        found = call.org.schema.find(kind) if isinstance(kind, str) else sobject
        if found is None or not call.access.may("read", found):
            raise ApiError(400, "INVALID_TYPE", f"sObject type '{kind}' is not supported.")
        if sobject is not None and found is not sobject:
            message = f"Record type {found.name} does not match the type {sobject.name} of the URL"
            raise ApiError(400, "INVALID_TYPE", message)
        given.append((found, read_record(found, one)))
    if len(list(groupby(given, key=lambda one: one[0].name))) > MAX_CHUNKS:
        message = f"Cannot have more than {MAX_CHUNKS} chunks in a single operation. Rearrange the data."
        raise ApiError(400, "INVALID_INPUT", message)
    return body, given


def _run(call: Call, works: Sequence[Work], all_or_none: object) -> Reply:
    items: list[Item] = []
    try:
        with unit(call.org, call.access) as work:
            for one in works:
                items.append(_item(work, one))
            if all_or_none is True and not all(item["success"] for item in items):
                raise _Undo
    except _Undo:
        items = [_failed((_ROLLED_BACK,)) if item["success"] else item for item in items]
    missing = call.take("item_missing") if items else None
    if missing is not None:
        del items[int(missing.get("index", 0)) % len(items)]
    return Reply(value=items)


def _item(work: Unit, one: Work) -> Item:
    try:
        return one(work)
    except Refused as error:
        return _failed(error.problems)


def _failed(problems: Sequence[Problem]) -> Item:
    return {"success": False, "errors": [problem.as_item() for problem in problems]}


def _require_id(sobject: SObject, id_: str) -> None:
    if ids.normal(id_) is None or id_[:3] != sobject.prefix:
        raise refused("MALFORMED_ID", f"{sobject.label} ID: id value of incorrect type: {id_}", "Id")


def _limit(given: Sequence[object], limit: int) -> None:
    if len(given) > limit:
        message = f"record limit reached. cannot submit more than {limit} records into this call"
        raise ApiError(400, "EXCEEDED_ID_LIMIT", message)
