"""How the synchronisation has been going: runs by day, calls and their answers, what waits with an error. Read-only.

Calls are looked at from the newest back, a bounded number of them, so that millions of settled ones cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, text

#: Days of the chart.
DAYS = 30
#: Calls that latency and outcomes are computed of.
CALLS = 20_000
#: Kinds of error that a page lists.
MOST_KINDS = 100


@dataclass(frozen=True, slots=True)
class RunsOfDay:
    """The runs of one link and scenario that started on a day (UTC). `posted`, `read`: by their closing summaries."""

    link: str
    scenario: str
    day: date
    runs: int
    failed: int
    partial: int
    read: int
    posted: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Calls:
    """The latest calls to one target of one kind: how many, how they went, how long the answers took."""

    target: str
    kind: str
    outcome: str
    count: int
    median_ms: float | None
    p95_ms: float | None
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Errors:
    """Open dead letters of one reason."""

    connection: str
    entity: str
    stage: str
    reason: str
    count: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """How far a connection's entity has been read."""

    connection: str
    entity: str
    at: datetime | None
    updated_at: datetime


def runs_by_day(conn: Connection, now: datetime, days: int = DAYS) -> list[RunsOfDay]:
    """A row for each day, link and scenario that had a run, oldest first."""
    query = text(
        """
        select link, scenario, (started_at at time zone 'UTC')::date as day, count(*) as runs,
            count(*) filter (where state = 'failed') as failed, count(*) filter (where state = 'partial') as partial,
            coalesce(sum(case when jsonb_typeof(counts -> 'read') = 'number'
                then (counts ->> 'read')::numeric end), 0)::bigint as read,
            coalesce(sum(case when jsonb_typeof(counts -> 'posted') = 'number'
                then (counts ->> 'posted')::numeric end), 0)::bigint as posted,
            percentile_cont(0.5) within group (order by extract(epoch from finished_at - started_at)) as seconds
        from tieout.sync_run where started_at >= :since group by 1, 2, 3 order by 1, 2, 3
        """
    )
    since = (now - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return [RunsOfDay(**row._mapping) for row in conn.execute(query, {"since": since})]


def calls(conn: Connection, most: int = CALLS) -> list[Calls]:
    """The latest calls by target, kind and outcome."""
    query = text(
        """
        select i.target, a.kind, coalesce(a.outcome, 'no answer yet') as outcome, count(*) as count,
            percentile_cont(0.5) within group (order by extract(epoch from a.answered_at - a.sent_at) * 1000)
                as median_ms,
            percentile_cont(0.95) within group (order by extract(epoch from a.answered_at - a.sent_at) * 1000)
                as p95_ms,
            min(a.sent_at) as oldest
        from (select * from tieout.attempt order by attempt_id desc limit :most) a
        join tieout.intent i using (intent_id) group by 1, 2, 3 order by 1, 2, 4 desc, 3
        """
    )
    return [Calls(**row._mapping) for row in conn.execute(query, {"most": most})]


def errors(conn: Connection) -> Sequence[Errors]:
    """Open dead letters by what is wrong with them, the most frequent first."""
    query = text(
        """
        select connection, entity, stage, reason, count(*) as count, min(first_seen) as first_seen,
            max(last_seen) as last_seen
        from tieout.dead_letter where state = 'open' group by 1, 2, 3, 4 order by 5 desc, 1, 2, 3, 4 limit :most
        """
    )
    return [Errors(**row._mapping) for row in conn.execute(query, {"most": MOST_KINDS})]


def read_until(conn: Connection) -> list[Watched]:
    """Until when each system has been read, the oldest first."""
    query = text(
        "select connection, entity, at, updated_at from tieout.watermark where kind = 'extract' "
        "order by at nulls first, connection, entity limit 200"
    )
    return [Watched(**row._mapping) for row in conn.execute(query)]
