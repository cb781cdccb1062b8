"""Records of a source into their staging table: in chunks, exactly, and without a write for what did not change.

A chunk is one transaction. Records that are written in the usual way are hashed and converted here (staging_usual.py):
those that are staged alike cost one look into the key, those that are new one COPY (staging_insert.py). All others,
changed ones and those with anything unusual in them, go through a temporary table and one statement that does
everything inside PostgreSQL (staging_merge.py, conversion.py). Merges into one (connection, entity) follow one another
by an advisory lock. Making the tables is in staging_tables.py, frames out of them in staged_frames.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy.engine import Connection, Engine

from tieout.model.staged import StagedEntity
from tieout.store import dead_letters
from tieout.store.engine import driver
from tieout.store.staged_frames import as_of, read
from tieout.store.staging_chunks import Chunk, Record, chunks
from tieout.store.staging_insert import current_hashes, insert
from tieout.store.staging_merge import Row, merge
from tieout.store.staging_tables import all_columns, bump_table, ensure, lock_table, table_name
from tieout.store.staging_usual import Usual, only, split

__all__ = ["Counts", "as_of", "bump", "ensure", "mark_deleted", "read", "stage"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of records: read = inserted + updated + unchanged + rejected.

    A record that came twice counts as unchanged the second time, and so does one that is older than what is staged.
    `deleted` counts rows that were marked, beside the records read.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.read + other.read,
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.deleted + other.deleted,
            self.rejected + other.rejected,
        )


def stage(
    engine: Engine, entity: StagedEntity, connection_name: str, records: Iterable[Sequence[Record]], run_id: UUID
) -> Counts:
    """Brings records to their staging table; what is committed when it breaks off stays, and staging again is safe.

    Args:
        engine: of the store.
        entity: the declaration; its table is there (`ensure`).
        connection_name: the source's connection.
        records: pages as a connector gives them; read once, never kept.
        run_id: the sync run.

    Raises:
        ConfigurationFault: the table is missing.
        Retriable: the database went away, or another run holds the table for too long.
    """
    total = Counts()
    # While PostgreSQL merges a chunk the next one is read and encoded here; never more than these two are held.
    with engine.connect() as conn, ThreadPoolExecutor(1, thread_name_prefix="staging") as merging:
        pending: Future[Counts] | None = None
        for chunk in chunks(entity, records):
            usual, others = split(entity, chunk)
            if pending is not None:
                total += pending.result()
            pending = merging.submit(_stage_chunk, conn, entity, connection_name, chunk, usual, others, run_id)
        if pending is not None:
            total += pending.result()
    return total


def mark_deleted(
    engine: Engine, entity: StagedEntity, connection_name: str, ids: Iterable[Sequence[str]], run_id: UUID
) -> Counts:
    """Marks records that the source says are gone. Ids that were never staged are passed over."""
    statement = sql.SQL(
        "with old as (insert into {superseded} ({names}) select {names} from {table}"
        "  where _connection = {connection} and _source_id = any({ids}) and not _deleted)"
        " update {table} set _deleted = true, _run_id = {run}, _staged_at = clock_timestamp(),"
        " _version = nextval('staging.version')"
        " where _connection = {connection} and _source_id = any({ids}) and not _deleted"
    )
    deleted = 0
    for page in ids:
        with engine.begin() as conn, driver(conn) as raw:
            lock_table(raw, entity.table, connection_name)
            done = raw.execute(
                statement.format(
                    superseded=table_name(entity, "_superseded"),
                    table=table_name(entity),
                    names=sql.SQL(", ").join(all_columns(entity)),
                    connection=sql.Literal(connection_name),
                    ids=sql.Literal(list(page)),
                    run=sql.Literal(run_id),
                )
            )
            deleted += done.rowcount
    return Counts(deleted=deleted)


def bump(conn: Connection, entity: StagedEntity, connection_name: str, ids: Sequence[str]) -> int:
    """Gives rows a new `_version`, so that they are checked and judged again; nothing else moves. How many it found."""
    return bump_table(conn, entity.table, connection_name, ids)


# --- below: one chunk ------------------------------------------------------------------------------------------------


def _stage_chunk(
    conn: Connection,
    entity: StagedEntity,
    connection_name: str,
    chunk: Chunk,
    usual: Usual,
    others: Mapping[str, Row],
    run_id: UUID,
) -> Counts:
    with conn.begin():
        if chunk.rejected:
            dead_letters.record(
                conn,
                [rejection for rejection, _ in chunk.rejected],
                connection=connection_name,
                stage="extract",
                run_id=run_id,
                payloads=[payload for _, payload in chunk.rejected],
            )
        with driver(conn) as raw:
            lock_table(raw, entity.table, connection_name)
            inserted, updated = _write(raw, entity, connection_name, usual, others, run_id)
    rejected = len(chunk.rejected)
    return Counts(chunk.read, inserted, updated, chunk.read - rejected - inserted - updated, 0, rejected)


def _write(
    raw: psycopg.Connection[Any],
    entity: StagedEntity,
    connection_name: str,
    usual: Usual,
    others: Mapping[str, Row],
    run_id: UUID,
) -> tuple[int, int]:
    """(inserted, updated)"""
    hashes = current_hashes(raw, entity, connection_name, usual.ids)
    new = only(usual, [one not in hashes for one in usual.ids]) if hashes else usual
    changed = {
        one: Row(body, None)
        for one, content, body in zip(usual.ids, usual.hashes, usual.bodies, strict=True)
        if one in hashes and hashes[one] != content
    }
    inserted = insert(raw, entity, connection_name, new, run_id)
    merged = {**changed, **others}
    also, updated = merge(raw, entity, connection_name, merged, run_id) if merged else (0, 0)
    return inserted + also, updated
