"""What the store holds of one target, read at once by a session of its own: the other half of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from tieout.delivery.states import chain_of

_INTENTS = """
select intent_id, doc_uid, kind, operation, revision, source_id, natural_key, idempotency_key, body, currency,
    amount_minor, frozen, state, reason, owner, vendor_id, sends, sent_at, depends_on
from tieout.intent where target = %s order by intent_id
"""
_CROSSWALK = "select vendor_id, doc_uid, origin from tieout.crosswalk where target = %s"
_ATTEMPTS = """
select a.intent_id, a.fence, a.worker, a.kind, a.outcome from tieout.attempt a join tieout.intent i using (intent_id)
where i.target = %s order by a.attempt_id
"""
_EVENTS = """
select chain, seq, at, actor, event, subject, run_id, detail, prev_hash, hash from tieout.audit_event
where chain = %s order by seq
"""
_HEAD = "select seq, hash from tieout.audit_head where chain = %s"
_LETTERS = """
select distinct d.source_id, d.state, d.owner, d.stage from tieout.dead_letter d
join tieout.intent i on i.source = d.connection and i.link = d.link where i.target = %s
"""


@dataclass(frozen=True)
class Rows:
    """Everything of one target."""

    target: str
    intents: Sequence[Any]
    crosswalk: Sequence[Any]
    attempts: Sequence[Any]
    events: Sequence[Any]
    head: Any
    letters: Sequence[Any]

    @cached_property
    def by_id(self) -> dict[int, Any]:
        """intent_id -> intent."""
        return {intent.intent_id: intent for intent in self.intents}

    @cached_property
    def vendor_id_of(self) -> dict[str, str]:
        """doc_uid -> vendor id, by the crosswalk."""
        return {row.doc_uid: row.vendor_id for row in self.crosswalk}


def read(watch: psycopg.Connection[Any], target: str) -> Rows:
    """The rows of a target. `watch` is in autocommit."""
    chain = chain_of(target)
    queries = [(_INTENTS, target), (_CROSSWALK, target), (_ATTEMPTS, target), (_EVENTS, chain), (_HEAD, chain)]
    with watch.pipeline():
        cursors = [
            watch.cursor(row_factory=namedtuple_row).execute(query, (value,))
            for query, value in [*queries, (_LETTERS, target)]
        ]
        found = [cursor.fetchall() for cursor in cursors]
    intents, crosswalk, attempts, events, heads, letters = found
    return Rows(target, intents, crosswalk, attempts, events, heads[0] if heads else None, letters)
