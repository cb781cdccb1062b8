"""Intents that wait for others: held when what they wait for failed, ready again when it is well.

An invoice waits for its customer (`depends_on`), a later revision for the earlier one. Nobody would look at a READY
intent that waits for ever; a HELD one has a reason and an owner (L2).

And two records that share a natural key: the key names one document of the vendor's. Where the vendor writes over what
has the key, the second would replace the first before anybody saw it, so that it is held before a byte leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from tieout.delivery import letters
from tieout.delivery.judge import Verdict
from tieout.delivery.states import Change, Journal, State, apply

#: Owner of a held intent that names none.
DEFAULT_OWNER = "finance"
#: Generations of a family (customer, invoice, credit note, allocation ...) that one call follows.
GENERATIONS = 20
#: Intents that one statement holds or puts back.
CHUNK = 5_000

#: Reason of an intent whose natural key is that of another record's.
SHARED = "natural_key_shared"
_WORDS = {
    "parent_held": "what it depends on is held",
    "parent_rejected": "what it depends on was rejected",
    "parent_cancelled": "what it depends on was cancelled",
    "parent_missing": "what it depends on is neither in the ledger nor on its way",
    "earlier_held": "an earlier revision of it is held",
}

# The first thing that an intent waits for and that will not come by itself. A CONFIRMED parent that is not in the
# crosswalk is one whose operation makes no document.
_BLOCKED_BY = """
left join lateral (
    select case p.state when 'HELD' then 'parent_held' when 'REJECTED' then 'parent_rejected'
            when 'CANCELLED' then 'parent_cancelled' else 'parent_missing' end as reason, uid as by_uid
    from unnest(i.depends_on) as uid left join tieout.intent p on p.target = i.target and p.doc_uid = uid
    where (p.state is null or p.state in ('HELD','REJECTED','CANCELLED','CONFIRMED'))
        and not exists (select from tieout.crosswalk c where c.target = i.target and c.doc_uid = uid)
    limit 1) parent on true
left join lateral (
    select 'earlier_held' as reason, e.doc_uid as by_uid from tieout.intent e
    where e.source = i.source and e.source_object = i.source_object and e.source_id = i.source_id
        and e.target = i.target and e.kind = i.kind and e.link = i.link and e.revision < i.revision and e.state = 'HELD'
    limit 1) earlier on i.revision > 1
"""

_TO_HOLD = f"""
select i.intent_id, i.fence, i.sends, i.owner, coalesce(parent.reason, earlier.reason) as reason,
    coalesce(parent.by_uid, earlier.by_uid) as by_uid
from tieout.intent i {_BLOCKED_BY}
where i.target = %(target)s and i.state = 'READY' and (i.depends_on <> '{{}}' or i.revision > 1)
    and (parent.reason is not null or earlier.reason is not null)
order by i.intent_id limit %(most)s for update of i skip locked
"""  # noqa: S608 - constants of this module; values are bound

#: An intent `r` of another record that makes the document which has the key of `i`.
_RIVAL = """r.target = i.target and r.natural_key = i.natural_key and r.operation = i.operation
    and (r.link, r.source, r.source_object, r.source_id) <> (i.link, i.source, i.source_object, i.source_id)
    and r.state not in ('REJECTED','CANCELLED')"""
_TO_PUT_BACK = f"""
select i.intent_id from tieout.intent i {_BLOCKED_BY}
where i.target = %(target)s and i.state = 'HELD' and i.reason = any(%(reasons)s)
    and parent.reason is null and earlier.reason is null
    and (i.reason <> '{SHARED}' or not exists (select from tieout.intent r
        where {_RIVAL} and r.intent_id < i.intent_id))
