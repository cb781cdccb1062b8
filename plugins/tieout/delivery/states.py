"""The states of an intent, the changes that are allowed, and the one function that makes them.

READY       nothing of it is applied; it may be claimed
CLAIMED     a worker has a lease on it and has sent nothing under this claim
IN_FLIGHT   `sent_at` is committed; bytes may be on their way
UNKNOWN     it may have been applied; only a look-up after the quiet period decides
HELD        a person has to look; it says why, and who
CONFIRMED, REJECTED, CANCELLED   the end (S8): what follows is a new revision

A worker that looks an UNKNOWN intent up holds a lease on it (fence up, state unchanged), so the only ways out of
UNKNOWN are what a look-up says (S6). Who decides a change is not here: judge.py, families.py, people.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from tieout.model.errors import TieoutError
from tieout.store import audit


class State(StrEnum):
    """`intent.state`."""

    READY = "READY"
    CLAIMED = "CLAIMED"
    IN_FLIGHT = "IN_FLIGHT"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    HELD = "HELD"
    CANCELLED = "CANCELLED"


TERMINAL = frozenset({State.CONFIRMED, State.REJECTED, State.CANCELLED})
#: States in which a document of an earlier revision keeps a later one from being sent (S14).
LIVE = frozenset({State.READY, State.CLAIMED, State.IN_FLIGHT, State.UNKNOWN, State.HELD})

_R, _C, _F, _U, _H = State.READY, State.CLAIMED, State.IN_FLIGHT, State.UNKNOWN, State.HELD
#: What the protocol does by itself.
BY_MACHINE: frozenset[tuple[State, State]] = frozenset(
    {
        (_R, _C),
        (_R, _H),  # its parent failed
        (_R, State.CANCELLED),  # superseded before anything was sent
        (_C, _F),
        (_C, _R),  # released, or the lease ran out before a send
        (_C, State.CONFIRMED),  # the look-up before the first send found it
        (_C, _H),  # the look-up before the first send found another
        (_F, State.CONFIRMED),
        (_F, State.REJECTED),
        (_F, _U),
        (_F, _H),
        (_F, _R),  # definitely not applied: throttled, refused credentials, not sent after all
        (_U, State.CONFIRMED),
        (_U, _R),
        (_U, _H),
        (_H, _R),  # its parent is well again
        (_H, State.CANCELLED),  # never sent, and superseded
    }
)
#: What a person may do beside that. REJECTED is the end for the machine; a person may order another attempt of the
#: same document where every send was definitely refused (people.py).
BY_PERSON: frozenset[tuple[State, State]] = frozenset({(_H, _U), (_H, State.CONFIRMED), (State.REJECTED, _R)})


class ForbiddenChange(TieoutError):
    """A change that the state machine does not have: a fault in our code, not in the data."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one intent.

    Attributes:
        fence: the change is made only while the row still has this fence; None where the caller holds the row's lock.
        reason, message: stable code and sentence; replaced as given.
        owner: who has to act on a HELD one; None leaves it.
        not_before: when it may be claimed again, on the database's clock; replaced as given.
        vendor_id, vendor_number, answer: kept where None. `answer` is JSON text.
        detail: further facts for the audit row.
    """

    intent_id: int
    was: State
    to: State
    fence: int | None = None
    reason: str | None = None
    message: str | None = None
    owner: str | None = None
    not_before: datetime | None = None
    vendor_id: str | None = None
    vendor_number: str | None = None
    answer: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Journal:
    """One transaction's audit rows: gathered, and appended once at its end.

    The chain's head is locked from the append to the commit. Appending last means that rows are always locked before
    the head, in every transaction, so that two workers cannot wait for each other.
    """

    target: str
    actor: str
    run_id: UUID | None
    now: datetime
    events: list[audit.Event] = field(default_factory=list)

    def note(self, event: str, intent_id: int, detail: Mapping[str, Any]) -> None:
        """Adds one audit row about one intent."""
        self.events.append(
            audit.Event(
                at=self.now,
                actor=self.actor,
                event=event,
                subject=f"intent:{intent_id}",
                run_id=self.run_id,
                detail=dict(detail),
            )
        )

    def write(self, conn: Connection) -> None:
        """Appends what was noted to the target's chain. Call it last before the commit."""
        if self.events:
            audit.append(conn, chain_of(self.target), self.events)
            self.events = []


