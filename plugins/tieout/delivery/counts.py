"""How many intents stand where, how old the oldest are, how much money they are: for summaries and pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class StateCount:
    """Intents of one kind, state and currency. `amount_minor` is their sum in minor units; None without a currency."""

    kind: str
    state: str
    currency: str | None
    count: int
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class Oldest:
    """The oldest intent that waits in a state, and since when it does."""

    intent_id: int
    since: datetime
    seconds: float


_COUNTS = """
select kind, state, currency, count(*) as many, sum(amount_minor)::numeric as amount_minor from tieout.intent
where (%(target)s::text is null or target = %(target)s) and (%(link)s::text is null or link = %(link)s)
group by kind, state, currency order by kind, state, currency
"""


def by_state(conn: Connection, *, link: str | None = None, target: str | None = None) -> list[StateCount]:
    """Counts and amounts by kind, state and currency."""
    rows = conn.exec_driver_sql(_COUNTS, {"target": target, "link": link})
    return [
        StateCount(r.kind, r.state, r.currency, r.many, None if r.amount_minor is None else int(r.amount_minor))
        for r in rows
    ]


# Each part reads one of the partial indexes: the settled intents are not touched.
_WAITING = """
select state, count(*) as many from tieout.intent i
where target = %(target)s and state = any(array['READY','UNKNOWN','CLAIMED','IN_FLIGHT','HELD'])
    and (%(link)s::text is null or link = %(link)s)
    and (state = 'READY' or state = 'UNKNOWN' or state in ('CLAIMED','IN_FLIGHT') or state = 'HELD')
group by state
"""


def waiting(conn: Connection, target: str, link: str | None = None) -> dict[str, int]:
    """Intents that are not settled, by state; a state without any is missing."""
    return {row.state: row.many for row in conn.exec_driver_sql(_WAITING, {"target": target, "link": link})}


_OLDEST = """
select intent_id, coalesce(case when state = 'UNKNOWN' then sent_at end, updated_at) as since from tieout.intent
where target = %(target)s and state = %(state)s and (%(link)s::text is null or link = %(link)s)
order by 2 limit 1
"""


def oldest(conn: Connection, target: str, state: str, now: datetime, link: str | None = None) -> Oldest | None:
    """The intent that has been UNKNOWN since the earliest send, or HELD since the earliest change."""
    row = conn.exec_driver_sql(_OLDEST, {"target": target, "state": state, "link": link}).one_or_none()
    return None if row is None else Oldest(row.intent_id, row.since, (now - row.since).total_seconds())


_DUE = """
select min(at) from (
    select min(not_before) as at from tieout.intent
    where target = %(target)s and state = 'READY' and not_before > %(now)s
        and (%(link)s::text is null or link = %(link)s)
    union all select min(greatest(coalesce(not_before, %(now)s), coalesce(lease_until, %(now)s))) from tieout.intent
    where target = %(target)s and state = 'UNKNOWN' and (%(link)s::text is null or link = %(link)s)
    union all select min(lease_until) from tieout.intent
    where target = %(target)s and state in ('CLAIMED','IN_FLIGHT') and (%(link)s::text is null or link = %(link)s)
) as each
"""


def seconds_until_due(conn: Connection, target: str, now: datetime, link: str | None = None) -> float | None:
    """Seconds until an intent's wait, quiet period or lease ends; None when nothing waits for time alone."""
    at: datetime | None = conn.exec_driver_sql(_DUE, {"target": target, "now": now, "link": link}).scalar_one()
    return None if at is None else max((at - now).total_seconds(), 0.0)
