"""Records of a source into their staging table: in chunks, exactly, and without a write for what did not change.

A chunk is one transaction: COPY of (id, JSON) into a temporary table, then one statement that hashes, joins with the
current images, converts what differs, keeps the old images and writes the new ones. Merges into one (connection,
entity) follow one another by an advisory lock. Making the tables is in staging_tables.py, the conversion of values in
conversion.py, frames out of them in staged_frames.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy.engine import Connection, Engine

from tieout.model.errors import ConfigurationFault, Rejection
from tieout.model.staged import StagedEntity
from tieout.store import conversion, dead_letters, encoding
from tieout.store.engine import driver
from tieout.store.staged_frames import as_of, read
from tieout.store.staging_tables import all_columns, bump_table, ensure, lock_table, table_name

__all__ = ["Counts", "as_of", "bump", "ensure", "mark_deleted", "read", "stage"]

Record = Mapping[str, Any]

#: Records, and bytes of JSON, that one transaction takes: memory stays flat, locks stay short.
CHUNK_RECORDS = 10_000
CHUNK_BYTES = 32 * 1024 * 1024
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
    with engine.connect() as conn:
        for chunk in _chunks(entity, records):
            with conn.begin():
                total += _stage_chunk(conn, entity, connection_name, chunk, run_id)
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


class _Row(NamedTuple):
    """A record on its way: its JSON, what had to be replaced in it, its modification time as it came."""

    body: bytes
    notes: str | None
    modified: Any


@dataclass(slots=True)
class _Chunk:
    """Rows by id (the newest of each), and the records that have none."""

    rows: dict[str, _Row] = field(default_factory=dict)
    read: int = 0
    size: int = 0
    rejected: list[tuple[Rejection, str]] = field(default_factory=list)


def _chunks(entity: StagedEntity, pages: Iterable[Sequence[Record]]) -> Iterator[_Chunk]:
    chunk = _Chunk()
    key = entity.key.split(".")
    modified = entity.modified.split(".") if entity.modified else None
    columns = {tuple(f.path.split(".")): f.column for f in entity.fields}
    for page in pages:
        for record in page:
            body, replaced = encoding.encode(record)
            chunk.read += 1
            chunk.size += len(body)
            source_id = _source_id(record, key)
            if source_id is None:
                chunk.rejected.append((_without_id(entity, record, body), body.decode()))
            else:
                row = _Row(body, _notes(replaced, columns), _at(record, modified) if modified else None)
                earlier = chunk.rows.get(source_id)
                if earlier is None or not _is_later(earlier.modified, row.modified):
                    chunk.rows[source_id] = row
            if chunk.read >= CHUNK_RECORDS or chunk.size >= CHUNK_BYTES:
                yield chunk
                chunk = _Chunk()
    if chunk.read:
        yield chunk


def _source_id(record: Record, key: Sequence[str]) -> str | None:
    value = _at(record, key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_ID_CHARACTERS:
        return None
    return encoding.clean_text(value)


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


def _stage_chunk(conn: Connection, entity: StagedEntity, connection_name: str, chunk: _Chunk, run_id: UUID) -> Counts:
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
        inserted, updated = _merge(raw, entity, connection_name, chunk.rows, run_id) if chunk.rows else (0, 0)
    rejected = len(chunk.rejected)
    return Counts(chunk.read, inserted, updated, chunk.read - rejected - inserted - updated, 0, rejected)


def _merge(
    raw: psycopg.Connection[Any], entity: StagedEntity, connection_name: str, rows: Mapping[str, _Row], run_id: UUID
) -> tuple[int, int]:
    """(inserted, updated)"""
    raw.execute(_SETTINGS)
    with raw.cursor() as cursor:
        with cursor.copy("copy pg_temp.tieout_incoming from stdin") as copy:
            copy.write(b"".join(_line(source_id, row) for source_id, row in rows.items()))
        try:
            counted = cursor.execute(_merge_statement(entity, connection_name, run_id)).fetchone()
        except psycopg.errors.UndefinedTable:
            raise ConfigurationFault(
                f"staging.{entity.table} does not exist: staging.ensure has to run before records are staged"
            ) from None
    assert counted is not None
    return counted[0], counted[1]


# Each incoming row finds its current image by the key: a plan that reads the whole table for each chunk would make
# the load quadratic, and the temporary table has no statistics to warn the planner.
_SETTINGS = """
set local timezone = 'UTC';
set local jit = off;
set local enable_hashjoin = off;
set local enable_mergejoin = off;
set local work_mem = '64MB';
create temporary table if not exists tieout_incoming (id text, notes text[], body text storage external)
    on commit delete rows
