"""Usual rows of a chunk beside what is staged: nothing for those that are the same, a binary COPY for new ones.

The caller holds the table's lock and the transaction (staging.py), so that what was new when it was asked is new when
it is written. Rows that differ from their current image are staging_merge.py's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from tieout.model.errors import ConfigurationFault
from tieout.model.staged import StagedEntity
from tieout.store.staging_rows import copy_bytes
from tieout.store.staging_tables import all_columns, current_image, table_name
from tieout.store.staging_usual import JSONB, Usual, timestamp

#: The binary form of a text[] without elements: dimensions, nulls, the elements' type.
_NO_PROBLEMS = struct.pack("!3i", 0, 0, 25)
_FALSE = b"\x00"


def differing(raw: psycopg.Connection[Any], entity: StagedEntity, connection_name: str, rows: Usual) -> dict[int, bool]:
    """The places of the rows that are not staged as they are here, and whether anything is staged of each.

    Raises:
        ConfigurationFault: the table is missing.
    """
    query = look_up(entity, connection_name, rows.ids, rows.hashes)
    raw.execute("set local jit = off; set local enable_seqscan = off; set local enable_bitmapscan = off")
    try:
        return dict(raw.execute(query).fetchall())
    except psycopg.errors.UndefinedTable:
        raise ConfigurationFault(
            f"staging.{entity.table} does not exist: staging.ensure has to run before records are staged"
        ) from None


def look_up(entity: StagedEntity, connection_name: str, ids: Sequence[str], hashes: Sequence[str]) -> sql.Composed:
    """The query of `differing`. A record that the source said is gone differs from any that comes."""
    return sql.SQL(
        "select i.place::int - 1, c._hash is not null"
        " from unnest({ids}::text[], {hashes}::text[]) with ordinality i(id, hash, place)"
        " left join lateral {image} c on true where c._hash is distinct from i.hash or c._deleted"
    ).format(
        ids=sql.Literal(_array(ids)),
        hashes=sql.Literal(f"{{{','.join(hashes)}}}"),
        image=current_image(entity, connection_name, sql.Identifier("i", "id"), sql.SQL("_hash, _deleted")),
    )


def insert(raw: psycopg.Connection[Any], entity: StagedEntity, connection_name: str, rows: Usual, run_id: UUID) -> int:
    """Writes rows of which none is staged; how many.

    Raises:
        psycopg.errors.UniqueViolation: one was.
        psycopg.DataError: PostgreSQL does not take a value. Either way nothing is written.
    """
    count = len(rows.ids)
    if not count:
        return 0
    versions, now = _drawn(raw, count)
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(
        table_name(entity), sql.SQL(", ").join(all_columns(entity))
    )
    columns = [
        connection_name.encode(), rows.ids, *rows.columns, list(map(JSONB.__add__, rows.bodies)), rows.hashes,
        rows.modified, _FALSE, _NO_PROBLEMS, run_id.bytes, timestamp(now), versions,
    ]  # fmt: skip
    with raw.cursor() as cursor, cursor.copy(statement) as copy:
        for part in copy_bytes(columns, count):
            copy.write(part)
    return count


def _drawn(raw: psycopg.Connection[Any], count: int) -> tuple[list[bytes], datetime]:
    """So many new versions as COPY takes them, and the time."""
    drawn = raw.execute(
        "select array_agg(int8send(nextval('staging.version'))), clock_timestamp() from generate_series(1, %s)",
        [count],
        binary=True,
    ).fetchone()
    assert drawn is not None
    return drawn[0], drawn[1]


def _array(ids: Sequence[str]) -> str:
    """The text form of an array of texts."""
    joined = "\x00".join(ids)  # which is in no id
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"').replace("\x00", '","')
    return f'{{"{escaped}"}}' if ids else "{}"
