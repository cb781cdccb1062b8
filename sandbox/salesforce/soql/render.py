"""Selected fields: from the SELECT list to functions that make the JSON objects of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.salesforce.access import Access
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.fields import Field, SObject
from sandbox.salesforce.soql.paths import Getter, Scope, reader, resolve
from sandbox.salesforce.soql.tree import AllFields, Path, Query
from sandbox.state import Record, Table

Render = Callable[[Record], dict[str, Any]]
Children = Callable[[Record], Any]
FIELDS_LIMIT = 200  # records of a query with FIELDS()


@dataclass(slots=True)
class Node:
    """What is selected of one object: flat fields, parents by relationship name, children by relationship name."""

    sobject: SObject
    fields: dict[str, Field] = field(default_factory=dict)
    parents: dict[str, tuple[str, Table, Node]] = field(default_factory=dict)
    children: dict[str, Children] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)


def record_url(version: str, sobject: str, id_: str) -> str:
    """The URL of a record as it stands in `attributes`."""
    return f"/services/data/{version}/sobjects/{sobject}/{id_}"


def visible(sobject: SObject, access: Access) -> list[Field]:
    """The fields that the client may see, in their order."""
    return [one for one in sobject.fields.values() if access.sees(sobject, one)]


def select(scope: Scope, query: Query, children: Callable[[Query], tuple[str, Children]]) -> Node:
    """The tree of what is selected; `children` compiles a sub-select: (relationship name, function)."""
    root = Node(scope.sobject)
    for item in query.select:
        if isinstance(item, Path):
            _add(scope, root, item)
        elif isinstance(item, Query):
            name, function = children(item)
            root.children[name] = function
            root.order.append(name)
        elif isinstance(item, AllFields):
            if query.limit is None or query.limit > FIELDS_LIMIT:
                message = f"The SOQL FIELDS function must have a LIMIT of at most {FIELDS_LIMIT}"
                raise ApiError(400, "MALFORMED_QUERY", message)
            for one in visible(scope.sobject, scope.access):
                if item.kind == "all" or one.custom == (item.kind == "custom"):
                    root.fields[one.name] = one
                    root.order.append(one.name)
    return root


def _add(scope: Scope, root: Node, path: Path) -> None:
    found = resolve(scope, path)
    node = root
    for reference, target in found.steps:
        name = str(reference.relationship)
        if name not in node.parents:
            parent = Node(scope.org.schema.objects[target])
            node.parents[name] = (reference.name, scope.org.table(target), parent)
            node.order.append(name)
        node = node.parents[name][2]
    if found.field.name in node.fields:
        raise ApiError(400, "INVALID_FIELD", f"duplicate field selected: {'.'.join(path.parts)}")
    node.fields[found.field.name] = found.field
    node.order.append(found.field.name)


def renderer(node: Node, version: str) -> Render:
    """The function that makes a record's JSON object."""
    kind = node.sobject.name
    prefix = record_url(version, kind, "")
    plain = all(one.type not in ("boolean", "address") for one in node.fields.values())
    if plain and not node.parents and not node.children:
        names = list(node.fields)

        def flat(record: Record) -> dict[str, Any]:
            made: dict[str, Any] = {"attributes": {"type": kind, "url": prefix + record["Id"]}}
            for name in names:
                made[name] = record.get(name)
            return made

        return flat
    parts = [(name, _part(node, name, version)) for name in node.order]

    def whole(record: Record) -> dict[str, Any]:
        made: dict[str, Any] = {"attributes": {"type": kind, "url": prefix + record["Id"]}}
        for name, get in parts:
            made[name] = get(record)
        return made

    return whole


def _part(node: Node, name: str, version: str) -> Getter:
    if name in node.fields:
        return reader(node.fields[name])
    if name in node.children:
        return node.children[name]
    reference, table, parent = node.parents[name]
    render = renderer(parent, version)

    def of_parent(record: Record) -> Any:
        found = table.get(record.get(reference) or "")
        return None if found is None else render(found)

    return of_parent


def columns(node: Node, prefix: str = "") -> list[str]:
    """The flat names of what is selected, `Account.Name` for a parent's, in order; for CSV."""
    names: list[str] = []
    for name in node.order:
        names += columns(node.parents[name][2], f"{prefix}{name}.") if name in node.parents else [prefix + name]
    return names


def flatten(names: Sequence[str], made: Mapping[str, Any]) -> list[Any]:
    """The values of a JSON object under the names of `columns`."""
    row = []
    for name in names:
        value: Any = made
        for part in name.split("."):
            value = None if value is None else value[part]
        row.append(value)
    return row
