"""COUNT(), and the functions over groups: COUNT(x), COUNT_DISTINCT, SUM, MIN, MAX, AVG with GROUP BY."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NoReturn

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.fields import NUMBER_TYPES
from sandbox.salesforce.soql.grammar import complaint
from sandbox.salesforce.soql.paths import Scope, resolve
from sandbox.salesforce.soql.tree import Aggregate, Path, Query
from sandbox.salesforce.values import canonical, round_half_up
from sandbox.state import Record

_AVERAGE_PLACES = 12


def is_aggregate(query: Query) -> bool:
    """Whether the answer is groups, not records."""
    return bool(query.group) or any(isinstance(one, Aggregate) for one in query.select)


def groups(scope: Scope, query: Query, records: Sequence[Record]) -> list[dict[str, Any]]:
    """The AggregateResult objects, in the order in which their groups first appear. Raises ApiError 400."""
    keys = [resolve(scope, path) for path in query.group]
    for path, key in zip(query.group, keys, strict=True):
        if key.field.type == "address":
            _refuse(scope, path, "can not be grouped in a query call")
    names = {tuple(part.lower() for part in scope.local(path)) for path in query.group}
    for item in query.select:
        if isinstance(item, Path) and tuple(part.lower() for part in scope.local(item)) not in names:
            message = f"Field must be grouped or aggregated: {'.'.join(item.parts)}"
            raise ApiError(400, "MALFORMED_QUERY", complaint(scope.text, item.column, message))
    columns = _columns(scope, query)
    found: dict[tuple[Any, ...], list[Record]] = {} if keys else {(): []}
    for record in records:
        found.setdefault(tuple(key.get(record) for key in keys), []).append(record)
    head = {"attributes": {"type": "AggregateResult"}}
    rows = [{**head, **{name: make(members) for name, make in columns}} for members in found.values()]
    return rows[query.offset :][: query.limit]


def _columns(scope: Scope, query: Query) -> list[tuple[str, Callable[[list[Record]], Any]]]:
    columns: list[tuple[str, Callable[[list[Record]], Any]]] = []
    unnamed = 0
    for item in query.select:
        if isinstance(item, Path):
            found = resolve(scope, item)
            columns.append((found.field.name, _first(found.get)))
        elif isinstance(item, Aggregate):
            name = item.alias or f"expr{unnamed}"
            unnamed += item.alias is None
            found = resolve(scope, item.path)
            number = found.field.type in NUMBER_TYPES or found.field.type == "int"
            wrong = found.field.type == "address" or (found.field.type == "boolean" and item.function in ("min", "max"))
            if wrong or (item.function in ("sum", "avg") and not number):
                _refuse(scope, item.path, f"does not support aggregate operator {item.function.upper()}")
            columns.append((name, _over(item.function, found.get)))
        else:
            raise ApiError(400, "MALFORMED_QUERY", "only fields and functions can be selected with GROUP BY")
    return columns


def _refuse(scope: Scope, path: Path, what: str) -> NoReturn:
    message = f"field {'.'.join(scope.local(path))} {what}"
    raise ApiError(400, "MALFORMED_QUERY", complaint(scope.text, path.column, message))


def _first(get: Callable[[Record], Any]) -> Callable[[list[Record]], Any]:
    return lambda members: get(members[0]) if members else None


def _over(function: str, get: Callable[[Record], Any]) -> Callable[[list[Record]], Any]:
    def make(members: list[Record]) -> Any:
        values = [value for value in map(get, members) if value is not None]
        if function == "count":
            return len(values)
        if function == "count_distinct":
            return len(set(values))
        if not values:
            return None
        if function == "min":
            return min(values)
        if function == "max":
            return max(values)
        total = canonical(sum(values, Decimal(0)))
        return total if function == "sum" else round_half_up(total / len(values), _AVERAGE_PLACES)

    return make
