"""What a person decided once: that this product or customer name of the CRM stands for that one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.store import audit


@dataclass(frozen=True, slots=True)
class Alias:
    """`found` stands for `canonical` (a product code, or a ledger's customer id) in one link."""

    link: str
    entity: str
    found: str
    canonical: str
    approved_by: str
    note: str | None
    approved_at: datetime


def approve(
    conn: Connection, link: str, entity: str, found: str, canonical: str, *, by: str, note: str | None = None
) -> bool:
    """Keeps a decision, or changes it; audited with the value before. False when it was decided so already.

    Args:
        entity: `product` or `account`.
        found: the text or id that was met.
        canonical: what it stands for.
        by: the person.

    Raises:
        ValueError: a text is empty.
    """
    if not (found.strip() and canonical.strip() and by.strip()):
        raise ValueError("an alias needs what was found, what it stands for, and who approves it")
    key = {"link": link, "entity": entity, "found": found}
    before = conn.execute(
        sa.text(
            "select canonical from tieout.alias where link = :link and entity = :entity and found = :found for update"
        ),
        key,
    ).scalar_one_or_none()
    if before == canonical:
        return False
    conn.execute(
        sa.text(
            "insert into tieout.alias (link, entity, found, canonical, approved_by, note) "
            "values (:link, :entity, :found, :canonical, :by, :note) on conflict (link, entity, found) do update set "
            "canonical = excluded.canonical, approved_by = excluded.approved_by, note = excluded.note, "
            "approved_at = now()"
        ),
        {**key, "canonical": canonical, "by": by, "note": note},
    )
    detail = {"found": found, "canonical": canonical, "before": before, "note": note}
    audit.append(conn, f"link:{link}", [audit.Event(by, "alias.approved", f"alias:{entity}:{found}", detail)])
    return True


def listing(conn: Connection, link: str | None = None, entity: str | None = None) -> Sequence[Alias]:
    """Aliases by link, entity and text; all of them without arguments."""
    rows = conn.execute(
        sa.text(
            "select link, entity, found, canonical, approved_by, note, approved_at from tieout.alias "
            "where (cast(:link as text) is null or link = :link) "
            "and (cast(:entity as text) is null or entity = :entity) order by link, entity, found"
        ),
        {"link": link, "entity": entity},
    )
    return [Alias(*row) for row in rows]


def resolve(conn: Connection, link: str, entity: str) -> dict[str, str]:
    """found -> canonical, for one link and entity."""
    return {alias.found: alias.canonical for alias in listing(conn, link, entity)}
