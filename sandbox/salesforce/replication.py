"""`/sobjects/X/updated` and `/deleted`: what changed in a span of time, for somebody who keeps a copy."""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.querying import stale_from
from sandbox.salesforce.sobjects import sobject_of
from sandbox.salesforce.values import parse_instant, stamp
from sandbox.salesforce.wire import Call, Reply

REACH = timedelta(days=15)
MAX_IDS = 600_000


def updated(call: Call, name: str) -> Reply:
    """GET /sobjects/X/updated?start=&end=: ids of what was made or changed and lives."""
    sobject = sobject_of(call, name)
    start, end, covered = _span(call)
    hidden = stale_from(call.org, call.take("stale_read")) or "~"
    found = [
        one["Id"]
        for one in call.org.table(sobject.name).values()
        if start <= one["SystemModstamp"] < end and one["SystemModstamp"] < hidden and not one["IsDeleted"]
    ]
    _limit(found)
    return Reply(value={"ids": found, "latestDateCovered": covered})


def deleted(call: Call, name: str) -> Reply:
    """GET /sobjects/X/deleted?start=&end=: ids of what was deleted, with the time."""
    sobject = sobject_of(call, name)
    start, end, covered = _span(call)
    found = [
        {"id": one["Id"], "deletedDate": one["SystemModstamp"]}
        for one in call.org.table(sobject.name).values()
        if one["IsDeleted"] and start <= one["SystemModstamp"] < end
    ]
    _limit(found)
    earliest = stamp(call.org.now() - REACH)
    return Reply(value={"deletedRecords": found, "earliestDateAvailable": earliest, "latestDateCovered": covered})


def _span(call: Call) -> tuple[str, str, str]:
    """(start, end, latest date covered) as time stamps, seconds cut off. Raises ApiError 400."""
    start, end = (_minute(call, name) for name in ("start", "end"))
    now = call.org.now()
    if start >= end:
        raise ApiError(400, "INVALID_REPLICATION_DATE", "startDate has to be more than one minute before endDate")
    if start < now - REACH - timedelta(minutes=1):
        message = f"startDate cannot be more than {REACH.days} days ago"
        raise ApiError(400, "INVALID_REPLICATION_DATE", message)
    return stamp(start), stamp(end), stamp(min(end, now.replace(second=0, microsecond=0)))


def _minute(call: Call, name: str) -> datetime:
    # A plus sign that was not escaped arrives as a space.
    moment = parse_instant(call.query.get(name, "").replace(" ", "+").replace("Z", "+00:00"))
    if moment is None:
        raise ApiError(400, "MALFORMED_QUERY", f"{name}: an ISO 8601 date and time is expected")
    return moment.replace(second=0, microsecond=0)


def _limit(found: list[object] | list[str] | list[dict[str, str]]) -> None:
    if len(found) > MAX_IDS:
        raise ApiError(400, "EXCEEDED_ID_LIMIT", f"more than {MAX_IDS} ids; choose a shorter span")
