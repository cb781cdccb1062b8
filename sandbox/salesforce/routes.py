"""Which function answers which call of the data API, and what happens around every call."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

from sandbox.salesforce import (
    bulk_ingest,
    bulk_query,
    collecting,
    composing,
    limits,
    querying,
    replication,
    sobjects,
)
from sandbox.salesforce.errors import ApiError, Refused, not_found
from sandbox.salesforce.wire import Call, Reply, reply_to

Answer = Callable[..., Reply]
MAX_URL = 16_384  # bytes of path and query


def resources(call: Call) -> Reply:
    """GET /services/data/vXX.X"""
    names = ("sobjects", "query", "queryAll", "composite", "jobs", "limits")
    return Reply(value={name: f"{call.root}/{name}" for name in names})


def all_limits(call: Call) -> Reply:
    """GET /limits"""
    return Reply(value=limits.everything(call.org))


def composite(call: Call) -> Reply:
    """POST /composite"""
    return composing.composite(call, answer)


def batch(call: Call) -> Reply:
    """POST /composite/batch"""
    return composing.batch(call, answer)


# method, path (`*` is one segment, handed to the function), function; the first that fits is taken.
_TABLE: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "", resources),
    ("GET", "limits", all_limits),
    ("GET", "query", querying.query),
    ("GET", "queryAll", querying.query_all),
    ("GET", "query/*", querying.more),
    ("GET", "queryAll/*", querying.more),
    ("GET", "sobjects", sobjects.everything),
    ("GET", "sobjects/*", sobjects.basic),
    ("POST", "sobjects/*", sobjects.create),
    ("GET", "sobjects/*/describe", sobjects.full),
    ("GET", "sobjects/*/updated", replication.updated),
    ("GET", "sobjects/*/deleted", replication.deleted),
    ("GET", "sobjects/*/*", sobjects.retrieve),
    ("PATCH", "sobjects/*/*", sobjects.change),
    ("DELETE", "sobjects/*/*", sobjects.remove),
    ("GET", "sobjects/*/*/*", sobjects.retrieve_external),
    ("PATCH", "sobjects/*/*/*", sobjects.change_external),
    ("DELETE", "sobjects/*/*/*", sobjects.remove_external),
    ("POST", "composite", composite),
    ("POST", "composite/batch", batch),
    ("POST", "composite/tree/*", composing.tree),
    ("POST", "composite/sobjects", collecting.create),
    ("PATCH", "composite/sobjects", collecting.change),
    ("DELETE", "composite/sobjects", collecting.remove),
    ("GET", "composite/sobjects/*", collecting.read_many),
    ("POST", "composite/sobjects/*", collecting.read_many),
    ("PATCH", "composite/sobjects/*/*", collecting.put),
    ("POST", "jobs/query", bulk_query.create),
    ("GET", "jobs/query/*", bulk_query.state),
    ("PATCH", "jobs/query/*", bulk_query.abort),
    ("DELETE", "jobs/query/*", bulk_query.remove),
    ("GET", "jobs/query/*/results", bulk_query.results),
    ("POST", "jobs/ingest", bulk_ingest.create),
    ("GET", "jobs/ingest/*", bulk_ingest.state),
    ("PATCH", "jobs/ingest/*", bulk_ingest.change),
    ("DELETE", "jobs/ingest/*", bulk_ingest.remove),
    ("PUT", "jobs/ingest/*/batches", bulk_ingest.put),
    ("GET", "jobs/ingest/*/successfulResults", bulk_ingest.successful),
    ("GET", "jobs/ingest/*/failedResults", bulk_ingest.failed),
    ("GET", "jobs/ingest/*/unprocessedrecords", bulk_ingest.unprocessed),
)
_ROUTES = tuple(
    (method, re.compile(re.escape(path).replace(r"\*", "([^/]+)")), function) for method, path, function in _TABLE
)


def answer(call: Call) -> Reply:
    """The reply to one call; a failure is a reply too."""
    try:
        fits = False
        for method, pattern, function in _ROUTES:
            match = pattern.fullmatch(call.path)
            if match is not None:
                if method == call.method:
                    return function(call, *(unquote(part) for part in match.groups()))
                fits = True
        if fits and call.method == "HEAD":
            return replace(answer(replace(call, method="GET")), value=None, raw=b"")
        if fits:
            raise ApiError(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{call.method}' not allowed.")
        raise not_found()
    except (ApiError, Refused) as error:
        return reply_to(error)
