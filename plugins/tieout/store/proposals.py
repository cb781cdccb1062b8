"""Proposals: sets of reversals and repairs that a person approves or refuses, kept as they were shown.

Here: the rows, their hash, who may decide, the audit. What is proposed, and what an approval sets going, is decided by
scenarios (rollback.py, sweep.py, fixes.py, approval.py). The database keeps the rules too: migrations 0003 and 0006.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.errors import ConfigurationFault, Fatal
from tieout.model.identity import content_hash
from tieout.store import audit
from tieout.store.tables import proposal, proposal_item

Kind = Literal["rollback", "void_duplicate", "resend", "relink", "write_off"]
Action = Literal["void", "credit", "resend", "relink", "write_off", "none"]
#: Characters of a hash that name it well enough for a person to type.
SHORTEST_HASH = 12
#: Documents of one proposal: what is approved at once has to fit into one transaction, and before one pair of eyes.
MOST_ITEMS = 20_000


class NotAllowed(Fatal):
    """The proposal cannot be decided so; the message says why, and what may be done."""


@dataclass(frozen=True, slots=True)
class Item:
    """One document of a proposal.

    Attributes:
        entity, vendor_id, vendor_number: the ledger's document; common entity `invoice` or `credit_memo`.
        doc_uid: our identity of it, or of the document that it is a double of.
        source_object, source_id, source_number: the CRM's record.
        currency, amount_minor: the ledger's total with tax, in minor units; None where it is not known.
        action: `none` is shown and nothing is done; the reason says why.
        reason: stable code, `why` the same in words.
        staged_in, ledger_version: staging table and `_version` on which this was decided.
        intents: what an approval adds, as fields of delivery's NewIntent with the body as text.
        break_id: of the break that it mends; None where it comes from elsewhere.
    """

    entity: str
    vendor_id: str
    vendor_number: str | None
    doc_uid: str | None
    source_object: str | None
    source_id: str | None
    source_number: str | None
    currency: str | None
    amount_minor: int | None
    action: Action
    reason: str
    why: str
    staged_in: str
    ledger_version: int | None
    intents: Sequence[Mapping[str, Any]] = ()
    break_id: int | None = None


def shown_actions(sums: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """The actions that a table of sums has columns for: void, credit, what else there is, and nothing."""
    others = sorted(set().union(*sums.values()) - {"void", "credit", "none", "documents"})
    return ("void", "credit", *others, "none")


@dataclass(frozen=True, slots=True)
class New:
    """A proposal to be made. `by_machine`: then any one person may approve it."""

    kind: Kind
    link: str
    target: str
    reason: str
    by: str
    by_machine: bool
    run_id: UUID
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal with its items, in order."""

    proposal_id: int
    kind: Kind
    link: str
    target: str
    reason: str
    proposed_by: str
    by_machine: bool
    proposed_at: datetime
    items_hash: str
    state: Literal["proposed", "approved", "refused", "done"]
    decided_by: str | None
    decided_at: datetime | None
    decided_hash: str | None
    note: str | None
    run_id: UUID
    done_at: datetime | None
    items: tuple[Item, ...] = ()

    def sums(self) -> dict[str, dict[str, int]]:
        """As `sums`."""
        return sums(self.items)


_COLUMNS = [proposal.c[name] for name in Proposal.__dataclass_fields__ if name != "items"]
_ITEM = [proposal_item.c[name] for name in Item.__dataclass_fields__]