order by i.intent_id limit %(most)s for update of i skip locked
"""  # noqa: S608


def hold(conn: Connection, journal: Journal) -> int:
    """Holds READY intents whose parent or earlier revision failed, generation by generation.

    Returns:
        How many were held.
    """
    held = 0
    for _ in range(GENERATIONS):
        rows = conn.exec_driver_sql(_TO_HOLD, {"target": journal.target, "most": CHUNK}).all()
        changes = [
            Change(
                row.intent_id,
                State.READY,
                State.HELD,
                reason=row.reason,
                owner=row.owner or DEFAULT_OWNER,
                message=f"{_WORDS[row.reason]}: document {row.by_uid}",
                detail={"waits_for": row.by_uid},
            )
            for row in rows
        ]
        changed = apply(conn, journal, changes)
        letters.write(conn, journal, [(c.intent_id, _verdict(c)) for c in changes if c.intent_id in changed])
        held += len(changed)
        if not rows:
            break
    return held


_SHARED = f"""
select i.intent_id, i.owner, i.natural_key, i.source_object, i.source_id, r.source_object as other_object,
    r.source_id as other_id, r.source as other_source, r.link as other_link, r.doc_uid as other_uid
from tieout.intent i join lateral (
    select r.* from tieout.intent r where {_RIVAL} and r.intent_id < i.intent_id order by r.intent_id limit 1) r on true
where i.intent_id = any(%(ids)s) and i.state = 'READY'
order by i.intent_id
"""  # noqa: S608


def hold_shared(conn: Connection, journal: Journal, intent_ids: Sequence[int]) -> int:
    """Holds those of the new intents whose natural key is that of an earlier one of another record.

    In the transaction that adds them, so that nobody can claim one. They go on by themselves when the other is
    cancelled or was rejected.

    Args:
        intent_ids: of operations that make a document.

    Returns:
        How many were held.
    """
    changes = []
    verdicts = {}
    for row in conn.exec_driver_sql(_SHARED, {"ids": list(intent_ids)}) if intent_ids else ():
        mine = f"{row.source_object} {row.source_id}"
        other = f"{row.other_object} {row.other_id} (link {row.other_link}, {row.other_source})"
        words = f"{mine} has the key {row.natural_key}, which {other} has already: nothing was sent"
        changes.append(
            Change(
                row.intent_id,
                State.READY,
                State.HELD,
                reason=SHARED,
                message=words,
                owner=row.owner or DEFAULT_OWNER,
                detail={"shared_with": row.other_uid},
            )
        )
        verdicts[row.intent_id] = Verdict(
            State.HELD,
            "held",
            SHARED,
            words,
            expected="a key of its own for each record",
            found=f"{row.natural_key} for {mine} and for {other}",
            remedy="give one of the two records a key of its own, or cancel the intent of the one that is not meant",
        )
    apply(conn, journal, changes)
    letters.write(conn, journal, list(verdicts.items()))
    return len(changes)


#: The record that keeps a rejected intent `i` from being tried again: it has the key by now.
OTHER_WITH_THE_KEY = f"""
select r.source_object || ' ' || r.source_id from tieout.intent r where {_RIVAL} limit 1
"""  # noqa: S608


def put_back(conn: Connection, journal: Journal) -> int:
    """Makes held children READY again whose parents are well or on their way.

    Returns:
        How many were put back.
    """
    back = 0
    for _ in range(GENERATIONS):
        values = {"target": journal.target, "most": CHUNK, "reasons": [*_WORDS, SHARED]}
        rows = conn.exec_driver_sql(_TO_PUT_BACK, values).all()
        changes = [Change(row.intent_id, State.HELD, State.READY) for row in rows]
        changed = apply(conn, journal, changes)
        letters.close(conn, changed)
        back += len(changed)
        if not rows:
            break
    return back


def _verdict(change: Change) -> Verdict:
    return Verdict(
        State.HELD,
        "held",
        change.reason,
        change.message,
        expected="every document that it depends on is in the ledger",
        found=change.message or "",
        remedy="mend what it waits for; it goes on by itself",
    )
