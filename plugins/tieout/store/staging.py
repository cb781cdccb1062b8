"""Records of a source into their staging table: in chunks, exactly, and without a write for what did not change.

A chunk is one transaction. Records that are written in the usual way are hashed and converted here (staging_usual.py):
those that are staged alike cost one look into the key, those that are new one COPY (staging_insert.py), and their JSON
goes to PostgreSQL as the vendor wrote it. All others,
changed ones and those with anything unusual in them, go through a temporary table and one statement that does
everything inside PostgreSQL (staging_merge.py, conversion.py). Merges into one (connection, entity) follow one another
by an advisory lock. Making the tables is in staging_tables.py, frames out of them in staged_frames.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
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
from tieout.store.staging_chunks import Chunk, Record, Row, chunks
from tieout.store.staging_insert import differing, insert
from tieout.store.staging_merge import merge
from tieout.store.staging_tables import all_columns, bump_table, ensure, lock_table, table_name
from tieout.store.staging_usual import Usual, only, others, split

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
    total = done = Counts()
    # While PostgreSQL merges a chunk the next one is read and encoded here; never more than these two are held.
    with (
        engine.connect() as conn,
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as asking,
        ThreadPoolExecutor(1, thread_name_prefix="staging") as merging,
    ):
        pending: Future[Counts] | None = None
        for chunk in chunks(entity, records):
            rows = split(entity, chunk, lambda bodies: spell(asking, bodies))
            if pending is not None:
                done = pending.result()
                total += done
            place = _Place(entity, connection_name, run_id, all_new=0 < done.inserted == done.read)
            pending = merging.submit(_stage_chunk, conn, place, chunk, *rows)
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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a chunk goes. `all_new`: all records of the chunk before were new."""

    entity: StagedEntity
    connection_name: str
    run_id: UUID
    all_new: bool


def _stage_chunk(conn: Connection, place: _Place, chunk: Chunk, usual: Usual, odd: Mapping[str, Row]) -> Counts:
    with conn.begin():
        if chunk.rejected:
            dead_letters.record(
                conn,
                [rejection for rejection, _ in chunk.rejected],
                connection=place.connection_name,
                stage="extract",
                run_id=place.run_id,
                payloads=[payload for _, payload in chunk.rejected],
            )
        with driver(conn) as raw:
            # Nobody waits for the disk: the log keeps its order, so the commit that moves the watermark, or that of
            # an intent, makes these rows last before it lasts itself.
            raw.execute("set local synchronous_commit = off")
            lock_table(raw, place.entity.table, place.connection_name)
            inserted, updated = _write(raw, place, chunk, usual, odd)
    rejected = len(chunk.rejected)
    return Counts(chunk.read, inserted, updated, chunk.read - rejected - inserted - updated, 0, rejected)


def _write(
    raw: psycopg.Connection[Any], place: _Place, chunk: Chunk, usual: Usual, odd: Mapping[str, Row]
) -> tuple[int, int]:
    """(inserted, updated)"""
    try:
        with raw.transaction():
            inserted, changed = _write_usual(raw, place, usual)
    except psycopg.DataError:
        # A number that jsonb does not hold, somewhere in a record: its conversion knows what to do with each.
        inserted, changed, odd = 0, {}, others(chunk)
    merged = {**changed, **odd}
    also, updated = merge(raw, place.entity, place.connection_name, merged, place.run_id) if merged else (0, 0)
    return inserted + also, updated


def _write_usual(raw: psycopg.Connection[Any], place: _Place, usual: Usual) -> tuple[int, dict[str, Row]]:
    """How many were inserted, and the records that are staged otherwise."""
    if place.all_new:
        # As a first load goes on: to look for each of them would cost more than what is lost once, at its end.
        with suppress(psycopg.errors.UniqueViolation), raw.transaction():
            return insert(raw, place.entity, place.connection_name, usual, place.run_id), {}
    different = differing(raw, place.entity, place.connection_name, usual)
    changed = {usual.ids[one]: Row(usual.bodies[one], None) for one, is_there in different.items() if is_there}
    new = only(usual, [different.get(one) is False for one in range(len(usual.ids))])
    return insert(raw, place.entity, place.connection_name, new, place.run_id), changed


def spell(conn: Connection, bodies: Sequence[bytes]) -> list[str]:
    """Each JSON as PostgreSQL writes it. Raises psycopg.DataError when one of them is none that it can hold."""
    with driver(conn) as raw:
        found = raw.execute(
            "select value::text from jsonb_array_elements(%s::jsonb) with ordinality order by ordinality",
            [(b"[" + b",".join(bodies) + b"]").decode()],
        )
        return [text for (text,) in found]
