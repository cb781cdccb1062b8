"""Runs a query: which index gives the candidates, which conditions are left, in which order, which page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

from sandbox.ordered import MAX_ID, number
from sandbox.quickbooks import reference
from sandbox.quickbooks.books import ENTITIES, NAME_OF, TRANSACTIONS, Books, ref_of
from sandbox.quickbooks.errors import query_invalid
from sandbox.quickbooks.fields import FIELDS
from sandbox.quickbooks.language import Condition, Query, parse
from sandbox.state import Record

MAX_RESULTS = 1000
DEFAULT_RESULTS = 100
_TIMES = ("MetaData.CreateTime", "MetaData.LastUpdatedTime")
_SALE = "Id DocNumber TxnDate DueDate ShipDate CustomerRef SalesTermRef Balance TotalAmt EmailStatus PrintStatus"
# What Intuit's pages call filterable; of entities that are not here every plain field is.
_FILTERABLE = {
    "Invoice": _SALE,
    "CreditMemo": _SALE,
    "RefundReceipt": _SALE,
    "SalesReceipt": _SALE,
    "Payment": "Id DocNumber TxnDate CustomerRef TotalAmt PaymentRefNum PaymentMethodRef",
    "Purchase": "Id DocNumber TxnDate TotalAmt PaymentType AccountRef",
    "Customer": (
        "Id DisplayName FullyQualifiedName GivenName MiddleName FamilyName CompanyName PrintOnCheckName Active"
        " Balance PrimaryEmailAddr Job ParentRef CurrencyRef Taxable"
    ),
}
_EXTRA = {
    "TaxCode": {"Id": "string", "Name": "string", "Active": "boolean", "Taxable": "boolean", "Description": "string"},
    "TaxRate": {"Id": "string", "Name": "string", "Active": "boolean", "RateValue": "decimal"},
    "CompanyInfo": {"Id": "string", "CompanyName": "string", "Country": "string"},
    "Preferences": {"Id": "string"},
}
Test = Callable[[Record], bool]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "<": lambda a, b: bool(a < b),
    ">": lambda a, b: bool(a > b),
    "<=": lambda a, b: bool(a <= b),
    ">=": lambda a, b: bool(a >= b),
}


def run(books: Books, text: str, unseen: datetime | None = None) -> dict[str, Any]:
    """What stands under QueryResponse. `unseen`: what was created after it is not shown (a stale read).

    Raises Refused 4000 and 4001.
    """
    query = parse(text)
    entity = NAME_OF.get(query.entity.lower())
    if entity is None:
        raise query_invalid(f"Entity {query.entity} is not supported; known are {', '.join(ENTITIES)}")
    start, most = query.start, query.most
    if start is not None and start < 1:
        raise query_invalid("startposition must be a whole number of at least 1")
    if most is not None and not 1 <= most <= MAX_RESULTS:
        raise query_invalid(f"maxresults must be a whole number from 1 to {MAX_RESULTS}")
    for field in query.fields:
        _known(entity, field)
    found = _found(books, entity, query)
    if unseen is not None:
        found = (record for record in found if record["MetaData"]["CreateTime"] <= unseen)
    if query.is_count:
        return {"totalCount": sum(1 for _ in found)}
    first = (start or 1) - 1
    page = list(islice(found, first, first + (most or DEFAULT_RESULTS)))
    if not page:
        return {}
    shown = [_selected(books.view(record), query.fields) for record in page]
    return {entity: shown, "startPosition": first + 1, "maxResults": len(page)}


def _selected(shown: Record, fields: tuple[str, ...]) -> Record:
    if "*" in fields:
        return shown
    part: Record = {"domain": "QBO", "sparse": True}
    for field in fields:
        name, _, inner = field.partition(".")
        if name in shown:
            part[name] = {**part.get(name, {}), inner: shown[name].get(inner)} if inner else shown[name]
    return part


def _known(entity: str, field: str) -> None:
    name, _, inner = field.partition(".")
    if field == "*" or field in _TIMES or (not inner and (name in _kinds(entity) or name == "MetaData")):
        return
    if inner and _kinds(entity).get(name) in FIELDS and inner in FIELDS[_kinds(entity)[name]]:
        return
    raise query_invalid(f"Property {field} not found for Entity {entity}")


def _kinds(entity: str) -> dict[str, str]:
    return dict(FIELDS[entity]) if entity in FIELDS else _EXTRA[entity]


def _found(books: Books, entity: str, query: Query) -> Iterator[Record]:
    """The records that fit, in the order that is asked."""
    kinds = _kinds(entity)
    conditions = list(query.where)
    if "Active" in kinds and not any(condition.field == "Active" for condition in conditions):
        conditions.append(Condition("Active", "=", (True,)))  # inactive ones show only when they are asked for
    tests = [_test(books, entity, condition) for condition in conditions]
    order = [(field, down, _getter(books, entity, field)) for field, down in query.order]
    records, sorted_by = _candidates(books, entity, query)
    if tests:
        records = (record for record in records if all(test(record) for test in tests))
    if order and [(field, down) for field, down, _ in order] != sorted_by:
        kept = list(records)
        for _, down, get in reversed(order):
            kept.sort(key=lambda record, get=get: _sortable(get(record)), reverse=down)  # type: ignore[misc]
        records = iter(kept)
    return iter(records)


def _candidates(books: Books, entity: str, query: Query) -> tuple[Iterable[Record], list[tuple[str, bool]]]:
    """(records that may fit, the order they are in)."""
    if entity not in books.sorted:
        return reference.virtual(books, entity), []
    reference.refresh(books, entity)
    table, ordered = books.table(entity), books.sorted[entity]
    for condition in query.where:
        keys = [str(value) for value in condition.values]
        if condition.operator in ("=", "in") and condition.field == "Id":
            found = sorted({key for key in keys if key in table}, key=number)
            return [table[key] for key in found], [("Id", False)]
        index = books.equal[entity].get(condition.field)
        if condition.operator in ("=", "in") and index is not None:
            wanted = keys if condition.field == "CustomerRef" else [key.lower() for key in keys]
            return [record for key in dict.fromkeys(wanted) for record in index(key)], []
    by = query.order[0][0] if len(query.order) == 1 and query.order[0][0] in ordered else None
    for field in (by, "MetaData.LastUpdatedTime", "TxnDate"):
        low, high = _bounds(books, entity, field, query.where) if field in ordered else (None, None)
        if field and (field == by or low or high):
            index_ = ordered[field]
            down = bool(by == field and query.order[0][1])
            places = index_.span(low, high)
            ids = index_.ids(places[::-1] if down else places)
            return (table[id_] for id_ in ids), [(field, down)]
    everything = ordered["Id"].span(None, None)
    ids = ordered["Id"].ids(everything[::-1] if entity in TRANSACTIONS else everything)
    return (table[id_] for id_ in ids), []


def _bounds(books: Books, entity: str, field: str | None, where: tuple[Condition, ...]) -> Any:
    """The tightest bounds that the conditions set on the field, each (value, whether it is inside) or None."""
    low: Any = None
    high: Any = None
    for condition in where:
        if condition.field != field or field == "Id" or condition.operator in ("in", "like"):
            continue
        value = _literal(books, entity, condition.field, condition.values[0])
        inside = "=" in condition.operator
        if condition.operator in (">", ">=", "=") and (low is None or value >= low[0]):
            low = (value, inside)
        if condition.operator in ("<", "<=", "=") and (high is None or value <= high[0]):
            high = (value, inside)
    return low, high


def _test(books: Books, entity: str, condition: Condition) -> Test:
    _check_filterable(entity, condition.field)
    get = _getter(books, entity, condition.field)
    if condition.operator == "like":
        pattern = ".*".join(re.escape(part) for part in str(condition.values[0]).split("%"))
        matches = re.compile(pattern, re.IGNORECASE | re.DOTALL).fullmatch
        return lambda record: matches(str(get(record) or "")) is not None
    values = [_literal(books, entity, condition.field, value) for value in condition.values]
    if condition.operator == "in":
        wanted = set(values)
        return lambda record: get(record) in wanted
    compare, value = _COMPARE[condition.operator], values[0]

    def test(record: Record) -> bool:
        found = get(record)
        return found is not None and compare(found, value)

    return test


def _check_filterable(entity: str, field: str) -> None:
    kinds = _kinds(entity)
    kind = kinds.get(field, "")
    plain = kind in ("string", "decimal", "boolean", "date", "ReferenceType", "EmailAddress")
    known = field in _TIMES or (plain and (entity not in _FILTERABLE or field in _FILTERABLE[entity].split()))
    if not known:
        word = "is not queryable" if field in kinds else "not found"
        raise query_invalid(f"Property {field} {word} for Entity {entity}")


def _getter(books: Books, entity: str, field: str) -> Callable[[Record], Any]:
    """The value of a field as it is compared: texts without regard to case, ids as numbers, references by value."""
    if field in _TIMES:
        name = field.partition(".")[2]
        return lambda record: record["MetaData"].get(name)
    kind = _kinds(entity).get(field, "")
    if field == "Id":
        return lambda record: number(record["Id"])
    if kind == "ReferenceType":
        return lambda record: ref_of(record, field)
    if kind == "EmailAddress":
        return lambda record: (record.get(field) or {}).get("Address", "").lower()
    if kind == "string":
        return lambda record: record[field].lower() if record.get(field) is not None else None
    if kind in ("decimal", "boolean", "date"):
        return lambda record: record.get(field)
    raise query_invalid(f"Property {field} not found for Entity {entity}")


def _literal(books: Books, entity: str, field: str, value: str | Decimal | bool) -> Any:
    kind = "time" if field in _TIMES else _kinds(entity).get(field, "")
    wrong = query_invalid(f"Property {field} of Entity {entity} cannot be compared with {value}")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if field == "Id":
        if text in ("TAX", "NON"):
            return -1
        return int(text) if text.isdecimal() and len(text) <= MAX_ID else -2  # -2: no record has it
    try:
        if kind == "time":
            return read_time(books, text)
        if kind == "decimal":
            amount = Decimal(text)
            if not amount.is_finite():  # nothing is more or less than NaN
                raise wrong
            return amount
        if kind == "date":
            return datetime.fromisoformat(text).date().isoformat()
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
    except (ValueError, InvalidOperation, KeyError):
        raise wrong from None
    return text if kind == "ReferenceType" else text.lower()


def read_time(books: Books, text: str) -> datetime:
    """An ISO date, with or without time and offset; without an offset it is the company's own. Raises ValueError."""
    # A plus that was not escaped in the URL arrives as a space.
    moment = datetime.fromisoformat(re.sub(r"(T.*) (\d\d:\d\d)$", r"\1+\2", text))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=books.zone)
    if not datetime(1900, 1, 1, tzinfo=UTC) < moment < datetime(9000, 1, 1, tzinfo=UTC):
        raise ValueError(text)
    return moment.astimezone(UTC)


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)
