"""Running a query: which records, in which order, and what the answer holds of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce.access import Access
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.fields import Field
from sandbox.salesforce.org import Org
from sandbox.salesforce.soql import render
from sandbox.salesforce.soql.aggregate import groups, is_aggregate
from sandbox.salesforce.soql.conditions import compile_condition, folded, value_of
from sandbox.salesforce.soql.grammar import complaint, parse
from sandbox.salesforce.soql.paths import Scope, resolve, scope_of
from sandbox.salesforce.soql.tree import Compare, Condition, CountAll, In, Junction, Path, Query
from sandbox.state import Record

MAX_OFFSET = 2000
Nested = Callable[["Plan", list[Record]], Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A query that was understood. `text` is where messages point to."""

    query: Query
    scope: Scope
    node: render.Node | None  # None when the answer is not records: COUNT(), GROUP BY

    @property
    def counts(self) -> bool:
        return isinstance(self.query.select[0], CountAll)


@dataclass(frozen=True, slots=True)
class Options:
    """How a query is run: with deleted records, as which version, without what was changed since `stale_from`."""

    version: str
    include_deleted: bool = False
    stale_from: str | None = None


def understand(org: Org, access: Access, text: str, options: Options, nested: Nested) -> Plan:
    """Parses and looks all names up; `nested` makes the answer of a sub-select. Raises ApiError 400."""
    query = parse(text)
    scope = scope_of(org, access, query, text)
    if query.offset > MAX_OFFSET:
        raise ApiError(400, "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {MAX_OFFSET}")
    if any(isinstance(one, CountAll) for one in query.select):
        if len(query.select) > 1:
            raise ApiError(400, "MALFORMED_QUERY", "COUNT() must be the only element in the SELECT list")
        return Plan(query, scope, None)
    if is_aggregate(query):
        groups(scope, query, [])
        return Plan(query, scope, None)
    return Plan(query, scope, render.select(scope, query, lambda inner: _child(scope, inner, options, nested)))


def records(plan: Plan, options: Options) -> list[Record]:
    """The records that the query finds, sorted and cut. Raises ApiError 400."""
    query, scope = plan.query, plan.scope
    found = _filtered(scope, query.where, _candidates(scope, query.where), options)
    return _cut(scope, query, found)


def aggregated(plan: Plan, options: Options) -> list[dict[str, Any]]:
    """The groups of a query with GROUP BY or functions."""
    found = _filtered(plan.scope, plan.query.where, _candidates(plan.scope, plan.query.where), options)
    _sort(plan.scope, plan.query, found)  # groups come in the order of their first records
    return groups(plan.scope, plan.query, found)


def _filtered(scope: Scope, where: Condition | None, candidates: Iterable[Record], options: Options) -> list[Record]:
    kept: Iterable[Record] = candidates
    if not options.include_deleted:
        kept = (one for one in kept if not one["IsDeleted"])
    if options.stale_from is not None:
        limit = options.stale_from
        kept = (one for one in kept if one["SystemModstamp"] < limit)
    if where is not None:
        holds = compile_condition(scope, where, lambda inner: _semi_join(scope, inner, options))
        kept = (one for one in kept if holds(one))
    return list(kept)


def _sort(scope: Scope, query: Query, found: list[Record]) -> None:
    for sort in reversed(query.order):
        where = resolve(scope, sort.path)
        if where.field.type == "address":
            message = f"field '{where.field.name}' can not be sorted in a query call"
            raise ApiError(400, "MALFORMED_QUERY", complaint(scope.text, sort.path.column, message))
        get = folded(where.field, where.get)
        # A missing value comes first unless asked otherwise; reversing the order would turn that round.
        first = sort.nulls_last == sort.descending
        found.sort(key=_sort_key(get, 0 if first else 2), reverse=sort.descending)


def _cut(scope: Scope, query: Query, found: list[Record]) -> list[Record]:
    _sort(scope, query, found)
    end = None if query.limit is None else query.offset + query.limit
    return found[query.offset : end] if query.offset or end is not None else found


def _sort_key(get: Callable[[Record], Any], null_rank: int) -> Callable[[Record], Any]:
    def key(record: Record) -> Any:
        value = get(record)
        return (null_rank,) if value is None else (1, value)

    return key


def _candidates(scope: Scope, where: Condition | None) -> Iterable[Record]:
    """The records that can fulfil the condition at all: by an index where one fits, else all."""
    for part in _conjuncts(where):
        if isinstance(part, In) and not part.negated and isinstance(part.values, tuple):
            literals = part.values
        elif isinstance(part, Compare) and part.operator == "=":
            literals = (part.value,)
        else:
            continue
        found = resolve(scope, part.path)
        literal_only = all(one.kind not in ("null", "dateliteral") for one in literals)
        if not found.steps and literal_only and (found.field.indexed or found.field.name == "Id"):
            values = dict.fromkeys(value_of(scope, part.path, found.field, one) for one in literals)
            return list(_by_index(scope, found.field, values))
    return scope.org.table(scope.sobject.name).values()


def _by_index(scope: Scope, field: Field, values: Mapping[Any, None]) -> Iterator[Record]:
    table = scope.org.table(scope.sobject.name)
    if field.name == "Id":
        yield from (record for record in map(table.get, values) if record is not None)
        return
    index = scope.org.index(scope.sobject, field)
    for value in values:
        yield from index(value)


def _conjuncts(where: Condition | None) -> tuple[Condition, ...]:
    if where is None:
        return ()
    if isinstance(where, Junction):
        return where.parts if where.word == "and" else ()
    return (where,)


def _semi_join(scope: Scope, query: Query, options: Options) -> set[Any]:
    if len(query.select) != 1 or not isinstance(query.select[0], Path):
        message = "The inner query of a semi join must select exactly one field"
        raise ApiError(400, "MALFORMED_QUERY", complaint(scope.text, query.column, message))
    inner = scope_of(scope.org, scope.access, query, scope.text)
    wanted = resolve(inner, query.select[0])
    get = folded(wanted.field, wanted.get)
    found = _filtered(inner, query.where, _candidates(inner, query.where), options)
    return {value for value in map(get, found) if value is not None}


def _child(scope: Scope, query: Query, options: Options, nested: Nested) -> tuple[str, render.Children]:
    org, name = scope.org, query.source
    known = org.schema.children[scope.sobject.name].get(name.lower())
    child = org.schema.objects[known[0]] if known else None
    if known is None or child is None or not scope.access.may("read", child):
        message = (
            f"Didn't understand relationship '{name}' in FROM part of query call. If you are attempting to use a custom"
            " relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL"
            " or the describe call for the appropriate names."
        )
        raise ApiError(400, "INVALID_TYPE", complaint(scope.text, query.column, message))
    reference = known[1]
    inner = Scope(org, scope.access, child, query.alias, scope.text)
    plan = Plan(query, inner, render.select(inner, query, lambda deeper: _child(inner, deeper, options, nested)))
    index = org.index(child, reference)

    def of_parent(record: Record) -> Any:
        found = _filtered(inner, query.where, index(record["Id"]), options)
        return nested(plan, _cut(inner, query, found)) if found else None

    return str(reference.children), of_parent
