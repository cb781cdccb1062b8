"""How a play must end: what the plan wants of each record, line by line, whatever happened on the way (L1, L2, L4 ...).

The same wanted books hold for every cut into runs and every order of callers, so two plays that both pass have the same
books. What people did to a record is theirs; of such records only what always holds is asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tieout.delivery.families import SHARED
from tieout.delivery.simulation.oracle import Broken, Line
from tieout.delivery.simulation.plan import Doc
from tieout.delivery.simulation.rows import Rows
from tieout.delivery.simulation.world import World, natural_key
from tieout.delivery.states import State

ENDS = (State.CONFIRMED, State.REJECTED, State.HELD, State.CANCELLED)


def check(world: World, rows: Rows) -> None:
    """Raises Broken at the first record that did not end as it must."""
    for intent in rows.intents:
        if intent.state not in ENDS:
            raise Broken("L1", f"{intent.natural_key} ends as {intent.state} ({intent.reason})")
        if intent.state == State.HELD and not (intent.reason and intent.owner):
            raise Broken("L2", f"{intent.natural_key} is held without a reason or an owner")
        waits = set(intent.depends_on) - set(rows.vendor_id_of)
        if intent.state == State.HELD and intent.reason.startswith("parent_") and not waits:
            raise Broken("L1", f"{intent.natural_key} is held for a parent that is well")
        if intent.state == State.HELD and intent.reason == SHARED and not _rivals(intent, rows):
            raise Broken("L1", f"{intent.natural_key} is held for another record's key, and no other has it")
    _intents_as_planned(world, rows)
    _letters_name_what_failed(rows)
    _books_agree(world, rows)
    for doc in world.plan.docs:
        if doc.number not in world.touched:
            _ends_as_wanted(world, doc, rows)


def _rivals(intent: Any, rows: Rows) -> list[Any]:
    ended = (State.REJECTED, State.CANCELLED)
    same = [i for i in rows.intents if (i.natural_key, i.operation) == (intent.natural_key, intent.operation)]
    return [i for i in same if i.source_id != intent.source_id and i.state not in ended]


def check_facts(world: World, rows: Rows, facts: Sequence[Any]) -> None:
    """S17: a fact went back for each document that a delivery confirmed, in the confirming transaction, no other."""
    told = {fact.natural_key for fact in facts}
    confirmed = {i.doc_uid for i in rows.intents if i.state == State.CONFIRMED and i.reason != "accepted"}
    if told != confirmed:
        raise Broken("S17", f"{len(told - confirmed)} facts of what is not confirmed, {len(confirmed - told)} missing")


def _intents_as_planned(world: World, rows: Rows) -> None:
    """S10: what was planned is there, each once, with its amount. S11, S5: and frozen as it was."""
    there = {intent.doc_uid: intent for intent in rows.intents}
    if set(there) != set(world.planned):
        raise Broken("S10", f"{len(world.planned)} documents were planned, {len(there)} intents are there")
    for uid, planned in world.planned.items():
        row = there[uid]
        if (row.amount_minor, row.currency) != (planned.amount_minor, planned.currency):
            raise Broken("S10", f"{row.natural_key} was planned with another amount")
        kept = (bytes(row.body), row.idempotency_key, row.operation, row.frozen)
        if kept != (planned.body, planned.idempotency_key, planned.operation, planned.frozen):
            raise Broken("S11", f"{row.natural_key}: body, key or frozen facts have changed")


def _letters_name_what_failed(rows: Rows) -> None:
    """L2: who looks for work finds it: an open letter for each record with a failed intent, none for the others."""
    opened = {letter.source_id for letter in rows.letters if letter.state == "open"}
    for letter in rows.letters:
        if letter.state == "open" and not letter.owner:
            raise Broken("L2", f"the letter of record {letter.source_id} has no owner")
    latest: dict[tuple[str, str], Any] = {}
    for intent in rows.intents:
        if intent.revision >= getattr(latest.get((intent.source_id, intent.kind)), "revision", 0):
            latest[intent.source_id, intent.kind] = intent
    failed = {i.source_id for i in rows.intents if i.state == State.HELD}
    failed |= {i.source_id for i in latest.values() if i.state == State.REJECTED}
    if failed - opened:
        raise Broken("L2", f"no open dead letter names record {sorted(failed - opened)}")
    if opened - failed:
        raise Broken("L2", f"the letter of record {sorted(opened - failed)} is open although nothing is wrong")


def _books_agree(world: World, rows: Rows) -> None:
    """L4: every live line of the oracle is confirmed with that amount, or held for a person; and the reverse."""
    bodies = {document.body for document in world.ledger.documents if document.is_live}
    for intent in rows.intents:
        if intent.state == State.REJECTED and bytes(intent.body) in bodies:
            raise Broken("L4", f"{intent.natural_key} is rejected, and the ledger has exactly this document")
    view: dict[str, tuple[int, int]] = {}
    held = {i.source_id for i in rows.intents if i.state == State.HELD}
    voided = {i.vendor_id for i in rows.intents if i.state == State.CONFIRMED and i.kind == "void"}
    for intent in rows.intents:
        if intent.state == State.CONFIRMED and intent.kind != "void" and intent.vendor_id not in voided:
            revision = view.get(intent.vendor_id, (0, 0))[0]
            if intent.revision >= revision:
                view[intent.vendor_id] = (intent.revision, intent.amount_minor)
    for line in world.oracle.lines.values():
        ours = line.record is not None
        if ours and line.live and line.vendor_id not in view and str(line.record) not in held:
            raise Broken("L4", f"{line.natural_key} is live in the ledger, and no intent says so")
        if ours and line.vendor_id in view and (not line.live or line.amount != view[line.vendor_id][1]):
            raise Broken("L4", f"{line.natural_key}: the books say {line.amount}, live {line.live}; we say "
                         f"{view[line.vendor_id][1]}")  # fmt: skip
        if line.live and b'"refuse"' in line.body and line.natural_key not in world.ledger.lifted:
            raise Broken("S16", f"{line.natural_key} is in the books although the ledger refuses it")


def _ends_as_wanted(world: World, doc: Doc, rows: Rows) -> None:
    lines = [line for line in world.oracle.lines.values() if line.live and line.natural_key == natural_key(doc)]
    states = {i.state for i in rows.intents if i.source_id == str(doc.number) and i.kind != "void"}
    impatient = any(i.reason == "never_settles" for i in rows.intents)
    wanted = _wanted(world, doc)
    if wanted == "anything" or impatient:
        return
    if doc.number in world.wanted_void:
        if lines:
            raise Broken("S15", f"{natural_key(doc)} was cancelled at its source and is live in the ledger")
    elif wanted == "live":
        _is_there(world, doc, lines, states)
    elif lines or wanted not in states:
        raise Broken("L1", f"{natural_key(doc)} should be {wanted}, it is {sorted(states)}; {len(lines)} in the books")


def _is_there(world: World, doc: Doc, lines: Sequence[Line], states: set[str]) -> None:
    if State.CONFIRMED not in states or len(lines) != 1:
        raise Broken("L1", f"{natural_key(doc)} should be confirmed, it is {sorted(states)}; {len(lines)} in the books")
    content = json.loads(lines[0].body)
    revision = world.content.get(doc.number, 1)
    if (content["revision"], content["amount"]) != (revision, world.amount(doc, revision)):
        raise Broken("L4", f"{natural_key(doc)} should be at revision {revision}, it is at {content['revision']}")


def _wanted(world: World, doc: Doc) -> str:
    """`live`, REJECTED, HELD (what it rests on failed), or `anything` where people or a twin had a part in it."""
    ancestor = doc
    while ancestor.parent is not None:
        above = world.doc(ancestor.parent)
        if above is None:
            return State.HELD
        if above.number in world.touched or world.has_twin(above):
            return "anything"
        if above.refuse:
            return State.HELD
        ancestor = above
    if world.has_twin(doc):
        return "anything"  # one of the two is confirmed, the other held: which one is the order's to say
    if doc.refuse and world.content.get(doc.number, 1) == 1:
        return State.REJECTED
    return "live"
