"""How far a (connection, entity) has been read (`extract`, by time) or checked (`check`, by staged version)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.errors import Fatal

#: How far a worker's clock may be ahead of the database's before a cursor counts as one of the future.
CLOCK_TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Watermark:
    """`at` for kind `extract`, `version` for kind `check`; `run_id` is the run that moved it last."""

    at: datetime | None
    version: int | None
    run_id: UUID | None
    updated_at: datetime


def read(conn: Connection, connection: str, entity: str, kind: str) -> Watermark | None:
    """The mark; None when nothing was read or checked yet."""
    row = conn.execute(
        sa.text(
            "select at, version, run_id, updated_at from tieout.watermark "
            "where connection = :connection and entity = :entity and kind = :kind"
        ),
        {"connection": connection, "entity": entity, "kind": kind},
    ).one_or_none()
    return None if row is None else Watermark(row.at, row.version, row.run_id, row.updated_at)


def advance(
    conn: Connection,
    connection: str,
    entity: str,
    kind: str,
    *,
    at: datetime | None = None,
    version: int | None = None,
    run_id: UUID | None = None,
    overlap: timedelta = timedelta(0),
    backwards: bool = False,
) -> Watermark:
    """Moves the mark in the caller's transaction, after everything before it is staged (S12).

    Args:
        at: everything modified before this instant is staged. The mark never passes the database's now minus `overlap`.
        version: everything up to this `_version` is checked.
        overlap: how late a row may still show up below a cursor in that system.
        backwards: take the value even when it is lower than the mark (a person wants to read again). Otherwise a lower
            value leaves the mark where it is.

    Returns:
        The mark as it is now.

    Raises:
        Fatal: `at` is in the future; the mark stays.
    """
    now: datetime = conn.execute(sa.select(sa.func.now())).scalar_one()
    if at is not None and at > now + CLOCK_TOLERANCE:
        raise Fatal(
            f"{connection}/{entity}: the cursor {at.isoformat()} is in the future (now is {now.isoformat()}); with it "
            "changes until then would never be read. The watermark stays where it was: correct the clock, or the "
            "record with that modification time, and run again"
        )
    row = conn.execute(
        sa.text(
            """
            insert into tieout.watermark as w (connection, entity, kind, at, version, run_id, updated_at)
            values (:connection, :entity, :kind, :at, :version, :run_id, now())
            on conflict (connection, entity, kind) do update set
                at = case when :backwards then excluded.at else greatest(w.at, excluded.at) end,
                version = case when :backwards then excluded.version else greatest(w.version, excluded.version) end,
                run_id = excluded.run_id,
                updated_at = now()
            returning at, version, run_id, updated_at
            """
        ),
        {
            "connection": connection,
            "entity": entity,
            "kind": kind,
            "at": None if at is None else min(at, now - overlap),
            "version": version,
            "run_id": run_id,
            "backwards": backwards,
        },
    ).one()
    return Watermark(row.at, row.version, row.run_id, row.updated_at)


def checked_version(conn: Connection, connection: str, entity: str) -> int:
    """The highest staged `_version` that was checked; 0 when none was."""
    mark = read(conn, connection, entity, "check")
    return 0 if mark is None or mark.version is None else mark.version


def advance_checked(conn: Connection, connection: str, entity: str, version: int, run_id: UUID | None) -> None:
    """Everything up to `version` is checked."""
    advance(conn, connection, entity, "check", version=version, run_id=run_id)
