"""One chunk into its staging table: COPY into a temporary table, then one statement.

That statement hashes, joins with the current images, converts what differs, keeps the old images and writes the new
ones. The caller holds the table's lock and the transaction (staging.py); the SQL of the values is in conversion.py.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from tieout.model.errors import ConfigurationFault
from tieout.model.staged import StagedEntity
from tieout.store import conversion
from tieout.store.staging_chunks import Row
from tieout.store.staging_tables import all_columns, current_image, table_name


def merge(
    raw: psycopg.Connection[Any], entity: StagedEntity, connection_name: str, rows: Mapping[str, Row], run_id: UUID
) -> tuple[int, int]:
    """(inserted, updated)"""
    raw.execute(_SETTINGS)
    with raw.cursor() as cursor:
        with cursor.copy("copy pg_temp.tieout_incoming from stdin (format binary)") as copy:
            copy.write(_copy_bytes(rows))
        try:
            counted = cursor.execute(_merge_statement(entity, connection_name, run_id)).fetchone()
        except psycopg.errors.UndefinedTable:
            raise ConfigurationFault(
                f"staging.{entity.table} does not exist: staging.ensure has to run before records are staged"
            ) from None
    assert counted is not None
    return counted[0], counted[1]


_SETTINGS = """
set local timezone = 'UTC';
set local jit = off;
set local enable_seqscan = off;
set local work_mem = '64MB';
create temporary table if not exists tieout_incoming (id text, notes text, body text storage external)
    on commit delete rows
"""


def _copy_bytes(rows: Mapping[str, Row]) -> bytes:
    """Rows of (id, notes, body) as COPY's binary form has them: the JSON goes over as it is, nothing is escaped."""
    start, length = struct.Struct("!hi").pack, struct.Struct("!i").pack
    out = [_COPY_HEADER]
    for source_id, row in rows.items():
        key = source_id.encode()
        out += (start(3, len(key)), key)
        if row.notes is None:
            out.append(_COPY_NULL)
        else:
            notes = row.notes.encode()
            out += (length(len(notes)), notes)
        out += (length(len(row.body)), row.body)
    out.append(_COPY_END)
    return b"".join(out)


_COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_NULL = b"\xff\xff\xff\xff"
_COPY_END = b"\xff\xff"


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
                        select b.*, c._hash is not null as existed, c._modified_at as old_m, c._deleted as old_d
                        from (
                            select *, {hash} as h from (
                                select *, {raws} from (
                                    select id, notes::text[] as notes, body::jsonb as j
                                    from pg_temp.tieout_incoming offset 0
                                ) l1 offset 0
                            ) l2 offset 0
                        ) b left join lateral {image} c on true
                        where c._hash is distinct from b.h or c._deleted
                        offset 0
                    ) l3 offset 0
                ) l4
            ) l5 where not _existed or {newer}
        ), old as (
            insert into {superseded} ({all}) select c.* from fresh f cross join lateral {whole_image} c where f._existed
        ), written as (
            insert into {table} ({keys}, {names}, {written})
            select {connection}, _key, {names}, _json, _new_hash, _m, false, _found, {run}, clock_timestamp(),
                nextval('staging.version')
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
        image=current_image(entity, connection_name, sql.SQL("b.id"), sql.SQL("_hash, _modified_at, _deleted")),
        whole_image=current_image(entity, connection_name, sql.SQL("f._key"), sql.SQL(", ").join(all_columns(entity))),
        keys=sql.SQL("_connection, _source_id"),
        names=sql.SQL(", ").join(names),
        written=sql.SQL(", ").join(written),
        assign=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(n) for n in [*names, *written]),
    )


_WRITTEN = ("_payload", "_hash", "_modified_at", "_deleted", "_problems", "_run_id", "_staged_at", "_version")
