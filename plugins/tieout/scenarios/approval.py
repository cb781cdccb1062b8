"""What an approval sets going: the intents of a proposal as one set, in one transaction with the decision.

No connector is needed: the bytes were frozen when the proposal was made, and the approver's hash covers them. The
command line and the pages call the same function. Delivery posts the intents like everything else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, text

from tieout.delivery import intents
from tieout.delivery import people as adopting
from tieout.delivery.intents import ClosedPeriod, NewIntent
from tieout.model.identity import content_hash
from tieout.reconcile import people
from tieout.reconcile.people import Break
from tieout.store import documents, proposals
from tieout.store.documents import Judgement
from tieout.store.proposals import Item, NotAllowed, Proposal

#: Records that one refusal names; the others are counted.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Approved:
    """What an approval did. `added` is 0 where the same person had approved the same before."""

    proposal_id: int
    link: str
    added: int


def frozen_intents(made: Sequence[NewIntent]) -> list[dict[str, Any]]:
    """Intents as a proposal keeps them; `thawed` is the way back."""
    return [
        {**{name: getattr(one, name) for name in NewIntent.__dataclass_fields__},
         "body": one.body.decode(), "depends_on": list(one.depends_on), "frozen": dict(one.frozen),
         "posting_date": None if one.posting_date is None else one.posting_date.isoformat()}
        for one in made
    ]  # fmt: skip


def thawed(kept: Mapping[str, Any], **facts: Any) -> NewIntent:
    """The intent that a proposal kept, with more facts that must not change later.

    Raises:
        NotAllowed: it is of an earlier release and does not say in which period it would void something.
    """
    # What was proposed before intents had a date has it in its body; a void has none there.
    body = json.loads(str(kept["body"]))
    day = kept.get("posting_date") or body.get("Date")
    if "posting_date" not in kept and body.get("Status") == "VOIDED":
        raise NotAllowed("it was proposed before Tieout kept the date of what is voided; refuse it and propose anew")
    changed = {"body": str(kept["body"]).encode(), "depends_on": tuple(kept["depends_on"]),
               "frozen": {**kept["frozen"], **facts},
               "posting_date": None if day is None else date.fromisoformat(day)}  # fmt: skip
    return NewIntent(**{**kept, **changed})


def approve(engine: Engine, proposal_id: int, by: str, seen_hash: str, note: str = "") -> Approved:
    """Approves what a person saw and adds its intents, all or nothing. Approving the same again changes nothing.

    Args:
        seen_hash: the proposal's hash as it was shown, or its first characters (proposals.SHORTEST_HASH).

    Raises:
        NotAllowed: the hash is of something else, the approver made the proposal, it was decided otherwise, a
            document is not as it was when it was proposed, or its period was closed since.
    """
    with engine.begin() as conn:
        found = proposals.locked(conn, proposal_id)
        if found.state in ("approved", "done") and found.decided_by == by.strip():
            if not proposals.is_hash_of(found, seen_hash):
                raise NotAllowed(f"proposal {proposal_id}: this is not the hash of what it shows; look at it again")
            return Approved(proposal_id, found.link, 0)
        # Breaks before the link's audit chain, as whoever decides on breaks does.
        breaks = _breaks(conn, found, by)
        # The link's audit chain before the target's, as everywhere: two transactions cannot wait for each other.
        proposals.approve(conn, found, by, seen_hash, note)
        intents.wait_for_other_adders(conn, found.target)
        _refuse_changed(conn, found)
        added = _add(conn, found, by.strip())
        if breaks:
            people.tell(conn, breaks, "fix_approved", by, {"proposal": proposal_id, "fix": found.kind})
        return Approved(proposal_id, found.link, added)


def _breaks(conn: Connection, found: Proposal, by: str) -> list[Break]:
    """The breaks that it mends, locked.

    Raises:
        NotAllowed: one of them is not there any more, or not of that amount.
    """
    items = {item.break_id: item for item in found.items if item.break_id is not None}
    if not items:
        return []
    locked = people.locked(conn, [break_id for break_id in items if break_id is not None], by)
    other = [
        one for one in locked
        if one.cleared_on is not None
        or (items[one.break_id].action == "write_off" and abs(one.amount) != items[one.break_id].amount_minor)
    ]  # fmt: skip
    if other:
        raise NotAllowed(
            f"proposal {found.proposal_id}: cleared or changed since it was made: "
            f"{_named([f'break {one.break_id}' for one in other])}; refuse it and propose anew"
        )
    return locked


def _add(conn: Connection, found: Proposal, by: str) -> int:
    versions = _mark_documents(conn, found) if found.kind in ("rollback", *_BILLED_ANEW) else {}
    made = [
        thawed(kept, proposal=found.proposal_id, **_at(versions, item)) for item in found.items for kept in item.intents
    ]
    if not made:
        raise NotAllowed(f"proposal {found.proposal_id}: nothing in it can be done; refuse it")
    try:
        added = intents.add(conn, made, found.run_id, f"person:{by}")
    except ClosedPeriod as error:
        raise NotAllowed(f"proposal {found.proposal_id}: {error}; refuse it and propose anew") from error
    if there := [*added.same, *added.conflicting]:
        raise NotAllowed(
            f"proposal {found.proposal_id}: {len(there)} of its documents have an intent of the same kind already; "
            "refuse it and propose anew"
        )
    if found.kind == "relink":
        _adopt(conn, found, by)
    return len(added.new)


#: Kinds of proposals whose intents are a later revision of a record's invoice.
_BILLED_ANEW = ("resend", "relink")


def _adopt(conn: Connection, found: Proposal, by: str) -> None:
    """The ledger has each document already: its intent is confirmed with it, and nothing is sent."""
    of = {str(kept["doc_uid"]): item for item in found.items for kept in item.intents}
    rows = conn.execute(
        text("select intent_id, doc_uid from tieout.intent where target = :target and doc_uid = any(:uids)"),
        {"target": found.target, "uids": list(of)},
    ).all()
    for row in rows:
        item = of[row.doc_uid]
        try:
            adopting.adopt(conn, row.intent_id, by, item.vendor_id, item.vendor_number, f"proposal {found.proposal_id}")
        except adopting.NotPossible as error:
            raise NotAllowed(f"proposal {found.proposal_id}: {error}; refuse it and propose anew") from error


def _at(versions: Mapping[str, int], item: Item) -> dict[str, int]:
    version = versions.get(item.source_id or "")
    return {} if version is None else {"at_version": version}


def _mark_documents(conn: Connection, found: Proposal) -> dict[str, int]:
    """Each record waits for what is proposed of it; source id -> the staged version on which it was judged.

    Up to that version what was taken back is not billed again.
    """
    by_entity: dict[str, dict[str, Item]] = {}
    for item in found.items:
        if item.intents and item.source_id:
            by_entity.setdefault(str(item.intents[0]["source_entity"]), {})[item.source_id] = item
    versions: dict[str, int] = {}
    for entity, items in sorted(by_entity.items()):
        judged = documents.latest(conn, found.link, entity, sorted(items))
        # A run that is at work on it would write what became of its invoice over what is written here.
        if at_work := [one.source_number or key for key, one in judged.items() if one.outcome == "pending"]:
            raise NotAllowed(
                f"proposal {found.proposal_id}: a run is at work on {_named(at_work)}; approve it when that has ended"
            )
        waiting = [_waiting(found, items[source_id], judgement) for source_id, judgement in judged.items()]
        documents.upsert(conn, found.link, entity, waiting, found.run_id)
        versions |= {judgement.source_id: judgement.seen_version for judgement in waiting}
    if missing := sorted(set().union(*by_entity.values()) - set(versions)):
        raise NotAllowed(f"proposal {found.proposal_id}: {_named(missing)}: never judged by a run of this link")
    return versions


def _waiting(found: Proposal, item: Item, judged: Judgement) -> Judgement:
    first = item.intents[0]
    waits = replace(judged, outcome="pending", doc_uid=str(first["doc_uid"]))
    if found.kind == "rollback":
        return replace(waits, reason="rolled_back", message=f"being taken back by proposal {found.proposal_id}")
    return replace(
        waits, reason=None, message=f"mended by proposal {found.proposal_id}", revision=int(first["revision"]),
        content_hash=content_hash(first["frozen"]["bill"]),
    )  # fmt: skip


def _refuse_changed(conn: Connection, found: Proposal) -> None:
    """Raises NotAllowed where the ledger's document, or what we are doing with it, is not what was proposed on."""
    changed = proposals.changed_since(conn, found)
    if changed:
        raise NotAllowed(
            f"proposal {found.proposal_id}: changed in the ledger since it was made: "
            f"{_named([item.vendor_number or item.vendor_id for item in changed])}; refuse it and propose anew"
        )
    if found.kind != "rollback":
        return
    acted = {item.doc_uid: item for item in found.items if item.action != "none" and item.doc_uid}
    rows = conn.execute(_NOW, {"target": found.target, "uids": list(acted)}).all()
    wrong = {row.doc_uid for row in rows if row.state != "CONFIRMED" or row.superseded or row.reversed}
    wrong |= acted.keys() - {row.doc_uid for row in rows}
    if wrong:
        numbers = [acted[uid].vendor_number or acted[uid].vendor_id for uid in sorted(wrong)]
        raise NotAllowed(
            f"proposal {found.proposal_id}: billed anew or reversed since it was made: {_named(numbers)}; "
            "refuse it and propose anew"
        )


_NOW = text(
    """
    select o.doc_uid, o.state,
        exists (select from tieout.intent l where l.link = o.link and l.target = o.target and l.source = o.source
            and l.source_object = o.source_object and l.source_id = o.source_id and l.kind = o.kind
            and l.revision > o.revision) as superseded,
        exists (select from tieout.intent r where r.target = o.target and r.source = o.source
            and r.source_object = o.source_object and r.source_id = o.source_id and r.revision = o.revision
            and r.kind in ('void', 'credit_memo') and r.state not in ('REJECTED', 'CANCELLED')) as reversed
    from tieout.intent o where o.target = :target and o.doc_uid = any(:uids)
    """
)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
