"""/crm/v4: associations of one record, of batches, and the labels of pairs."""

from __future__ import annotations

from typing import Any

from sandbox.hubspot import associations as links
from sandbox.hubspot.associations import read_id
from sandbox.hubspot.call import Call
from sandbox.hubspot.catalog import ObjectType
from sandbox.hubspot.errors import Problem, invalid

MOST_READ, MOST_WRITTEN = 1000, 2000
Pair = tuple[ObjectType, ObjectType]


def _pair(call: Call) -> Pair:
    return call.kind("type"), call.kind("to_type")


def listing(call: Call) -> Any:
    kind, to = _pair(call)
    id_ = call.portal.record(kind, call.id())["id"]
    return _page(call, links.of(call.portal, kind, id_, to), call.one("after"), call.limit(500, 500))


def _page(call: Call, rows: list[Any], after: Any, limit: int) -> dict[str, Any]:
    """From the id `after` on."""
    rows = sorted(rows, key=lambda row: int(row["to_id"]))
    if after is not None:
        first = int(read_id(after))
        rows = [row for row in rows if int(row["to_id"]) >= first]
    answer: dict[str, Any] = {"results": [links.shown(call.portal, row) for row in rows[:limit]]}
    if len(rows) > limit:
        answer["paging"] = call.next_page(rows[limit]["to_id"])
    return answer


def put_default(call: Call) -> Any:
    kind, to = _pair(call)
    pair = {"from": {"id": call.args["id"]}, "to": {"id": call.args["to_id"]}}
    return 200, _answer(call, [_associate_default(call, kind, to, pair)], [])


def put(call: Call) -> Any:
    kind, to = _pair(call)
    id_ = links.existing(call.portal, kind, call.id())
    to_id = links.existing(call.portal, to, call.id("to_id"))
    return 201, _associate(call, kind, to, id_, to_id, call.json())


def remove(call: Call) -> Any:
    kind, to = _pair(call)
    links.remove(call.portal, kind, call.id(), to, call.id("to_id"))
    return 204, None


def batch_read(call: Call) -> Any:
    """{from, to, paging} for each record that has some; what has none is an error of the 207, as HubSpot has it."""
    kind, to = _pair(call)
    results, errors = [], []
    for one in call.inputs(MOST_READ, "association"):
        id_ = read_id(one.get("id"))
        record = call.portal.find_record(kind, id_)
        page = _page(call, links.of(call.portal, kind, record["id"], to) if record else [], one.get("after"), 500)
        if page["results"]:
            results.append({"from": {"id": id_}, "to": page["results"]} | {k: page[k] for k in page if k == "paging"})
        else:
            message = f"No {to.singular} is associated with {kind.singular} {id_}."
            problem = Problem(404, "OBJECT_NOT_FOUND", message, context={"fromObjectId": [id_]},
                              sub_category="crm.associations.NO_ASSOCIATIONS_FOUND")  # fmt: skip
            errors.append(problem.item(None) | {"subCategory": problem.sub_category})
    return (207 if errors else 200), _answer(call, results, errors)


def batch_create(call: Call) -> Any:
    """A pair that cannot be made is an error of its own."""
    kind, to = _pair(call)
    results, errors = [], []
    for one in call.inputs(MOST_WRITTEN, "association"):
        try:
            id_ = links.existing(call.portal, kind, read_id(one.get("from")))
            to_id = links.existing(call.portal, to, read_id(one.get("to")))
            results.append(_associate(call, kind, to, id_, to_id, one.get("types")))
        except Problem as problem:
            errors.append(problem.item(None))
    return (207 if errors else 201), _answer(call, results, errors)


def batch_default(call: Call) -> Any:
    kind, to = _pair(call)
    results, errors = [], []
    for one in call.inputs(MOST_WRITTEN, "association"):
        try:
            results.append(_associate_default(call, kind, to, one))
        except Problem as problem:
            errors.append(problem.item(None))
    return (207 if errors else 200), _answer(call, results, errors)


def batch_archive(call: Call) -> Any:
    """[{from, to: [...]}]: whole pairs."""
    kind, to = _pair(call)
    pairs = []
    for one in call.inputs(MOST_WRITTEN, "association"):
        sent = one.get("to")
        pairs += [(read_id(one.get("from")), read_id(other)) for other in (sent if isinstance(sent, list) else [sent])]
    for id_, to_id in pairs:
        links.remove(call.portal, kind, id_, to, to_id)
    return 204, None


def batch_unlabel(call: Call) -> Any:
    """[{from, to, types}]: these types only."""
    kind, to = _pair(call)
    for one in call.inputs(MOST_WRITTEN, "association"):
        specs = links.read_specs(call.portal, kind, to, one.get("types"))
        links.remove(call.portal, kind, read_id(one.get("from")), to, read_id(one.get("to")), specs)
    return 204, None


def labels(call: Call) -> Any:
    return {"results": links.types_of(call.portal, *_pair(call))}


def add_label(call: Call) -> Any:
    """{label, name, inverseLabel}: a type for each way."""
    kind, to = _pair(call)
    sent = call.object()
    label, name, inverse = sent.get("label"), sent.get("name"), sent.get("inverseLabel")
    if not isinstance(label, str) or not isinstance(name, str) or not isinstance(inverse, str | None):
        raise invalid("Some required fields were not set: [label, name]")
    if any(one["name"] == name for one in links.definitions(call.portal, kind, to)):
        raise invalid(f"An association label with the name {name} already exists")
    made = links.add_type(call.portal, kind, to, name, (label, inverse or label))
    return 200, {"results": [{key: row[key] for key in ("category", "typeId", "label")} for row in made]}


def _associate(call: Call, kind: ObjectType, to: ObjectType, id_: str, to_id: str, types: Any) -> dict[str, Any]:
    specs = links.read_specs(call.portal, kind, to, types)
    links.add(call.portal, kind, id_, to, to_id, specs)
    named = {(one["category"], one["typeId"]): one["label"] for one in links.types_of(call.portal, kind, to)}
    shown = [named[spec] for spec in specs if named.get(spec)]
    answer = {"fromObjectTypeId": kind.id, "fromObjectId": id_, "toObjectTypeId": to.id, "toObjectId": to_id}
    return answer | {"labels": shown}


def _associate_default(call: Call, kind: ObjectType, to: ObjectType, one: dict[str, Any]) -> dict[str, Any]:
    id_ = links.existing(call.portal, kind, read_id(one.get("from")))
    to_id = links.existing(call.portal, to, read_id(one.get("to")))
    category, type_id = links.default_type(call.portal, kind, to)
    links.add(call.portal, kind, id_, to, to_id, [])
    spec = {"associationCategory": category, "associationTypeId": type_id}
    return {"from": {"id": id_}, "to": {"id": to_id}, "associationSpec": spec}


def _answer(call: Call, results: list[Any], errors: list[Any]) -> dict[str, Any]:
    now = call.portal.now()
    answer: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
    return answer | ({"numErrors": len(errors), "errors": errors} if errors else {})
