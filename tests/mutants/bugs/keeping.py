"""Bugs of what is written down: transactions, audit rows, crosswalk, dead letters, acts of people."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tests.mutants.planting import Patch, mutant
from tieout.delivery import claim, letters, people, settle, states, worker
from tieout.delivery.states import Change, State

# -- one transaction, one row ----------------------------------------------------------------------------------------


@mutant("send", "lost_answer")
def audit_row_missing(patch: Patch) -> None:
    """The change to UNKNOWN has no audit row."""

    def note(journal: Any, changes: Any) -> None:
        right(journal, [change for change in changes if change[2] is not State.UNKNOWN])

    right = states.note_changes
    patch.setattr(states, "note_changes", note)


@mutant()
def audit_row_twice(patch: Patch) -> None:
    """A claim is audited twice."""

    def note(journal: Any, changes: Any) -> None:
        right(journal, [*changes, *changes])

    right = states.note_changes
    patch.setattr(claim, "note_changes", note)


@mutant("point", "dies")
def confirmed_in_two_transactions(patch: Patch) -> None:
    """The state is committed first, the crosswalk afterwards."""

    def two(self: Any, name: str, outcomes: Sequence[Any]) -> None:
        bare = [replace(each, verdict=replace(each.verdict, origin=None)) for each in outcomes]
        right(self, name, bare)
        journal = states.Journal(self.name, "worker", None, self.clock.database_now(self.conn))
        with suppress(AttributeError), self.conn.begin():
            settle._cross(self.conn, list(outcomes), journal)

    right = worker.Worker._settle
    patch.setattr(worker.Worker, "_settle", two)


@mutant("point", "dies", "after_confirm")
def fact_after_the_commit(patch: Patch) -> None:
    """The write-back is planned when the confirmation is committed, not with it."""

    def later(self: Any, name: str, outcomes: Sequence[Any]) -> None:
        tell, self.on_confirmed = self.on_confirmed, None
        try:
            right(self, name, outcomes)
        finally:
            self.on_confirmed = tell
        confirmed = [each for each in outcomes if each.verdict.to is State.CONFIRMED]
        if tell is not None and confirmed:
            with self.conn.begin():
                tell(self.conn, confirmed)

    right = worker.Worker._settle
    patch.setattr(worker.Worker, "_settle", later)


@mutant("point", "held_open")
def dead_letter_missing(patch: Patch) -> None:
    """What is held or rejected has no letter: nobody finds it."""
    patch.setattr(letters, "write", lambda conn, journal, failed: None)


@mutant("act", "cancel", "HELD")
def dead_letter_never_closed(patch: Patch) -> None:
    """The letter of what was mended stays open."""
    patch.setattr(letters, "close", lambda conn, intent_ids: None)


# -- people ----------------------------------------------------------------------------------------------------------


@mutant("act", "cancel", "UNKNOWN")
def person_may_cancel_what_is_unknown(patch: Patch) -> None:
    """A person cancels an intent whose fate is open."""
    right = people._locked
    patch.setattr(people, "_locked", lambda conn, i, allowed, what: right(conn, i, (*allowed, State.UNKNOWN), what))
    patch.setattr(states, "BY_PERSON", states.BY_PERSON | {(State.UNKNOWN, State.CANCELLED)})


@mutant("act", "try_again", "HELD")
def person_may_send_what_is_held(patch: Patch) -> None:
    """A person has a held intent sent again without a look-up."""
    right = people._locked
    patch.setattr(people, "_locked", lambda conn, i, allowed, what: right(conn, i, (*allowed, State.HELD), what))
    patch.setattr(states, "BY_PERSON", states.BY_PERSON | {(State.HELD, State.READY)})
    made = people._make
    patch.setattr(
        people, "_make", lambda conn, journal, change: made(conn, journal, replace(change, was=_state(conn, change)))
    )


def _state(conn: Any, change: Change) -> State:
    sql = "select state from tieout.intent where intent_id = %(id)s"
    return State(conn.exec_driver_sql(sql, {"id": change.intent_id}).scalar_one())