def chain_of(target: str) -> str:
    """The audit chain of everything that happens to intents of this target."""
    return f"delivery:{target}"


def note_changes(journal: Journal, changes: Iterable[tuple[int, State, State, int, Mapping[str, Any]]]) -> None:
    """Notes one audit row for each (intent, from, to, fence, further facts); S19.

    Raises:
        ForbiddenChange: the state machine has no such change.
    """
    for intent_id, was, to, fence, detail in changes:
        if (was, to) not in BY_MACHINE and (was, to) not in BY_PERSON:
            raise ForbiddenChange(f"intent {intent_id}: {was} -> {to} is not a change of the state machine")
        journal.note("intent.state", intent_id, {"from": was, "to": to, "fence": fence, **detail})


# %(...)b: arrays in PostgreSQL's binary form. As text, psycopg escapes each quote of each JSON by a regular expression,
# which took more time than everything else that delivery does.
_APPLY = """
update tieout.intent i set
    state = t.to_state, reason = t.reason, message = t.message, owner = coalesce(t.owner, i.owner),
    not_before = t.not_before, vendor_id = coalesce(t.vendor_id, i.vendor_id),
    vendor_number = coalesce(t.vendor_number, i.vendor_number), answer = coalesce(t.answer::jsonb, i.answer),
    worker = null, lease_until = null, updated_at = %(now)s
from unnest(%(id)b::bigint[], %(was)b::text[], %(to)b::text[], %(fence)b::bigint[], %(reason)b::text[],
    %(message)b::text[], %(owner)b::text[], %(not_before)b::timestamptz[], %(vendor_id)b::text[],
    %(vendor_number)b::text[], %(answer)b::text[])
    as t(intent_id, was, to_state, fence, reason, message, owner, not_before, vendor_id, vendor_number, answer)
where i.intent_id = t.intent_id and i.state = t.was and (t.fence is null or i.fence = t.fence)
returning i.intent_id, i.fence
"""


def apply(conn: Connection, journal: Journal, changes: Sequence[Change], *, by_person: bool = False) -> frozenset[int]:
    """Makes the changes in one statement and notes an audit row for each that was made.

    A row that is no longer in the state (or under the fence) that the change was decided on is left as it is: somebody
    else has decided since. The lease ends with the change.

    Returns:
        The ids of the intents that were changed.

    Raises:
        ForbiddenChange: the state machine has no such change, or it is a person's alone.
    """
    allowed = BY_MACHINE | BY_PERSON if by_person else BY_MACHINE
    for change in changes:
        if (change.was, change.to) not in allowed:
            raise ForbiddenChange(f"intent {change.intent_id}: {change.was} -> {change.to} is not allowed")
    if not changes:
        return frozenset()
    rows = conn.exec_driver_sql(
        _APPLY,
        {
            "now": journal.now,
            "id": [c.intent_id for c in changes],
            "was": [str(c.was) for c in changes],
            "to": [str(c.to) for c in changes],
            "fence": [c.fence for c in changes],
            "reason": [c.reason for c in changes],
            "message": [c.message for c in changes],
            "owner": [c.owner for c in changes],
            "not_before": [c.not_before for c in changes],
            "vendor_id": [c.vendor_id for c in changes],
            "vendor_number": [c.vendor_number for c in changes],
            "answer": [c.answer for c in changes],
        },
    )
    fences = {row.intent_id: row.fence for row in rows}
    made = [c for c in changes if c.intent_id in fences]
    note_changes(journal, [(c.intent_id, c.was, c.to, fences[c.intent_id], _facts(c)) for c in made])
    return frozenset(fences)


def _facts(change: Change) -> dict[str, Any]:
    facts = {"reason": change.reason, "vendor_id": change.vendor_id, "vendor_number": change.vendor_number}
    return {name: value for name, value in facts.items() if value is not None} | dict(change.detail)
