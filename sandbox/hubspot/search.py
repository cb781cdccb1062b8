"""/crm/v3/objects/{type}/search: groups of filters (OR of ANDs), one sort, 200 a page, 10,000 in all, a lagging index.

A filter on the time of the last change, or on the id, bounds what is looked at; only that is scanned.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.hubspot import records
from sandbox.hubspot.associations import of
from sandbox.hubspot.call import Call, names
from sandbox.hubspot.catalog import ObjectType
from sandbox.hubspot.errors import invalid
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.values import as_text
from sandbox.hubspot.wire import millis, read_moment
from sandbox.state import Record

PAGE, MOST, FURTHEST = 10, 200, 10_000
GROUPS, FILTERS, ALL_FILTERS = 5, 6, 18
_KEPT = 8  # answers of searches that are kept while nothing changes

Test = Callable[[Record], bool]
Bounds = tuple[int, int]  # milliseconds, both ends in
_OPEN: Bounds = (-(10**18), 10**18)


class Searches:
    """The ids that the latest searches found, so that their next pages need no new scan."""

    def __init__(self) -> None:
        self._found: dict[Any, list[str]] = {}

    def forget(self) -> None:
        self._found.clear()

    def ids(self, key: Any, find: Callable[[], list[str]]) -> list[str]:
        if key not in self._found:
            while len(self._found) >= _KEPT:
                del self._found[next(iter(self._found))]
            self._found[key] = find()
        return self._found[key]


def search(searches: Searches, call: Call) -> Any:
    kind, sent, portal = call.kind(), call.object(), call.portal
    limit = _whole(sent.get("limit", PAGE), "limit", 1, MOST)
    after = _whole(sent.get("after") or 0, "after", 0, 10**9)
    if after + limit > FURTHEST:
        raise invalid(f"A search answers at most {FURTHEST} results: after {after} and limit {limit} go beyond it.")
    wanted = names(sent.get("properties"), "properties")
    tests, bounds = _groups(portal, kind, sent.get("filterGroups"))
    text = sent.get("query")
    if text is not None and not isinstance(text, str):
        raise invalid("query: a text is required")
    order = _sort(portal, kind, sent.get("sorts"))
    lag, hidden = float(portal.setting("search_lag_seconds")), call.hidden_since()

    def find() -> list[str]:
        chosen = _candidates(portal, kind, bounds, lag)
        chosen = [r for r in chosen if _fits(tests, r) and (not text or _mentions(r, text))]
        if hidden is not None:
            chosen = [record for record in chosen if record["created"] < hidden]
        return [record["id"] for record in order(chosen)]

    asked = json.dumps([sent.get("filterGroups"), sent.get("sorts"), text], default=str)
    version = portal.by_modified(kind).version
    if lag or hidden is not None or "associations." in asked:
        ids = find()
    else:
        ids = searches.ids((kind.id, asked, version), find)
    page = ids[after : after + limit]
    shown = [records.view(portal, kind, one, wanted) for one in _seen(portal, kind, page, lag)]
    answer: dict[str, Any] = {"total": len(ids), "results": shown}
    if after + limit < len(ids):
        answer["paging"] = {"next": {"after": str(after + limit)}}
    return answer


def _whole(value: Any, name: str, least: int, most: int) -> int:
    try:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError
        number = int(value)
    except ValueError:
        raise invalid(f"{name}: a whole number is required") from None
    if not least <= number <= most:
        raise invalid(f"{name} must be from {least} to {most}; it was {str(number)[:40]}")
    return number


def _candidates(portal: Portal, kind: ObjectType, bounds: Bounds, lag: float) -> list[Record]:
    """Records as the index has them, whose last change is within the bounds."""
    keys, table = portal.by_modified(kind).keys, portal.records(kind)
    first, last = bisect_left(keys, (bounds[0], 0)), bisect_right(keys, (bounds[1], 10**30))
    if not lag:
        return [table[str(id_)] for _, id_ in keys[first:last]]
    cut = bisect_right(keys, (millis(portal.now() - timedelta(seconds=lag)), 10**30))
    known = [table[str(id_)] for _, id_ in keys[first : min(last, cut)]]
    older = [old for _, id_ in keys[cut:] if (old := table[str(id_)].get("_indexed")) is not None]
    gone = [
        one for id_, one in records.lingering(portal, kind).items() if bounds[0] <= millis(one["updated"]) <= bounds[1]
    ]
    return known + older + gone


def _seen(portal: Portal, kind: ObjectType, ids: list[str], lag: float) -> Iterator[Record]:
    """Records as an answer shows them: as the index has them, or as they are now where the setting says so."""
    table, gone = portal.records(kind), records.lingering(portal, kind) if lag else {}
    live = not lag or portal.setting("search_shows") == "record"
    since = portal.now() - timedelta(seconds=lag)
    for id_ in ids:
        record = table.get(id_)
        if record is None or record["archived"]:
            yield gone[id_]
        elif live or record["updated"] <= since:
            yield record
        else:
            yield record.get("_indexed") or record


def _fits(tests: list[list[Test]], record: Record) -> bool:
    return not tests or any(all(test(record) for test in group) for group in tests)


def _mentions(record: Record, text: str) -> bool:
    lower = text.lower()
    return any(lower in value.lower() for value in record["properties"].values())


# Filters


def _groups(portal: Portal, kind: ObjectType, sent: Any) -> tuple[list[list[Test]], Bounds]:
    sent = [] if sent is None else sent
    if not isinstance(sent, list) or not all(isinstance(group, dict) for group in sent):
        raise invalid("filterGroups: a list of {filters} is required")
    lists = [group.get("filters") or [] for group in sent]
    if not all(isinstance(one, list) and all(isinstance(row, dict) for row in one) for one in lists):
        raise invalid("filters: a list of {propertyName, operator, value} is required")
    if len(lists) > GROUPS or any(len(one) > FILTERS for one in lists) or sum(map(len, lists)) > ALL_FILTERS:
        message = f"At most {GROUPS} filterGroups with {FILTERS} filters each and {ALL_FILTERS} filters in all"
        raise invalid(f"{message} are allowed.")
    tests, ends = [], []
    for one in lists:
        group = [_filter(portal, kind, row) for row in one]
        tests.append([test for test, _ in group])
        ends.append((max([b[0] for _, b in group], default=_OPEN[0]), min([b[1] for _, b in group], default=_OPEN[1])))
    if not ends:
        return tests, _OPEN
    return tests, (min(low for low, _ in ends), max(high for _, high in ends))


def _filter(portal: Portal, kind: ObjectType, row: dict[str, Any]) -> tuple[Test, Bounds]:
    name, operator = row.get("propertyName"), row.get("operator")
    if not isinstance(name, str) or not isinstance(operator, str):
        raise invalid("Some required fields were not set: [propertyName, operator]")
    if name.startswith("associations."):
        return _associated(portal, kind, name.removeprefix("associations."), operator, row), _OPEN
    property_ = portal.properties(kind).get(name)
    if property_ is None or property_["archived"]:
        raise invalid(f"There was a problem with the request: property {name} does not exist for {kind.name}")
    type_ = "number" if name == "hs_object_id" else property_["type"]

    def given(value: Any) -> Any:
        return _comparable(type_, name, value, True)

    kept = _kept(kind, name, type_)
    test, low, high = _test(operator, row, name, given, kept)
    bounds = _OPEN
    if name in (kind.modified, "hs_lastmodifieddate"):
        bounds = (_OPEN[0] if low is None else low, _OPEN[1] if high is None else high)
    return test, bounds


def _kept(kind: ObjectType, name: str, type_: str) -> Callable[[Record], Any]:
    """What a record has there, to be compared. Times of change and ids are what large numbers of records are asked."""
    if name in (kind.modified, "hs_lastmodifieddate"):
        return lambda record: millis(record["updated"])
    if name == "hs_object_id":
        return lambda record: int(record["id"])
    return lambda record: _comparable(type_, name, records.value(kind, record, name), False)


def _test(operator: str, row: dict[str, Any], name: str, given: Any, kept: Any) -> tuple[Test, Any, Any]:
    """The test, and for comparisons the least and the greatest value that can pass it."""
    if operator == "HAS_PROPERTY":
        return (lambda r: kept(r) is not None), None, None
    if operator == "NOT_HAS_PROPERTY":
        return (lambda r: kept(r) is None), None, None
    if operator in ("IN", "NOT_IN"):
        sent = row.get("values")
        if not isinstance(sent, list) or not sent:
            raise invalid(f"operator {operator} requires a list of values for {name}")
        among = {given(value) for value in sent}
        if operator == "IN":
            return (lambda r: kept(r) in among), None, None
        return (lambda r: kept(r) is not None and kept(r) not in among), None, None
    if row.get("value") is None:
        raise invalid(f"operator {operator} requires a value for {name}")
    value = given(row["value"])
    if operator == "BETWEEN":
        if row.get("highValue") is None:
            raise invalid(f"operator BETWEEN requires a highValue for {name}")
        high = given(row["highValue"])
        return (lambda r: (v := kept(r)) is not None and value <= v <= high), value, high
    tests: dict[str, tuple[Test, Any, Any]] = {
        "EQ": (lambda r: kept(r) == value, value, value),
        "NEQ": (lambda r: (v := kept(r)) is not None and v != value, None, None),
        "LT": (lambda r: (v := kept(r)) is not None and v < value, None, value),
        "LTE": (lambda r: (v := kept(r)) is not None and v <= value, None, value),
        "GT": (lambda r: (v := kept(r)) is not None and v > value, value, None),
        "GTE": (lambda r: (v := kept(r)) is not None and v >= value, value, None),
        "CONTAINS_TOKEN": (lambda r: (v := kept(r)) is not None and _token(v, value), None, None),
        "NOT_CONTAINS_TOKEN": (lambda r: (v := kept(r)) is not None and not _token(v, value), None, None),
    }
    if operator not in tests:
        raise invalid(f"operator {operator[:40]} is not one of those that are allowed")
    return tests[operator]


def _token(value: Any, wanted: Any) -> bool:
    words = str(value).replace("@", " ").replace("-", " ").replace(".", " ").split()
    bare = str(wanted).strip("*")
    if str(wanted) == bare:
        return bare in words or bare in str(value).split()
    return any(bare in word for word in [*words, *str(value).split()])


def _comparable(type_: str, name: str, value: Any, from_filter: bool) -> Any:
    if value is None:
        return None
    if type_ in ("date", "datetime"):
        moment = read_moment(value)
        if moment is None:
            raise invalid(f"{str(value)[:100]} is no time for {name}")
        return millis(moment)
    text = as_text(value) if not isinstance(value, dict | list) else None
    if text is None:
        raise invalid(f"a value of {name} must be a text")
    if type_ == "number":
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            raise invalid(f"{text[:100]} is no number for {name}")
        return number
    return text.lower()


def _associated(portal: Portal, kind: ObjectType, name: str, operator: str, row: dict[str, Any]) -> Test:
    to = portal.kind(name)
    if operator not in ("EQ", "IN"):
        raise invalid("associations can be searched by EQ and IN only")
    sent = row.get("values") if operator == "IN" else [row.get("value")]
    if not isinstance(sent, list):
        raise invalid("operator IN requires a list of values")
    near: set[str] = set()
    for id_ in sent:
        near |= {linked["to_id"] for linked in of(portal, to, str(id_), kind)}
    return lambda record: record["id"] in near


def _sort(portal: Portal, kind: ObjectType, sent: Any) -> Callable[[list[Record]], list[Record]]:
    """One rule: {propertyName, direction} or a name, "-" before it for the other way. By default newest last (M)."""
    if sent is None or sent == []:
        return lambda found: sorted(found, key=lambda r: int(r["id"]))
    if not isinstance(sent, list) or len(sent) > 1:
        raise invalid("sorts: a list of one rule is required")
    rule = sent[0]
    if isinstance(rule, str):
        rule = {"propertyName": rule.removeprefix("-"), "direction": "DESCENDING" if rule[:1] == "-" else "ASCENDING"}
    if not isinstance(rule, dict) or rule.get("direction", "ASCENDING") not in ("ASCENDING", "DESCENDING"):
        raise invalid("sorts: {propertyName, direction: ASCENDING or DESCENDING} is required")
    name = rule.get("propertyName")
    property_ = portal.properties(kind).get(name) if isinstance(name, str) else None
    if not isinstance(name, str) or property_ is None:
        raise invalid(f"sorts: property {str(name)[:100]} does not exist for {kind.name}")
    down = rule.get("direction") == "DESCENDING"
    if name in (kind.modified, "hs_lastmodifieddate"):
        return lambda found: sorted(found, key=lambda r: (millis(r["updated"]), int(r["id"])), reverse=down)
    kept = _kept(kind, name, property_["type"])

    def key(record: Record) -> tuple[Any, ...]:
        value = kept(record)
        return (value is not None, value, int(record["id"])) if value is not None else (False, int(record["id"]))

    return lambda found: sorted(found, key=key, reverse=down)
