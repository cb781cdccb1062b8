"""`/query` and `/queryAll`: running a query and handing out its answer in pages.

A query remembers the ids that it found. A page shows these records as they are when the page is read: one that was
deleted meanwhile is left out, one that changed shows its new values, even when it would not be found any more.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sandbox.salesforce import ids
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.org import Org
from sandbox.salesforce.soql.render import Render, renderer
from sandbox.salesforce.soql.run import Options, Plan, aggregated, records, understand
from sandbox.salesforce.values import stamp
from sandbox.salesforce.wire import Call, Reply
from sandbox.state import Record

MAX_BATCH = 2000
MIN_BATCH = 200
MAX_CURSORS = 200  # kept; the oldest is dropped for a new one
_BATCH = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A query that has more to give."""

    id: str
    sobject: str
    ids: list[str]
    render: Render
    include_deleted: bool
    batch: int


def query(call: Call) -> Reply:
    """GET /query?q=..."""
    return _query(call, include_deleted=False)


def query_all(call: Call) -> Reply:
    """GET /queryAll?q=...: deleted records too."""
    return _query(call, include_deleted=True)


def more(call: Call, locator: str) -> Reply:
    """GET /query/01g...-2000"""
    id_, _, start = locator.rpartition("-")
    cursor = _cursors(call.org).get(id_)
    if cursor is None or not start.isdigit() or not 0 <= int(start) <= len(cursor.ids):
        raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return Reply(value=_page(call.org, call.version, cursor, int(start)))


def stale_from(org: Org, params: Mapping[str, Any] | None) -> str | None:
    """The time stamp from which on changes are hidden by a `stale_read`."""
    if params is None:
        return None
    seconds = float(params.get("seconds", org.setting("stale_seconds")))
    return stamp(org.now() - timedelta(seconds=seconds))


def batch_size(headers: Mapping[str, str]) -> int:
    """The page size that the header asks for, within its bounds."""
    found = _BATCH.search(headers.get("sforce-query-options", ""))
    return min(MAX_BATCH, max(MIN_BATCH, int(found[1]))) if found else MAX_BATCH


def _query(call: Call, *, include_deleted: bool) -> Reply:
    text = call.query.get("q")
    if text is None:
        raise ApiError(400, "MALFORMED_QUERY", "A query string has to be specified")
    options = Options(call.version, include_deleted, stale_from(call.org, call.take("stale_read")))
    batch = batch_size(call.headers)

    def nested(plan: Plan, found: list[Record]) -> Any:
        return _answer(call, plan, found, options, MAX_BATCH)

    plan = understand(call.org, call.access, text, options, nested)
    if plan.counts:
        return Reply(value={"totalSize": len(records(plan, options)), "done": True, "records": []})
    if plan.node is None:
        rows = aggregated(plan, options)
        return Reply(value={"totalSize": len(rows), "done": True, "records": rows})
    return Reply(value=_answer(call, plan, records(plan, options), options, batch))


def _answer(call: Call, plan: Plan, found: list[Record], options: Options, batch: int) -> dict[str, Any]:
    assert plan.node is not None  # COUNT() and groups never get here
    render = renderer(plan.node, call.version)
    if len(found) <= batch:
        return {"totalSize": len(found), "done": True, "records": [render(one) for one in found]}
    id_ = ids.make("01g", call.org.number("cursor"))
    name = plan.node.sobject.name
    cursor = Cursor(id_, name, [one["Id"] for one in found], render, options.include_deleted, batch)
    kept = _cursors(call.org)
    kept[id_] = cursor
    while len(kept) > MAX_CURSORS:
        kept.popitem(last=False)
    return _page(call.org, call.version, cursor, 0)


def _page(org: Org, version: str, cursor: Cursor, start: int) -> dict[str, Any]:
    get = org.table(cursor.sobject).get
    end = start + cursor.batch
    found = [one for one in map(get, cursor.ids[start:end]) if one is not None]
    if not cursor.include_deleted:
        found = [one for one in found if not one["IsDeleted"]]
    page: dict[str, Any] = {"totalSize": len(cursor.ids), "done": end >= len(cursor.ids)}
    if not page["done"]:
        page["nextRecordsUrl"] = f"/services/data/{version}/query/{cursor.id}-{end}"
    page["records"] = [cursor.render(one) for one in found]
    return page


def _cursors(org: Org) -> OrderedDict[str, Cursor]:
    cursors: OrderedDict[str, Cursor] = org.memory.setdefault("cursors", OrderedDict())
    return cursors
