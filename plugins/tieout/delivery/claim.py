"""Taking work: claims with a fence and a lease, what expired, and the mark that bytes are about to leave.

A claim is `FOR UPDATE SKIP LOCKED`, so workers never wait for each other here. The fence goes up with each claim: what
an earlier holder decides later finds another number and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from tieout.connectors.base import Operation
from tieout.delivery.states import Change, Journal, State, apply, note_changes


@dataclass(frozen=True, slots=True)
class Claimed:
    """An intent under a worker's lease. `sends`, `sent_at` and `reason` are as they were when it was claimed."""

    intent_id: int
    fence: int
    state: State
    link: str
    doc_uid: str
    kind: str
    operation: str
    entity: str
    source: str
    source_object: str
    source_id: str
    natural_key: str
    idempotency_key: str
    body: bytes
    currency: str | None
    amount_minor: int | None
    sends: int
    sent_at: datetime | None
    reason: str | None
    owner: str | None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which intents a worker takes: of one target, perhaps of one link and some kinds, without some operations."""

    target: str
    link: str | None = None
    kinds: Collection[str] | None = None
    without: frozenset[str] = frozenset()

    def values(self) -> dict[str, Any]:
        """For the SQL below."""
        kinds = None if self.kinds is None else list(self.kinds)
        return {"target": self.target, "link": self.link, "kinds": kinds, "without": list(self.without)}


_WANTED = """i.target = %(target)s and (%(link)s::text is null or i.link = %(link)s)
    and (%(kinds)s::text[] is null or i.kind = any(%(kinds)s)) and i.operation <> all(%(without)s::text[])"""

_RETURNING = """returning i.intent_id, i.fence, i.state, i.link, i.doc_uid, i.kind, i.operation, i.entity, i.source,
    i.source_object, i.source_id, i.natural_key, i.idempotency_key, i.body, i.currency, i.amount_minor, i.sends,
    i.sent_at, i.reason, i.owner, i.priority"""

#: Every parent is in the crosswalk, and no earlier revision of the same thing is still open (S14).
#: The scalar subquery goes by the index; as an anti-join the whole crosswalk was read again for each intent.
_NOT_WAITING = """not exists (select from unnest(i.depends_on) as parent where (
        select c.doc_uid from tieout.crosswalk c where c.target = i.target and c.doc_uid = parent) is null)
    and (i.revision <= 1 or not exists (
        select from tieout.intent e where e.source = i.source and e.source_object = i.source_object
            and e.source_id = i.source_id and e.target = i.target and e.kind = i.kind and e.link = i.link
            and e.revision < i.revision and e.state in ('READY','CLAIMED','IN_FLIGHT','UNKNOWN','HELD')))"""

_DUE = f"""{_WANTED} and i.state = 'READY' and (i.not_before is null or i.not_before <= %(now)s) and {_NOT_WAITING}"""
_TAKE = f"""for update of i skip locked)
update tieout.intent i
set state = 'CLAIMED', fence = i.fence + 1, worker = %(worker)s, lease_until = %(lease)s, updated_at = %(now)s
from due where i.intent_id = due.intent_id
{_RETURNING}"""  # noqa: S608 - constants of this module; values are bound
_CLAIM_READY = f"""
with due as materialized (
    select i.intent_id from tieout.intent i where {_DUE} and i.intent_id > %(after)s
    order by i.intent_id limit %(most)s {_TAKE}"""  # noqa: S608

#: An index of their own, which is nearly always empty: batch work's claim costs nothing more for them.
_CLAIM_URGENT = f"""
with due as materialized (
    select i.intent_id from tieout.intent i where {_DUE} and i.priority > 0
    order by i.priority desc, i.intent_id desc limit %(most)s {_TAKE}"""  # noqa: S608

_CLAIM_UNKNOWN = f"""
with due as materialized (
    select i.intent_id from tieout.intent i
    where {_WANTED} and i.state = 'UNKNOWN' and (i.not_before is null or i.not_before <= %(now)s)
        and (i.lease_until is null or i.lease_until <= %(now)s)
    order by i.not_before nulls first, i.intent_id limit %(most)s for update of i skip locked)
update tieout.intent i
set fence = i.fence + 1, worker = %(worker)s, lease_until = %(lease)s, updated_at = %(now)s
from due where i.intent_id = due.intent_id
{_RETURNING}"""  # noqa: S608


def ready(
    conn: Connection, journal: Journal, wanted: Wanted, worker: str, *, after: int, most: int, lease: timedelta
) -> list[Claimed]:
    """Claims READY intents that wait for nothing: urgent ones first, then the oldest, those with an id above `after`.

    Returns:
        Those of the highest priority first; among equals the oldest.
    """
    values = {**wanted.values(), "now": journal.now, "lease": journal.now + lease, "worker": worker}
    rows = conn.exec_driver_sql(_CLAIM_URGENT, {**values, "most": most}).all()
    if len(rows) < most:
        rest = {**values, "after": after, "most": most - len(rows)}
        rows = [*rows, *conn.exec_driver_sql(_CLAIM_READY, rest)]
    claimed = sorted((_claimed(row) for row in rows), key=lambda each: (-each.priority, each.intent_id))
    note_changes(journal, [(c.intent_id, State.READY, State.CLAIMED, c.fence, {}) for c in claimed])
    return claimed


def unknown(
    conn: Connection, journal: Journal, wanted: Wanted, worker: str, *, most: int, lease: timedelta
) -> list[Claimed]:
    """Leases UNKNOWN intents whose quiet period is over, to be looked up. Their state does not change here."""
    values = {**wanted.values(), "now": journal.now, "lease": journal.now + lease, "worker": worker}
    return [_claimed(row) for row in conn.exec_driver_sql(_CLAIM_UNKNOWN, {**values, "most": most})]


def _claimed(row: Any) -> Claimed:
    values = row._asdict()
    return Claimed(**{**values, "state": State(values["state"]), "body": bytes(values["body"])})


_EXPIRED = """
select i.intent_id, i.state, i.fence, i.operation, i.lease_until, i.worker from tieout.intent i
where i.target = %(target)s and i.state in ('CLAIMED','IN_FLIGHT') and i.lease_until <= %(now)s
order by i.lease_until limit %(most)s for update skip locked
"""


def expire(conn: Connection, journal: Journal, target: str, operation_of: Callable[[str], Operation], most: int) -> int:
    """Ends leases that ran out: CLAIMED had sent nothing and is READY again; IN_FLIGHT may have been applied.

    A worker starts no send later than the end of its lease less the time-out (deliver.py), so that the quiet period of
    an IN_FLIGHT one is counted from there, not from `sent_at`: its holder may have been paused in between.

    Args:
        operation_of: the declaration of an operation, by its name.

    Returns:
        How many leases were ended.
    """
    rows = conn.exec_driver_sql(_EXPIRED, {"target": target, "now": journal.now, "most": most}).all()
    changes = []
    for row in rows:
        if row.state == State.CLAIMED:
            changes.append(Change(row.intent_id, State.CLAIMED, State.READY, detail={"lease_lost_by": row.worker}))
            continue
        operation = operation_of(row.operation)
        latest_start = row.lease_until - timedelta(seconds=operation.time_out)
        changes.append(
            Change(
                row.intent_id,
                State.IN_FLIGHT,
                State.UNKNOWN,
                reason="worker_lost",
                message="the worker that was sending it did not come back",
                detail={"lease_lost_by": row.worker},
                not_before=latest_start + operation.quiet_period,
            )
        )
    return len(apply(conn, journal, changes))


_MARK = """
with marked as (
    update tieout.intent i
    set state = 'IN_FLIGHT', sends = i.sends + 1, sent_at = %(now)s, lease_until = %(lease)s, updated_at = %(now)s
    from unnest(%(id)b::bigint[], %(fence)b::bigint[], %(hash)b::text[]) as t(intent_id, fence, request_hash)
    where i.intent_id = t.intent_id and i.fence = t.fence and i.state = 'CLAIMED' and i.worker = %(worker)s
    returning i.intent_id, i.fence, t.request_hash)
insert into tieout.attempt (intent_id, fence, worker, kind, batch, request_hash, sent_at)
select intent_id, fence, %(worker)s, 'send', %(batch)s, request_hash, %(now)s from marked
returning intent_id, attempt_id
"""


def mark_sent(
    conn: Connection,
    journal: Journal,
    batch: Sequence[Claimed],
    hashes: Sequence[str],
    worker: str,
    *,
    batch_name: str,
    lease: timedelta,
) -> dict[int, int]:
    """Writes `sent_at` and an attempt for each intent that is still ours, and renews its lease. Commit before sending.

    Durable whatever the session's setting: bytes must never leave without this on disk (S4).

    Args:
        hashes: of the final bytes, one for each of `batch`.

    Returns:
        intent_id -> attempt_id of those that may be sent; a missing one has another holder by now.
    """
    conn.exec_driver_sql("set local synchronous_commit = on")
    rows = conn.exec_driver_sql(
        _MARK,
        {
            "now": journal.now,
            "lease": journal.now + lease,
            "worker": worker,
            "batch": batch_name,
            "id": [each.intent_id for each in batch],
            "fence": [each.fence for each in batch],
            "hash": list(hashes),
        },
    )
    attempts = {row.intent_id: row.attempt_id for row in rows}
    note_changes(
        journal,
        [(c.intent_id, State.CLAIMED, State.IN_FLIGHT, c.fence, {}) for c in batch if c.intent_id in attempts],
    )
    return attempts


_RELEASE_UNKNOWN = """
update tieout.intent i set worker = null, lease_until = null, not_before = %(until)s, updated_at = %(now)s
from unnest(%(id)b::bigint[], %(fence)b::bigint[]) as t(intent_id, fence)
where i.intent_id = t.intent_id and i.fence = t.fence and i.state = 'UNKNOWN'
"""


def release(
    conn: Connection,
    journal: Journal,
    claimed: Sequence[Claimed],
    *,
    reason: str,
    message: str,
    until: datetime | None = None,
) -> None:
    """Gives up leases under which nothing was sent: READY again, or UNKNOWN as before; not before `until`."""
    unsent = [each for each in claimed if each.state is not State.UNKNOWN]
    apply(
        conn,
        journal,
        [
            Change(
                c.intent_id,
                State.CLAIMED,
                State.READY,
                fence=c.fence,
                reason=reason,
                message=message,
                not_before=until,
            )
            for c in unsent
        ],
    )
    waiting = [each for each in claimed if each.state is State.UNKNOWN]
    if waiting:
        conn.exec_driver_sql(
            _RELEASE_UNKNOWN,
            {
                "until": until,
                "now": journal.now,
                "id": [each.intent_id for each in waiting],
                "fence": [each.fence for each in waiting],
            },
        )
