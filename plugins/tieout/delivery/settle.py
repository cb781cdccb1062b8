"""The transaction after an answer or a look-up: crosswalk, states, attempts, dead letters, audit, all or nothing.

It writes only for intents that are still under the fence of the worker that asks; the others have been taken over, and
whoever took them looks them up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.engine import Connection

from tieout.delivery import letters
from tieout.delivery.claim import Claimed
from tieout.delivery.families import DEFAULT_OWNER
from tieout.delivery.judge import Verdict, taken_by_another
from tieout.delivery.states import Change, Journal, State, apply
from tieout.store.encoding import encode


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one claimed intent.

    Attributes:
        was: the state that the verdict was made on: IN_FLIGHT after a send, CLAIMED or UNKNOWN after a look-up.
        attempt_id: the send's row; None after a look-up, which gets a row of its own here.
    """

    claimed: Claimed
    was: State
    verdict: Verdict
    attempt_id: int | None = None


#: Called inside the transaction with what was just confirmed: for the write-back intents.
OnConfirmed = Callable[[Connection, Sequence[Outcome]], None]


@dataclass(frozen=True, slots=True)
class Settled:
    """`done`: as written (a verdict may have become HELD because of the crosswalk); `lost`: under another's fence."""

    done: tuple[Outcome, ...]
    lost: tuple[Outcome, ...]


def settle(
    conn: Connection, journal: Journal, outcomes: Sequence[Outcome], worker: str, on_confirmed: OnConfirmed | None
) -> Settled:
    """Writes what became of the intents.

    Args:
        worker: name, for the look-ups' attempt rows.
        on_confirmed: for what has to commit together with the confirmations.
    """
    held = _still_ours(conn, outcomes)
    mine = [each for each in outcomes if each.claimed.intent_id in held]
    mine = _cross(conn, mine, journal)
    apply(conn, journal, [_change(each, journal) for each in mine])
    _answer_attempts(conn, journal, outcomes)
    _look_up_attempts(conn, journal, [each for each in outcomes if each.attempt_id is None], worker)
    failed = [each for each in mine if each.verdict.to in (State.HELD, State.REJECTED)]
    letters.write(conn, journal, [(each.claimed.intent_id, each.verdict) for each in failed])
    confirmed = [each for each in mine if each.verdict.to is State.CONFIRMED]
    letters.close(conn, [each.claimed.intent_id for each in confirmed])
    if on_confirmed is not None and confirmed:
        on_confirmed(conn, confirmed)
    lost = tuple(each for each in outcomes if each.claimed.intent_id not in held)
    return Settled(tuple(mine), lost)


_STILL_OURS = """
select i.intent_id from tieout.intent i
join unnest(%(id)b::bigint[], %(fence)b::bigint[], %(was)b::text[]) as t(intent_id, fence, was) using (intent_id)
where i.fence = t.fence and i.state = t.was order by i.intent_id for update of i
"""


def _still_ours(conn: Connection, outcomes: Sequence[Outcome]) -> frozenset[int]:
    rows = conn.exec_driver_sql(
        _STILL_OURS,
        {
            "id": [each.claimed.intent_id for each in outcomes],
            "fence": [each.claimed.fence for each in outcomes],
            "was": [str(each.was) for each in outcomes],
        },
    )
    return frozenset(row.intent_id for row in rows)


_CROSS = """
insert into tieout.crosswalk (link, target, entity, vendor_id, vendor_number, doc_uid, source, source_object, source_id,
    origin, evidence, created_at)
select i.link, i.target, i.entity, t.vendor_id, t.vendor_number, i.doc_uid, i.source, i.source_object, i.source_id,
    t.origin, jsonb_build_object('intent_id', i.intent_id), %(now)s
from unnest(%(id)b::bigint[], %(vendor_id)b::text[], %(number)b::text[], %(origin)b::text[])
    as t(intent_id, vendor_id, vendor_number, origin)
join tieout.intent i using (intent_id)
on conflict do nothing
returning doc_uid
"""
_CROSSED = """
select c.vendor_id, c.doc_uid from tieout.crosswalk c
where c.target = %(target)s and (c.doc_uid = any(%(uids)s) or exists (
    select from unnest(%(id)b::bigint[], %(vendor_ids)b::text[]) as t(intent_id, vendor_id)
    join tieout.intent i using (intent_id) where t.vendor_id = c.vendor_id and i.entity = c.entity))
"""


