"""Associations v4: pairs of records with types. Each is kept twice, once from either side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.hubspot.catalog import ASSOCIATIONS, STANDARD, ObjectType
from sandbox.hubspot.errors import Problem, invalid
from sandbox.hubspot.portal import Portal
from sandbox.state import Record

HUBSPOT, USER = "HUBSPOT_DEFINED", "USER_DEFINED"
Spec = tuple[str, int]  # category, type id
_ORDER = {kind.name: place for place, kind in enumerate(STANDARD)}
_FIRST_FREE = 1001


def default_type(portal: Portal, from_: ObjectType, to: ObjectType) -> Spec:
    """The unlabelled type of a pair. Raises Problem when a custom object is not associated with the other."""
    if not (from_.custom or to.custom):
        known = ASSOCIATIONS.get((from_.name, to.name))
        made = _FIRST_FREE + _ORDER[from_.name] * len(_ORDER) + _ORDER[to.name]
        return HUBSPOT, known[0] if known else made
    for definition in definitions(portal, from_, to):
        if definition["label"] is None:
            return definition["category"], definition["typeId"]
    raise invalid(f"No default association type found between {from_.name} and {to.name}")


def primary_type(from_: ObjectType, to: ObjectType) -> Spec | None:
    known = ASSOCIATIONS.get((from_.name, to.name))
    return (HUBSPOT, known[1]) if known and known[1] else None


def definitions(portal: Portal, from_: ObjectType, to: ObjectType) -> list[Record]:
    """Of types that were added: {id, typeId, category, label, name, from, to, inverse}."""
    table = portal.state.table("association_types")
    return table.index("pair", lambda r: (r["from"], r["to"]))((from_.id, to.id))


def types_of(portal: Portal, from_: ObjectType, to: ObjectType) -> list[dict[str, Any]]:
    """All types of a pair as an answer shows them."""
    shown = []
    if not (from_.custom or to.custom):
        category, type_id = default_type(portal, from_, to)
        primary = primary_type(from_, to)
        if primary:
            shown.append({"category": primary[0], "typeId": primary[1], "label": "Primary"})
        shown.append({"category": category, "typeId": type_id, "label": None})
    return shown + [{key: d[key] for key in ("category", "typeId", "label")} for d in definitions(portal, from_, to)]


def add_type(portal: Portal, from_: ObjectType, to: ObjectType, name: str, labels: tuple[Any, Any]) -> list[Record]:
    """A type and its inverse; a label of None is the unlabelled one."""
    table = portal.state.table("association_types")
    counters = portal.state.table("counters")
    next_ = (counters.get("association") or {"next": 1})["next"]
    counters.put("association", {"next": next_ + 2})
    made = []
    for place, (one, other) in enumerate(((from_, to), (to, from_))):
        row = {"typeId": next_ + place, "inverse": next_ + 1 - place, "category": USER, "label": labels[place]}
        row |= {"name": name, "from": one.id, "to": other.id, "id": str(next_ + place)}
        table.put(row["id"], row)
        made.append(row)
    return made


def read_specs(portal: Portal, from_: ObjectType, to: ObjectType, sent: Any) -> list[Spec]:
    """[{associationCategory, associationTypeId}]. Raises Problem for types that the pair does not have."""
    if not isinstance(sent, list) or not sent or not all(isinstance(one, dict) for one in sent):
        raise invalid("types: a list of {associationCategory, associationTypeId} is required")
    known = {(one["category"], one["typeId"]) for one in types_of(portal, from_, to)}
    specs = []
    for one in sent:
        spec = (one.get("associationCategory"), _number(one.get("associationTypeId")))
        if not isinstance(spec[0], str) or spec not in known:
            raise invalid(f"No association type {spec[1]} ({spec[0]}) exists between {from_.name} and {to.name}")
        specs.append((spec[0], spec[1]))
    return specs


def _number(value: Any) -> int:
    try:
        return int(value) if isinstance(value, int | str) and not isinstance(value, bool) else -1
    except ValueError:
        return -1


def read_id(value: Any) -> str:
    """An id as {"id": ...} or alone: digits. Raises Problem."""
    value = value.get("id") if isinstance(value, dict) else value
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise invalid(f"Invalid object id: {str(value)[:100]}")
    return text


def read_new(portal: Portal, kind: ObjectType, sent: Any) -> list[tuple[ObjectType, str, list[Spec]]]:
    """`associations` of a record that is to be made: [{to: {id}, types}]. Raises Problem."""
    if sent is None:
        return []
    if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
        raise invalid("associations: a list of {to, types} is required")
    wanted = []
    for one in sent:
        to_id, types = read_id(one.get("to")), one.get("types")
        to = _kind_of(portal, kind, types)
        record = portal.find_record(to, to_id)
        if record is None:
            raise invalid(f"{to.label} {to_id} does not exist", id=[to_id])
        default_type(portal, kind, to)
        wanted.append((to, record["id"], read_specs(portal, kind, to, types)))
    return wanted


def _kind_of(portal: Portal, from_: ObjectType, sent: Any) -> ObjectType:
    """Which type of record the first association type leads to."""
    first = sent[0] if isinstance(sent, list) and sent and isinstance(sent[0], dict) else {}
    spec = (first.get("associationCategory"), _number(first.get("associationTypeId")))
    for to in portal.kinds():
        if spec in ((one["category"], one["typeId"]) for one in types_of(portal, from_, to)):
            return to
    raise invalid(f"No association type {spec[1]} ({spec[0]}) exists for {from_.name}")


def add(portal: Portal, from_: ObjectType, id_: str, to: ObjectType, to_id: str, specs: Iterable[Spec]) -> None:
    """Adds types to the pair. The first company of a record becomes its primary one."""
    given = dict.fromkeys([default_type(portal, from_, to), *specs])
    for one, one_id, other, other_id, types in (
        (from_, id_, to, to_id, given),
        (to, to_id, from_, id_, dict.fromkeys(_inverse(portal, from_, to, spec) for spec in given)),
    ):
        primary = primary_type(one, other)
        if primary and other.name == "companies":
            if primary in types:
                _demote(portal, one, one_id, other)
            elif not _has(portal, one, one_id, other):
                types[primary] = None
        _put(portal, one, one_id, other, other_id, types)
        back = _inverse(portal, one, other, primary) if primary and primary in types else None
        if back:
            _put(portal, other, other_id, one, one_id, {back: None})


def _put(portal: Portal, one: ObjectType, id_: str, other: ObjectType, other_id: str, types: Iterable[Spec]) -> None:
    table, key = portal.state.table("associations"), f"{one.id}/{id_}/{other.id}/{other_id}"
    kept = [tuple(spec) for spec in (table.get(key) or {"types": []})["types"]]
    row = {"key": key, "from": one.id, "from_id": id_, "to": other.id, "to_id": other_id}
    table.put(key, row | {"types": [list(spec) for spec in dict.fromkeys([*kept, *types])]})


def _has(portal: Portal, one: ObjectType, id_: str, other: ObjectType) -> bool:
    primary = list(primary_type(one, other) or ())
    return any(primary in row["types"] for row in of(portal, one, id_, other))


def _demote(portal: Portal, one: ObjectType, id_: str, other: ObjectType) -> None:
    """Only one can be primary: what was it is it no more, on either side."""
    primary = primary_type(one, other)
    for row in of(portal, one, id_, other):
        if primary and list(primary) in row["types"]:
            _take(portal, row["key"], [primary])
            _take(portal, f"{row['to']}/{row['to_id']}/{row['from']}/{row['from_id']}",
                  [_inverse(portal, one, other, primary)])  # fmt: skip


def _take(portal: Portal, key: str, specs: Iterable[Spec]) -> None:
    table = portal.state.table("associations")
    row = table.get(key)
    if row is not None:
        gone = [list(spec) for spec in specs]
        left = [spec for spec in row["types"] if spec not in gone]
        table.put(key, row | {"types": left}) if left else table.delete(key)


def _inverse(portal: Portal, from_: ObjectType, to: ObjectType, spec: Spec) -> Spec:
    if spec[0] == USER:
        return USER, portal.state.table("association_types")[str(spec[1])]["inverse"]
    primary = primary_type(from_, to)
    back = primary_type(to, from_)
    return back if primary == spec and back else default_type(portal, to, from_)


def of(portal: Portal, kind: ObjectType, id_: str, to: ObjectType) -> list[Record]:
    """The rows from one record to records of a type, in the order in which they came."""
    table = portal.state.table("associations")
    return table.index("side", lambda r: (r["from"], r["from_id"], r["to"]))((kind.id, id_, to.id))


def remove(portal: Portal, from_: ObjectType, id_: str, to: ObjectType, to_id: str, specs: Iterable[Spec] = ()) -> None:
    """All types of the pair, or only these labels."""
    table = portal.state.table("associations")
    specs = list(specs)
    if specs:
        _take(portal, f"{from_.id}/{id_}/{to.id}/{to_id}", specs)
        _take(portal, f"{to.id}/{to_id}/{from_.id}/{id_}", [_inverse(portal, from_, to, spec) for spec in specs])
        return
    table.delete(f"{from_.id}/{id_}/{to.id}/{to_id}")
    table.delete(f"{to.id}/{to_id}/{from_.id}/{id_}")


def _all(portal: Portal, kind: ObjectType, id_: str) -> list[Record]:
    table = portal.state.table("associations")
    return table.index("record", lambda r: (r["from"], r["from_id"]))((kind.id, id_))


def drop_all(portal: Portal, kind: ObjectType, id_: str) -> None:
    for row in _all(portal, kind, id_):
        table = portal.state.table("associations")
        table.delete(row["key"])
        table.delete(f"{row['to']}/{row['to_id']}/{row['from']}/{row['from_id']}")


def move(portal: Portal, kind: ObjectType, id_: str, new: str) -> None:
    """After a merge: what led to the old id leads to the new one."""
    for row in _all(portal, kind, id_):
        back = portal.state.table("associations").get(f"{row['to']}/{row['to_id']}/{row['from']}/{row['from_id']}")
        to = portal.kind(row["to"])
        remove(portal, kind, id_, to, row["to_id"])
        _put(portal, kind, new, to, row["to_id"], [tuple(spec) for spec in row["types"]])
        if back is not None:
            _put(portal, to, row["to_id"], kind, new, [tuple(spec) for spec in back["types"]])


def shown(portal: Portal, row: Record) -> dict[str, Any]:
    """One row as v4 shows it: {toObjectId, associationTypes}."""
    from_, to = portal.kind(row["from"]), portal.kind(row["to"])
    labels = {(one["category"], one["typeId"]): one["label"] for one in types_of(portal, from_, to)}
    types = [{"category": c, "typeId": t, "label": labels.get((c, t))} for c, t in row["types"]]
    return {"toObjectId": row["to_id"], "associationTypes": types}


def brief(portal: Portal, kind: ObjectType, id_: str, wanted: Iterable[ObjectType]) -> dict[str, Any]:
    """`associations` of a read or a list, as v3 shows them: {companies: {results: [{id, type}]}}; empty ones left out.

    A pair with a primary type shows it as deal_to_company and the plain one as deal_to_company_unlabeled.
    """
    answer: dict[str, Any] = {}
    for to in wanted:
        primary = primary_type(kind, to)
        name = f"{kind.singular}_to_{to.singular}"
        results = []
        for row in of(portal, kind, id_, to):
            for category, type_id in row["types"]:
                plain = (category, type_id) == default_type(portal, kind, to)
                label = f"{name}_unlabeled" if plain and primary else name
                if category == USER and not plain:
                    label = portal.state.table("association_types")[str(type_id)]["name"]
                results.append({"id": row["to_id"], "type": label})
        if results:
            answer[portal.full_name(to).replace("line_items", "line items")] = {"results": results}
    return answer


def existing(portal: Portal, kind: ObjectType, id_: str) -> str:
    """The id that the record has now. Raises Problem (404)."""
    found = portal.find_record(kind, id_)
    if found is None:
        raise Problem(404, "OBJECT_NOT_FOUND", f"{kind.label} {id_} does not exist")
    return str(found["id"])
