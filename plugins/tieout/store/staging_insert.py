"""Usual rows of a chunk beside what is staged: nothing for those that are the same, a binary COPY for new ones.

The caller holds the table's lock and the transaction (staging.py), so that what was new when it was asked is new when
it is written. Rows that differ from their current image are staging_merge.py's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import repeat
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from tieout.model.errors import ConfigurationFault
from tieout.model.staged import ColumnType, StagedEntity
from tieout.store.staging_tables import all_columns, current_image, table_name
from tieout.store.staging_usual import Usual

#: How COPY takes a declared type.
_COPY_TYPES: dict[ColumnType, str] = {
    "text": "text", "integer": "int8", "decimal": "numeric", "boolean": "bool", "date": "date",
    "timestamp": "timestamptz", "json": "jsonb",
}  # fmt: skip
# Bytes go over as they are, whatever the column: here the binary forms of a jsonb (a version, the text) and of a
# text[] without elements (dimensions, nulls, the elements' type).
_AS_IT_IS = "bytea"
_JSONB_VERSION = b"\x01"
_NO_PROBLEMS = struct.pack("!3i", 0, 0, 25)


def current_hashes(
    raw: psycopg.Connection[Any], entity: StagedEntity, connection_name: str, ids: Sequence[str]
) -> dict[str, str | None]:
    """The content hash of each of these records that is staged; None for one that the source said is gone.

    Raises:
        ConfigurationFault: the table is missing.
    """
    query = look_up(entity, connection_name, ids)
    raw.execute("set local jit = off; set local enable_seqscan = off; set local enable_bitmapscan = off")
    try:
        return dict(raw.execute(query).fetchall())
    except psycopg.errors.UndefinedTable:
        raise ConfigurationFault(
            f"staging.{entity.table} does not exist: staging.ensure has to run before records are staged"
        ) from None


def look_up(entity: StagedEntity, connection_name: str, ids: Sequence[str]) -> sql.Composed:
    """The query of `current_hashes`."""
    wanted = sql.SQL("_source_id, case when not _deleted then _hash end as _hash")
    return sql.SQL("select c.* from unnest({ids}::text[]) i cross join lateral {image} c").format(
        ids=sql.Literal(_array(ids)),
        image=current_image(entity, connection_name, sql.Identifier("i"), wanted),
    )


def insert(raw: psycopg.Connection[Any], entity: StagedEntity, connection_name: str, rows: Usual, run_id: UUID) -> int:
    """Writes rows of which none is staged; how many."""
    count = len(rows.ids)
    if not count:
        return 0
    drawn = raw.execute(
        "select array_agg(nextval('staging.version')), clock_timestamp() from generate_series(1, %s)", [count]
    ).fetchone()
    assert drawn is not None
    versions, now = drawn
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(
        table_name(entity), sql.SQL(", ").join(all_columns(entity))
    )
    declared = [_COPY_TYPES[field.type] for field in entity.fields]
    with raw.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(
            ["text", "text", *declared, _AS_IT_IS, "text", "timestamptz", "bool", _AS_IT_IS, "uuid", "timestamptz",
             "int8"]
        )  # fmt: skip
        for row in zip(
            repeat(connection_name, count), rows.ids, *rows.columns, map(_JSONB_VERSION.__add__, rows.bodies),
            rows.hashes, rows.modified, repeat(False), repeat(_NO_PROBLEMS), repeat(run_id), repeat(now), versions,
            strict=False,
        ):  # fmt: skip
            copy.write_row(row)
    return count


def _array(ids: Sequence[str]) -> str:
    """The text form of an array of texts."""
    joined = "\x00".join(ids)  # which is in no id
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"').replace("\x00", '","')
    return f'{{"{escaped}"}}' if ids else "{}"