def sums(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """currency -> action -> minor units, and `documents`: how many. Two currencies are never added."""
    found: dict[str, dict[str, int]] = {}
    for item in items:
        _add(found, item.currency or "", item.action, item.amount_minor or 0, 1)
    return dict(sorted(found.items()))


def items_hash(kind: str, link: str, target: str, items: Sequence[Item]) -> str:
    """SHA-256 over everything that is proposed, the bytes of the requests included."""
    shown = []
    for item in items:
        fields = asdict(item)
        if item.break_id is None:
            del fields["break_id"]  # as it was before there were breaks: what was proposed then keeps its hash
        fields["intents"] = [
            {**intent, "body": hashlib.sha256(str(intent["body"]).encode()).hexdigest()} for intent in item.intents
        ]
        shown.append(fields)
    return content_hash({"kind": kind, "link": link, "target": target, "items": shown})


def propose(conn: Connection, new: New) -> int:
    """Keeps a proposal and returns its id; audited.

    Raises:
        ConfigurationFault: it has no items, or too many for one decision; no name or reason is given.
    """
    if not new.items:
        raise ConfigurationFault("there is nothing to propose")
    if len(new.items) > MOST_ITEMS:
        raise ConfigurationFault(f"{len(new.items)} documents are too many for one decision; at most {MOST_ITEMS}")
    if not (new.by.strip() and new.reason.strip()):
        raise ConfigurationFault("a proposal needs the name of who makes it, and a reason")
    seen = items_hash(new.kind, new.link, new.target, new.items)
    values = {"kind": new.kind, "link": new.link, "target": new.target, "reason": new.reason.strip(),
              "proposed_by": new.by.strip(), "by_machine": new.by_machine, "items_hash": seen,
              "run_id": new.run_id}  # fmt: skip
    made: int = conn.execute(sa.insert(proposal).values(**values).returning(proposal.c.proposal_id)).scalar_one()
    rows = [
        {**asdict(item), "intents": list(item.intents), "proposal_id": made, "position": position}
        for position, item in enumerate(new.items, start=1)
    ]
    conn.execute(sa.insert(proposal_item), rows)
    detail = {"kind": new.kind, "reason": new.reason, "items_hash": seen, "documents": len(rows),
              "sums": sums(new.items)}  # fmt: skip
    _note(conn, new.link, new.by, "proposal.made", made, detail, new.run_id)
    return made


def get(conn: Connection, proposal_id: int) -> Proposal | None:
    """The proposal with its items; None when there is none of that id."""
    row = conn.execute(sa.select(*_COLUMNS).where(proposal.c.proposal_id == proposal_id)).one_or_none()
    return None if row is None else Proposal(**row._mapping, items=_items(conn, [proposal_id]).get(proposal_id, ()))


@dataclass(frozen=True, slots=True)
class Listed:
    """A proposal without its items, and what they come to: how many, and `sums` as `sums()` gives them."""

    proposal: Proposal
    documents: int
    sums: Mapping[str, Mapping[str, int]]


def listing(conn: Connection, link: str | None = None, state: str | None = None, limit: int = 200) -> list[Listed]:
    """Proposals, newest first."""
    query = sa.select(*_COLUMNS).order_by(proposal.c.proposal_id.desc()).limit(limit)
    if link is not None:
        query = query.where(proposal.c.link == link)
    if state is not None:
        query = query.where(proposal.c.state == state)
    found = [Proposal(**row._mapping) for row in conn.execute(query)]
    added = _sums(conn, [one.proposal_id for one in found])
    return [
        Listed(one, sum(part["documents"] for part in added[one.proposal_id].values()), added[one.proposal_id])
        for one in found
    ]


def _sums(conn: Connection, ids: Sequence[int]) -> dict[int, dict[str, dict[str, int]]]:
    rows = conn.execute(
        sa.text(
            "select proposal_id, coalesce(currency, '') as currency, action, count(*) as documents, "
            "cast(coalesce(sum(amount_minor), 0) as bigint) as minor from tieout.proposal_item "
            "where proposal_id = any(:ids) group by 1, 2, 3 order by 1, 2"
        ),
        {"ids": list(ids)},
    )
    found: dict[int, dict[str, dict[str, int]]] = defaultdict(dict)
    for row in rows:
        _add(found[row.proposal_id], row.currency, row.action, row.minor, row.documents)
    return found


def _add(found: dict[str, dict[str, int]], currency: str, action: str, minor: int, documents: int) -> None:
    part = found.setdefault(currency, {"void": 0, "credit": 0, "none": 0, "documents": 0})
    part[action] = part.get(action, 0) + minor
    part["documents"] += documents


def locked(conn: Connection, proposal_id: int) -> Proposal:
    """The proposal, locked until the transaction ends: two people cannot decide it at once.

    Raises:
        NotAllowed: there is none of that id.
    """
    query = sa.select(proposal.c.proposal_id).where(proposal.c.proposal_id == proposal_id).with_for_update()
    if conn.execute(query).one_or_none() is None:
        raise NotAllowed(f"there is no proposal {proposal_id}")
    found = get(conn, proposal_id)
    assert found is not None  # it is locked
    return found


def approve(conn: Connection, found: Proposal, by: str, seen_hash: str, note: str = "") -> None:
    """Writes that a person approved what they saw; audited. `found` is locked by the caller's transaction.

    Raises:
        NotAllowed: it is decided already, the hash is of something else, or the approver made it.
    """
    by = _name(by)
    if found.state != "proposed":
        raise NotAllowed(f"proposal {found.proposal_id} is {found.state} by {found.decided_by}")
    if not is_hash_of(found, seen_hash):
        raise NotAllowed(f"proposal {found.proposal_id}: this is not the hash of what it shows; look at it again")
    if items_hash(found.kind, found.link, found.target, found.items) != found.items_hash:
        raise NotAllowed(f"proposal {found.proposal_id}: its items do not fit its hash: refuse it and propose anew")
    if not found.by_machine and by.casefold() == found.proposed_by.strip().casefold():
        raise NotAllowed(f"proposal {found.proposal_id} was made by {found.proposed_by}: another person approves it")
    _decide(conn, found, "approved", by, note, found.items_hash)


def refuse(conn: Connection, proposal_id: int, by: str, note: str) -> None:
    """A person refuses; nothing is done. Audited. Who made it may take it back so.

    Raises:
        NotAllowed: it is decided already, or there is no such proposal.
    """
    found = locked(conn, proposal_id)
    if found.state != "proposed":
        raise NotAllowed(f"proposal {proposal_id} is {found.state} by {found.decided_by}")
    _decide(conn, found, "refused", _name(by), note, None)


def is_hash_of(found: Proposal, seen_hash: str) -> bool:
    """Whether a person saw this proposal: its hash, or the beginning of it."""
    given = seen_hash.strip().lower()
    return len(given) >= SHORTEST_HASH and found.items_hash.startswith(given)


#: Intents in these states are settled: nothing more comes of them by itself.
SETTLED = ("CONFIRMED", "REJECTED", "CANCELLED")
_FINISH = sa.text(
    """
    update tieout.proposal p set state = 'done', done_at = now()
    where p.state = 'approved' and p.link = :link and not exists (
        select from tieout.proposal_item m cross join jsonb_array_elements(m.intents) as part
        left join tieout.intent i on i.target = p.target and i.doc_uid = part ->> 'doc_uid'
        where m.proposal_id = p.proposal_id and (i.state is null or i.state <> all(:settled)))
    returning p.proposal_id, p.run_id
    """
)


def finish(conn: Connection, link: str) -> list[int]:
    """Approved proposals of which every intent is settled become `done`; their ids. Audited."""
    done = conn.execute(_FINISH, {"link": link, "settled": list(SETTLED)}).all()
    for row in done:
        _note(conn, link, "tieout", "proposal.done", row.proposal_id, {}, row.run_id)
    return sorted(row.proposal_id for row in done)


@dataclass(frozen=True, slots=True)
class Carried:
    """One intent that an approval added, and where it stands."""

    kind: str
    doc_uid: str
    intent_id: int
    state: str
    reason: str | None


def states(conn: Connection, proposal_id: int) -> dict[int, list[Carried]]:
    """position -> the intents that the approval added, in the order in which they were made; empty before it."""
    rows = conn.execute(
        sa.text(
            """
            select m.position, i.kind, i.doc_uid, i.intent_id, i.state, i.reason
            from tieout.proposal p join tieout.proposal_item m using (proposal_id)
            cross join jsonb_array_elements(m.intents) as part
            join tieout.intent i on i.target = p.target and i.doc_uid = part ->> 'doc_uid'
            where p.proposal_id = :id and i.frozen ->> 'proposal' = cast(p.proposal_id as text)
            order by m.position, i.intent_id
            """
        ),
        {"id": proposal_id},
    )
    found: dict[int, list[Carried]] = defaultdict(list)
    for position, *values in rows:
        found[position].append(Carried(*values))
    return dict(found)


def proposed_before(conn: Connection, target: str, vendor_ids: Sequence[str], *, only_open: bool) -> dict[str, int]:
    """vendor id -> the proposal that would do something with it; `only_open`: not those refused or done."""
    wanted = ["proposed", "approved"] if only_open else ["proposed", "approved", "refused", "done"]
    rows = conn.execute(
        sa.text(
            "select m.vendor_id, max(m.proposal_id) as proposal_id from tieout.proposal_item m "
            "join tieout.proposal p using (proposal_id) where p.target = :target and p.state = any(:states) "
            "and m.vendor_id = any(:ids) and (m.action <> 'none' or not :only_open) group by 1"
        ),
        {"target": target, "states": wanted, "ids": list(vendor_ids), "only_open": only_open},
    )
    return {row.vendor_id: row.proposal_id for row in rows}


def of_breaks(conn: Connection, break_ids: Sequence[int]) -> list[tuple[int, int, Kind, str]]:
    """(break, proposal, kind, state) of every proposal that is to mend one of these breaks, oldest first."""
    rows = conn.execute(
        sa.text(
            "select m.break_id, p.proposal_id, p.kind, p.state from tieout.proposal_item m "
            "join tieout.proposal p using (proposal_id) where m.break_id = any(:ids) order by 2, 1"
        ),
        {"ids": list(break_ids)},
    )
    return [(row.break_id, row.proposal_id, row.kind, row.state) for row in rows]


def changed_since(conn: Connection, found: Proposal) -> list[Item]:
    """Items to be acted on whose document in the ledger is not as it was when this was proposed, as far as staged."""
    acted = [item for item in found.items if item.action != "none"]
    changed: list[Item] = []
    for table in sorted({item.staged_in for item in acted}):
        staged = sa.table(table, sa.column("_connection"), sa.column("_source_id"), sa.column("_version"),
                          schema="staging")  # fmt: skip
        of_table = [item for item in acted if item.staged_in == table]
        ids = sa.literal([item.vendor_id for item in of_table], sa.ARRAY(sa.Text))
        rows = conn.execute(
            sa.select(staged.c._source_id, staged.c._version).where(
                staged.c._connection == found.target, staged.c._source_id == sa.any_(ids)
            )
        )
        versions = {row[0]: row[1] for row in rows}
        changed += [item for item in of_table if versions.get(item.vendor_id) != item.ledger_version]
    return changed


def _items(conn: Connection, ids: Sequence[int]) -> dict[int, tuple[Item, ...]]:
    rows = conn.execute(
        sa.select(proposal_item.c.proposal_id, *_ITEM)
        .where(proposal_item.c.proposal_id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.BigInteger))))
        .order_by(proposal_item.c.proposal_id, proposal_item.c.position)
    )
    found: dict[int, list[Item]] = defaultdict(list)
    for row in rows.mappings():
        found[row["proposal_id"]].append(Item(**{name: row[name] for name in Item.__dataclass_fields__}))
    return {proposal_id: tuple(items) for proposal_id, items in found.items()}


def _decide(conn: Connection, found: Proposal, state: str, by: str, note: str, seen: str | None) -> None:
    conn.execute(
        sa.update(proposal)
        .where(proposal.c.proposal_id == found.proposal_id)
        .values(state=state, decided_by=by, decided_at=sa.func.now(), decided_hash=seen, note=note.strip() or None)
    )
    detail = {"items_hash": found.items_hash, "note": note.strip() or None}
    _note(conn, found.link, by, f"proposal.{state}", found.proposal_id, detail, found.run_id)


def _name(by: str) -> str:
    if not by.strip():
        raise NotAllowed("a decision needs the name of the person who makes it")
    return by.strip()


def _note(
    conn: Connection, link: str, actor: str, event: str, proposal_id: int, detail: Mapping[str, Any], run_id: UUID
) -> None:
    audit.append(conn, f"link:{link}", [audit.Event(actor, event, f"proposal:{proposal_id}", detail, run_id)])