"""


def _line(source_id: str, row: _Row) -> bytes:
    notes = r"\N" if row.notes is None else _escaped(row.notes)
    return b"%b\t%b\t%b\n" % (_escaped(source_id).encode(), notes.encode(), row.body.replace(b"\\", b"\\\\"))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _merge_statement(entity: StagedEntity, connection_name: str, run_id: UUID) -> sql.Composed:
    """Layer by layer, each evaluated once (`offset 0` keeps the planner from folding them): JSON, texts, hash, the
    current image, candidates, values."""
    names = conversion.names(entity.fields)
    written = [sql.Identifier(n) for n in _WRITTEN]
    newer = sql.SQL(
        "_m is null or _old_m is null or _m > _old_m or (_m = _old_m and not _old_d) or _old_m > now()"
        if entity.modified
        else "true"
    )
    return sql.SQL(
        """
        with fresh as materialized (
            select * from (
                select id as _key, j as _json, h as _new_hash, existed as _existed, old_m as _old_m, old_d as _old_d,
                    {values}, {modified} as _m, {problems} as _found from (
                    select *, {candidates} from (
                        select b.*, c._source_id is not null as existed, c._modified_at as old_m, c._deleted as old_d
                        from (
                            select *, {hash} as h from (
                                select *, {raws} from (
                                    select id, notes, body::jsonb as j from pg_temp.tieout_incoming offset 0
                                ) l1 offset 0
                            ) l2 offset 0
                        ) b left join {table} c on c._connection = {connection} and c._source_id = b.id
                        where c._hash is distinct from b.h or c._deleted
                        offset 0
                    ) l3 offset 0
                ) l4
            ) l5 where not _existed or {newer}
        ), old as (
            insert into {superseded} ({all}) select {current} from fresh f
            join {table} c on c._connection = {connection} and c._source_id = f._key where f._existed
        ), written as (
            insert into {table} ({keys}, {names}, {written})
            select {connection}, _key, {names}, _json, _new_hash, _m, false, _found, {run}, clock_timestamp(), nextval('staging.version')
            from fresh
            on conflict (_connection, _source_id) do update set {assign}
        )
        select count(*) filter (where not _existed), count(*) filter (where _existed) from fresh
        """
    ).format(
        values=sql.SQL(", ").join(
            sql.SQL("{} as {}").format(v, n) for v, n in zip(conversion.values(entity), names, strict=True)
        ),
        modified=conversion.modified_value(),
        problems=conversion.problems(entity),
        candidates=conversion.candidates(entity),
        hash=conversion.content_hash(entity),
        raws=conversion.raws(entity),
        table=table_name(entity),
        superseded=table_name(entity, "_superseded"),
        connection=sql.Literal(connection_name),
        run=sql.Literal(run_id),
        newer=newer,
        all=sql.SQL(", ").join(all_columns(entity)),
        current=sql.SQL(", ").join(sql.SQL("c.{}").format(n) for n in all_columns(entity)),
        keys=sql.SQL("_connection, _source_id"),
        names=sql.SQL(", ").join(names),
        written=sql.SQL(", ").join(written),
        assign=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(n) for n in [*names, *written]),
    )


_WRITTEN = ("_payload", "_hash", "_modified_at", "_deleted", "_problems", "_run_id", "_staged_at", "_version")