def _cross(conn: Connection, outcomes: list[Outcome], journal: Journal) -> list[Outcome]:
    """Adds crosswalk rows; a confirmation whose vendor document belongs to another of ours becomes HELD."""
    making = [each for each in outcomes if each.verdict.origin and each.verdict.vendor_id]
    if not making:
        return outcomes
    rows = conn.exec_driver_sql(
        _CROSS,
        {
            "now": journal.now,
            "id": [each.claimed.intent_id for each in making],
            "vendor_id": [each.verdict.vendor_id for each in making],
            "number": [each.verdict.number for each in making],
            "origin": [each.verdict.origin for each in making],
        },
    )
    made = {row.doc_uid for row in rows}
    left = [each for each in making if each.claimed.doc_uid not in made]
    if not left:
        return outcomes
    values = {
        "target": journal.target,
        "id": [each.claimed.intent_id for each in left],
        "vendor_ids": [each.verdict.vendor_id for each in left],
        "uids": [each.claimed.doc_uid for each in left],
    }
    there = conn.exec_driver_sql(_CROSSED, values).all()
    owner_of = {row.vendor_id: row.doc_uid for row in there}
    id_of = {row.doc_uid: row.vendor_id for row in there}
    judged = {each.claimed.intent_id: _against(each, owner_of, id_of) for each in left}
    return [judged.get(each.claimed.intent_id, each) for each in outcomes]


def _against(outcome: Outcome, owner_of: dict[str, str], id_of: dict[str, str]) -> Outcome:
    vendor_id, uid = outcome.verdict.vendor_id or "", outcome.claimed.doc_uid
    if owner_of.get(vendor_id) == uid:
        return outcome  # a person or an earlier confirmation has linked the two already
    other = owner_of.get(vendor_id) or f"{uid} as {id_of.get(uid)}"
    return replace(outcome, verdict=taken_by_another(outcome.verdict, other))


def _change(outcome: Outcome, journal: Journal) -> Change:
    verdict, claimed = outcome.verdict, outcome.claimed
    detail = {"outcome": verdict.outcome} | ({"alarm": True} if verdict.alarm else {})
    return Change(
        claimed.intent_id,
        outcome.was,
        verdict.to,
        fence=claimed.fence,
        reason=verdict.reason,
        message=verdict.message,
        owner=(claimed.owner or DEFAULT_OWNER) if verdict.to is State.HELD else None,
        not_before=None if verdict.wait is None else journal.now + timedelta(seconds=verdict.wait),
        vendor_id=verdict.vendor_id,
        vendor_number=verdict.number,
        answer=encode(verdict.content)[0].decode() if verdict.content else None,
        detail=detail,
    )


_ANSWERED = """
update tieout.attempt a
set outcome = t.outcome, http_status = t.http_status, detail = t.detail::jsonb, answered_at = %(now)s
from unnest(%(id)b::bigint[], %(outcome)b::text[], %(http_status)b::int[], %(detail)b::text[])
    as t(attempt_id, outcome, http_status, detail)
where a.attempt_id = t.attempt_id
"""


def _answer_attempts(conn: Connection, journal: Journal, outcomes: Sequence[Outcome]) -> None:
    # The answer is a fact even where the intent is another's by now.
    answered = [each for each in outcomes if each.attempt_id is not None]
    if answered:
        conn.exec_driver_sql(
            _ANSWERED,
            {
                "now": journal.now,
                "id": [each.attempt_id for each in answered],
                "outcome": [each.verdict.outcome for each in answered],
                "http_status": [each.verdict.http_status for each in answered],
                "detail": [_detail(each.verdict) for each in answered],
            },
        )


_LOOKED_UP = """
insert into tieout.attempt (intent_id, fence, worker, kind, outcome, detail, sent_at, answered_at)
select t.intent_id, t.fence, %(worker)s, 'look_up', t.outcome, t.detail::jsonb, %(now)s, %(now)s
from unnest(%(id)b::bigint[], %(fence)b::bigint[], %(outcome)b::text[], %(detail)b::text[])
    as t(intent_id, fence, outcome, detail)
"""


def _look_up_attempts(conn: Connection, journal: Journal, outcomes: Sequence[Outcome], worker: str) -> None:
    if outcomes:
        conn.exec_driver_sql(
            _LOOKED_UP,
            {
                "now": journal.now,
                "worker": worker,
                "id": [each.claimed.intent_id for each in outcomes],
                "fence": [each.claimed.fence for each in outcomes],
                "outcome": [each.verdict.outcome for each in outcomes],
                "detail": [_detail(each.verdict) for each in outcomes],
            },
        )


def _detail(verdict: Verdict) -> str:
    facts = {
        "reason": verdict.reason,
        "message": verdict.message,
        "vendor_id": verdict.vendor_id,
        "expected": verdict.expected or None,
        "found": verdict.found or None,
        "candidates": list(verdict.candidates) or None,
    }
    return encode({name: value for name, value in facts.items() if value is not None})[0].decode()
