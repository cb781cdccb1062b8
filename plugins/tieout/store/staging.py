"""Records of a source into their staging table: in chunks, exactly, and without a write for what did not change.

A chunk is one transaction. Records that are written in the usual way are hashed and converted here (staging_usual.py):
those that are staged alike cost one look into the key, those that are new one COPY (staging_insert.py). All others,
changed ones and those with anything unusual in them, go through a temporary table and one statement that does
everything inside PostgreSQL (staging_merge.py, conversion.py). Merges into one (connection, entity) follow one another
by an advisory lock. Making the tables is in staging_tables.py, frames out of them in staged_frames.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy.engine import Connection, Engine

from tieout.model.errors import Rejection
from tieout.model.staged import StagedEntity
from tieout.store import conversion, dead_letters, encoding
from tieout.store.engine import driver
from tieout.store.staged_frames import as_of, read
from tieout.store.staging_insert import current_hashes, insert
from tieout.store.staging_merge import Row, merge
from tieout.store.staging_tables import all_columns, bump_table, ensure, lock_table, table_name
from tieout.store.staging_usual import Usual, only, paths, split

__all__ = ["Counts", "as_of", "bump", "ensure", "mark_deleted", "read", "stage"]

Record = Mapping[str, Any]

#: Records, and bytes of JSON, that one transaction takes: memory stays flat, locks stay short.
CHUNK_RECORDS = 10_000
CHUNK_BYTES = 32 * 1024 * 1024
#: Records whose JSON is made and looked through in one go.
ENCODED_AT_ONCE = 500
#: A B-tree key holds 2,700 bytes; no vendor's id comes near.
MAX_ID_CHARACTERS = 500
_EPOCH = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/")


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
        for chunk in _chunks(entity, records):
            usual, others = split(entity, chunk.rows)
            chunk.rows = others
            if pending is not None:
                total += pending.result()
            pending = merging.submit(_stage_chunk, conn, entity, connection_name, chunk, usual, run_id)
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


# --- below: chunks ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Chunk:
    """Rows by id (the newest of each), and the records that have none."""

    rows: dict[str, Row] = field(default_factory=dict)
    read: int = 0
    size: int = 0
    rejected: list[tuple[Rejection, str]] = field(default_factory=list)


def _chunks(entity: StagedEntity, pages: Iterable[Sequence[Record]]) -> Iterator[_Chunk]:
    chunk = _Chunk()
    key = entity.key.split(".")
    modified = entity.modified.split(".") if entity.modified else None
    columns = {tuple(f.path.split(".")): f.column for f in entity.fields}
    values = _reader(entity)
    for record, (body, replaced) in _encoded(pages):
        chunk.read += 1
        chunk.size += len(body)
        source_id = _source_id(record, key)
        if source_id is None:
            chunk.rejected.append((_without_id(entity, record, body), body.decode()))
        else:
            notes = _notes(replaced, columns) if replaced else None
            row = Row(body, notes, _at(record, modified) if modified else None, values(record))
            earlier = chunk.rows.get(source_id)
            if earlier is None or not _is_later(earlier.modified, row.modified):
                chunk.rows[source_id] = row
        if chunk.read >= CHUNK_RECORDS or chunk.size >= CHUNK_BYTES:
            yield chunk
            chunk = _Chunk()
    if chunk.read:
        yield chunk


def _encoded(pages: Iterable[Sequence[Record]]) -> Iterator[tuple[Record, tuple[bytes, list[encoding.Replaced]]]]:
    for page in pages:
        for start in range(0, len(page), ENCODED_AT_ONCE):
            part = page[start : start + ENCODED_AT_ONCE]
            yield from zip(part, encoding.encode_all(part), strict=True)


def _source_id(record: Record, key: Sequence[str]) -> str | None:
    value = _at(record, key)
    if type(value) is str and len(value) <= MAX_ID_CHARACTERS and value.isascii() and value.isprintable():
        return value if value.strip() else None  # the usual one; there is nothing to clean in it
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_ID_CHARACTERS:
        return None
    return encoding.clean_text(value)


def _reader(entity: StagedEntity) -> Callable[[Record], tuple[Any, ...]]:
    """What reads a record's values at `paths`: one call into C where none is nested and none is missing."""
    steps = paths(entity)
    if any(len(path) > 1 for path in steps) or len(steps) < 2:
        return lambda record: tuple([record.get(path[0]) if len(path) == 1 else _at(record, path) for path in steps])
    names = [path[0] for path in steps]
    at_once = itemgetter(*names)

    def read_values(record: Record) -> tuple[Any, ...]:
        try:
            return cast("tuple[Any, ...]", at_once(record))
        except KeyError:
            return tuple(map(record.get, names))

    return read_values


def _at(record: Any, path: Sequence[str]) -> Any:
    for part in path:
        if not isinstance(record, Mapping):
            return None
        record = record.get(part)
    return record


def _notes(replaced: Sequence[encoding.Replaced], columns: Mapping[tuple[str, ...], str]) -> str | None:
    """Problems of declared columns as the text form of an array; what is in no declared column is no problem."""
    lines = [
        f"{column}: held {one.what}{conversion.REPLACED}"
        for one in replaced
        for path, column in columns.items()
        if one.path[: len(path)] == path
    ]
    if not lines:
        return None
    return "{" + ",".join('"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"' for line in lines) + "}"


def _is_later(one: Any, other: Any) -> bool:
    """Two modification times of one record in one chunk: equal or unreadable ones leave it to the order of arrival."""
    first, second = _instant(one), _instant(other)
    return first is not None and second is not None and first > second


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        if epoch := _EPOCH.fullmatch(value):
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(epoch[1]))
        parsed = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _without_id(entity: StagedEntity, record: Record, body: bytes) -> Rejection:
    return Rejection(
        system=entity.system,
        entity=entity.entity,
        # No id of its own: the content's, so that the same record in the next run is the same dead letter.
        source_id="?" + hashlib.sha256(body).hexdigest()[:16],
        reason="record_without_id",
        message=f"A record of {entity.object} came without a usable {entity.key}.",
        expected=f"{entity.key}: a text of 1 to {MAX_ID_CHARACTERS} characters, or a whole number",
        found=encoding.clean_text(repr(_at(record, entity.key.split("."))))[:500],
        remedy=f"Find the record in {entity.system} by its other fields, see why it has no id, then run again.",
    )


def _stage_chunk(
    conn: Connection, entity: StagedEntity, connection_name: str, chunk: _Chunk, usual: Usual, run_id: UUID
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
            inserted, updated = _write(raw, entity, connection_name, usual, chunk.rows, run_id)
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
        one: Row(body, None, None, ())
        for one, content, body in zip(usual.ids, usual.hashes, usual.bodies, strict=True)
        if one in hashes and hashes[one] != content
    }
    inserted = insert(raw, entity, connection_name, new, run_id)
    merged = {**changed, **others}
    also, updated = merge(raw, entity, connection_name, merged, run_id) if merged else (0, 0)
    return inserted + also, updated
