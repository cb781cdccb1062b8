"""Which ledger document or customer stands for which CRM record: one to one per target (S7).

Rows for what Tieout itself created are written by delivery, in the transaction that confirms them. Here are the rows
for what was there already: matched by a rule, or approved by a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_into
from sqlalchemy.engine import Connection

from tieout.store import audit
from tieout.store.tables import crosswalk


@dataclass(frozen=True, slots=True)
class NewLink:
    """A record of the CRM and the record of the ledger that was there already.

    Attributes:
        link, target, entity: the link's name, the ledger's connection, the common entity (`account`, `product`).
        vendor_id, vendor_number: of the ledger's record.
        doc_uid: the identity that a document of ours would have had.
        source, source_object, source_id: the CRM's connection, object and record.
        origin: `found` by a look-up, `matched` by a rule, `approved` by a person.
        evidence: what it rests on, for whoever asks later.
        decided_by: the rule's or the person's name.
    """

    link: str
    target: str
    entity: str
    vendor_id: str
    vendor_number: str | None
    doc_uid: str
    source: str
    source_object: str
    source_id: str
    origin: Literal["found", "matched", "approved"]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    decided_by: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """One row of the crosswalk."""

    link: str
    target: str
    entity: str
    vendor_id: str
    vendor_number: str | None
    doc_uid: str
    source: str
    source_object: str
    source_id: str
    origin: str
    evidence: Mapping[str, Any]
    decided_by: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """A link that could not be made: one of the two stands for another record already."""

    wanted: NewLink
    by: Link


_COLUMNS = [crosswalk.c[name] for name in Link.__dataclass_fields__]


def find(conn: Connection, target: str, entity: str, source: str, object: str, ids: Sequence[str]) -> dict[str, Link]:
    """source_id -> its row, for the records that have one in this target. Where revisions gave several, the last."""
    rows = conn.execute(
        sa.select(*_COLUMNS)
        .where(
            crosswalk.c.target == target,
            crosswalk.c.entity == entity,
            crosswalk.c.source == source,
            crosswalk.c.source_object == object,
            crosswalk.c.source_id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.Text))),
        )
        .order_by(crosswalk.c.crosswalk_id)
    )
    return {row.source_id: Link(*row) for row in rows}


def link_existing(conn: Connection, links: Sequence[NewLink], run_id: UUID | None = None) -> Sequence[Taken]:
    """Makes rows for records that exist on both sides; audited. Repeating it changes nothing.

    Returns:
        What could not be linked, because the ledger's or the CRM's record is linked otherwise. Nobody may guess there:
        the caller holds the record.
    """
    taken, made = [], []
    for wanted in links:
        values = {name: getattr(wanted, name) for name in NewLink.__dataclass_fields__}
        inserted = conn.execute(
            insert_into(crosswalk)
            .values(**{**values, "evidence": dict(wanted.evidence)})
            .on_conflict_do_nothing()
            .returning(crosswalk.c.crosswalk_id)
        ).scalar_one_or_none()
        if inserted is not None:
            made.append(_event(wanted, run_id))
            continue
        other = _in_the_way(conn, wanted)
        if (other.vendor_id, other.doc_uid, other.source_id) != (wanted.vendor_id, wanted.doc_uid, wanted.source_id):
            taken.append(Taken(wanted, other))
    by_chain: dict[str, list[audit.Event]] = {}
    for name, event in made:
        by_chain.setdefault(f"link:{name}", []).append(event)
    for chain in sorted(by_chain):
        audit.append(conn, chain, by_chain[chain])
    return taken


def _in_the_way(conn: Connection, wanted: NewLink) -> Link:
    row = conn.execute(
        sa.select(*_COLUMNS)
        .where(
            crosswalk.c.target == wanted.target,
            sa.or_(
                sa.and_(crosswalk.c.vendor_id == wanted.vendor_id, crosswalk.c.entity == wanted.entity),
                crosswalk.c.doc_uid == wanted.doc_uid,
            ),
        )
        .limit(1)
    ).one()
    return Link(*row)


def _event(new: NewLink, run_id: UUID | None) -> tuple[str, audit.Event]:
    detail = {
        "source": f"{new.source}/{new.source_object}/{new.source_id}",
        "vendor_id": new.vendor_id,
        "origin": new.origin,
        "evidence": new.evidence,
    }
    actor = new.decided_by or "tieout"
    return new.link, audit.Event(actor, "crosswalk.linked", f"crosswalk:{new.target}:{new.vendor_id}", detail, run_id)
