"""Conditions: from the WHERE clause to a function that says whether a record is wanted.

Texts compare without regard to case unless the field is case-sensitive, ids by their 18-character form. A comparison
with a missing value does not hold, apart from `= null`, and from `!=` and NOT IN, which hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

from sandbox.salesforce import ids
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.fields import NUMBER_TYPES, TEXT_TYPES, Field
from sandbox.salesforce.soql.dates import span
from sandbox.salesforce.soql.grammar import complaint
from sandbox.salesforce.soql.paths import Getter, Scope, resolve
from sandbox.salesforce.soql.tree import Compare, Condition, In, Junction, Literal, Path, Query
from sandbox.salesforce.values import parse_instant, stamp
from sandbox.state import Record

Predicate = Callable[[Record], bool]
SubSelect = Callable[[Query], set[Any]]
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_IDS = ("id", "reference")


def compile_condition(scope: Scope, condition: Condition, subselect: SubSelect) -> Predicate:
    """The function for a condition; `subselect` gives the values of an inner query. Raises ApiError 400."""
    if isinstance(condition, Junction):
        parts = [compile_condition(scope, part, subselect) for part in condition.parts]
        return _both(parts) if condition.word == "and" else lambda record: any(part(record) for part in parts)
    if isinstance(condition, Compare):
        return _compare(scope, condition)
    if isinstance(condition, In):
        return _in(scope, condition, subselect)
    inner = compile_condition(scope, condition.part, subselect)
    return lambda record: not inner(record)


def _both(parts: list[Predicate]) -> Predicate:
    if len(parts) == 2:
        first, second = parts
        return lambda record: first(record) and second(record)
    return lambda record: all(part(record) for part in parts)


def _in(scope: Scope, condition: In, subselect: SubSelect) -> Predicate:
    found = resolve(scope, condition.path)
    field, get = found.field, folded(found.field, found.get)
    if isinstance(condition.values, Query):
        wanted = subselect(condition.values)
    else:
        wanted = {value_of(scope, condition.path, field, literal) for literal in condition.values}
    if condition.negated:
        return lambda record: get(record) not in wanted
    return lambda record: get(record) in wanted


def _compare(scope: Scope, condition: Compare) -> Predicate:
    found = resolve(scope, condition.path)
    field, word, literal = found.field, condition.operator, condition.value
    if word == "like":
        return _like(scope, condition.path, field, found.get, literal)
    if literal.kind == "dateliteral":
        return _within(scope, condition.path, field, found.get, word, literal)
    get = folded(field, found.get)
    value = value_of(scope, condition.path, field, literal)
    if word == "=":
        return lambda record: get(record) == value
    if word == "!=":
        return lambda record: get(record) != value
    if field.type == "boolean":
        raise _operator_error(scope, condition.path, field)
    return _ordered(get, _ORDERINGS[word], value)


def _ordered(get: Getter, compare: Callable[[Any, Any], bool], value: Any) -> Predicate:
    if value is None:
        return lambda record: False

    def holds(record: Record) -> bool:
        found = get(record)
        return found is not None and compare(found, value)

    return holds


def _like(scope: Scope, path: Path, field: Field, get: Getter, literal: Literal) -> Predicate:
    if field.type not in TEXT_TYPES:
        raise _operator_error(scope, path, field)
    matches = like_pattern(literal.value).fullmatch

    def holds(record: Record) -> bool:
        found = get(record)
        return found is not None and matches(found) is not None

    return holds


def like_pattern(text: str) -> re.Pattern[str]:
    r"""`%` is any text, `_` any character; `\%` and `\_` are themselves."""
    parts = re.findall(r"\\.|.", text, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    pattern = "".join(wild.get(part) or re.escape(part[-1] if part[0] == "\\" else part) for part in parts)
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


def _within(scope: Scope, path: Path, field: Field, get: Getter, word: str, literal: Literal) -> Predicate:
    name, number = literal.value
    days = span(name, number, scope.org.now().date())
    if days is None:
        shown = name if number is None else f"{name}:{number}"
        raise ApiError(400, "MALFORMED_QUERY", complaint(scope.text, path.column, f"unexpected token: '{shown}'"))
    if field.type not in ("date", "datetime"):
        raise _type_error(scope, path, field)
    texts = [day.isoformat() if field.type == "date" else stamp(datetime.combine(day, time(), UTC)) for day in days]
    start, end = texts
    if word == "=":
        return lambda record: (found := get(record)) is not None and start <= found < end
    if word == "!=":
        return lambda record: (found := get(record)) is None or not start <= found < end
    edge = end if word in ("<=", ">") else start
    return _ordered(get, operator.lt if word[0] == "<" else operator.ge, edge)


def folded(field: Field, get: Getter) -> Getter:
    """Reads a text as it is compared: mostly without its case. Ids, dates and instants stay."""
    if field.type not in TEXT_TYPES or field.case_sensitive:
        return get

    def fold(record: Record) -> Any:
        value = get(record)
        return value.casefold() if isinstance(value, str) else value

    return fold


def value_of(scope: Scope, path: Path, field: Field, literal: Literal) -> Any:
    """The literal as a value of the field, as it is compared. Raises ApiError 400 for the wrong type."""
    kind, value = literal.kind, literal.value
    if kind == "null":
        return False if field.type == "boolean" else None
    if kind == "string":
        if field.type in _IDS:
            whole = ids.normal(value)
            if whole is None:
                raise ApiError(
                    400, "INVALID_QUERY_FILTER_OPERATOR", _message(scope, path, f"invalid ID field: {value}")
                )
            return whole
        if field.type in TEXT_TYPES:
            return value if field.case_sensitive else value.casefold()
    elif (
        (kind == "number" and (field.type in NUMBER_TYPES or field.type == "int"))
        or (kind == "boolean" and field.type == "boolean")
        or (kind == "date" and field.type == "date")
    ):
        return value
    elif kind == "datetime" and field.type == "datetime":
        moment = parse_instant(value.replace("Z", "+00:00").replace("z", "+00:00"))
        if moment is not None:
            return stamp(moment)
    raise _type_error(scope, path, field)


def _type_error(scope: Scope, path: Path, field: Field) -> ApiError:
    name = ".".join(scope.local(path))
    if field.type in TEXT_TYPES or field.type in _IDS:
        rest = "must be of type string and should be enclosed in quotes"
    else:
        word = "dateTime" if field.type == "datetime" else field.type
        rest = f"must be of type {word} and should not be enclosed in quotes"
    return ApiError(400, "INVALID_FIELD", _message(scope, path, f"value of filter criterion for field '{name}' {rest}"))


def _operator_error(scope: Scope, path: Path, field: Field) -> ApiError:
    return ApiError(
        400, "INVALID_QUERY_FILTER_OPERATOR", _message(scope, path, f"invalid operator on {field.type} field")
    )


def _message(scope: Scope, path: Path, message: str) -> str:
    return complaint(scope.text, path.column, message)
