"""The tables of the schema `staging`: made from declarations, widened by new columns, never changed in place.

`staging.<system>_<entity>` holds the current image of each record; `..._superseded` the images before it, written when
a newer one takes their place. The view `..._version` is both together: every image that ever was, by (connection, id,
_version). A type is never changed in place. Which rows go in is in staging.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Connection

from tieout.model.errors import ConfigurationFault
from tieout.model.identity import content_hash
from tieout.model.staged import StagedEntity
from tieout.store import conversion
from tieout.store.engine import driver

_NAME = re.compile(r"[a-z][a-z0-9_]{0,50}")

#: (name, type and constraint) of the columns that every staging table has; `model/staged.py` fields stand between.
SYSTEM_COLUMNS = (
    ("_connection", "text not null"),
    ("_source_id", "text not null"),
    ("_payload", "jsonb not null"),
    ("_hash", "text not null"),
    ("_modified_at", "timestamptz"),
    ("_deleted", "boolean not null"),
    ("_problems", "text[] not null"),
    ("_run_id", "uuid not null"),
    ("_staged_at", "timestamptz not null"),
    ("_version", "bigint not null"),
)


def table_name(entity: StagedEntity, suffix: str = "") -> sql.Identifier:
    """The table (or `_superseded`, or the view `_version`) with its schema."""
    return sql.Identifier("staging", entity.table + suffix)


def ensure(conn: Connection, entity: StagedEntity) -> None:
    """Makes the entity's table, or widens it by new columns, in the caller's transaction.

    What is staged already is converted again when the declaration changed: the payload is all there. Rows that come
    out differently get a new `_version`, so that they are checked and judged again.

    Raises:
        ConfigurationFault: a name that cannot be a column, or a declared type that is not the existing column's.
    """
    _check_names(entity)
    mark = content_hash(conversion.declaration(entity))
    with driver(conn) as raw:
        raw.execute(sql.SQL("select pg_advisory_xact_lock(hashtextextended({}, 1))").format(sql.Literal(entity.table)))
        there = _columns(conn, entity)
        if there is None:
            raw.execute(_create(entity))
        elif _mark(conn, entity) == mark:
            return
        else:
            _widen(raw, entity, there)
            raw.execute(sql.SQL("set local timezone = 'UTC'"))
            raw.execute(_convert_again(entity, "", bump=True))
            raw.execute(_convert_again(entity, "_superseded", bump=False))
        raw.execute(sql.SQL("comment on table {} is {}").format(table_name(entity), sql.Literal(mark)))


def lock_table(raw: psycopg.Connection[Any], table: str, connection_name: str) -> None:
    """Until the end of the transaction nobody else changes rows of this (connection, table)."""
    raw.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{connection_name}/{table}"])


def current_image(
    entity: StagedEntity, connection_name: str, source_id: sql.Composable, wanted: sql.Composable
) -> sql.Composed:
    """A subselect for `lateral`: these columns of the current image of one record, by one look into the primary key.

    The bounds and the order are what makes it so. By `_source_id = ...` alone the other index on the table fits as
    well, and while a table's statistics are older than what is in it, the planner believes that it holds one row and
    takes either: the whole table was then read once for each record.
    """
    return sql.SQL(
        "(select {wanted} from {table} where _connection = {connection}"
        " and _source_id >= {id} and _source_id <= {id} order by _source_id limit 1)"
    ).format(
        wanted=wanted,
        table=table_name(entity),
        connection=sql.Literal(connection_name),
        id=source_id,
    )


def bump_table(conn: Connection, table: str, connection_name: str, ids: Sequence[str]) -> int:
    """Gives rows of `staging.<table>` a new `_version`; 0 when there is no such table."""
    with driver(conn) as raw:
        if raw.execute("select to_regclass(%s)", [f'staging."{table}"']).fetchone() == (None,):
            return 0
        lock_table(raw, table, connection_name)
        done = raw.execute(
            sql.SQL(
                "update {} set _version = nextval('staging.version') where _connection = %s and _source_id = any(%s)"
            ).format(sql.Identifier("staging", table)),
            [connection_name, list(ids)],
        )
        return done.rowcount


def _check_names(entity: StagedEntity) -> None:
    for name in (entity.table, *(field.column for field in entity.fields)):
        if not _NAME.fullmatch(name):
            raise ConfigurationFault(
                f"{entity.system}/{entity.entity}: {name!r} cannot be a staging table or column: expected small "
                "letters, digits and underscores, a letter first, at most 51 characters"
            )
    columns = [field.column for field in entity.fields]
    if double := {name for name in columns if columns.count(name) > 1}:
        raise ConfigurationFault(
            f"{entity.system}/{entity.entity}: declared more than once: {', '.join(sorted(double))}"
        )


def _columns(conn: Connection, entity: StagedEntity) -> dict[str, str] | None:
    """Column -> type of the table that is there; None when there is none."""
    rows = conn.execute(
        sa.text(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = to_regclass(:name) and attnum > 0 and not attisdropped"
        ),
        {"name": f"staging.{entity.table}"},
    ).all()
    return {row[0]: row[1] for row in rows} or None


def _mark(conn: Connection, entity: StagedEntity) -> str | None:
    mark: str | None = conn.execute(
        sa.text("select obj_description(to_regclass(:name), 'pg_class')"), {"name": f"staging.{entity.table}"}
    ).scalar_one()
    return mark


def _create(entity: StagedEntity) -> sql.Composed:
    columns = [
        *(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in SYSTEM_COLUMNS[:2]),
        *(sql.SQL("{} {}").format(sql.Identifier(f.column), conversion.column_type(f)) for f in entity.fields),
        *(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in SYSTEM_COLUMNS[2:]),
    ]
    return sql.SQL(
        "create table {table} ({columns}, primary key (_connection, _source_id));"
        "create index on {table} (_connection, _version);"
        "create table {superseded} ({columns}, primary key (_connection, _source_id, _version));"
        "create view {view} as select {names} from {table} union all select {names} from {superseded}"
    ).format(
        table=table_name(entity),
        superseded=table_name(entity, "_superseded"),
        view=table_name(entity, "_version"),
        columns=sql.SQL(", ").join(columns),
        names=sql.SQL(", ").join(all_columns(entity)),
    )


def all_columns(entity: StagedEntity) -> list[sql.Identifier]:
    """Every column of the table, as `_create` orders them."""
    system = [sql.Identifier(name) for name, _ in SYSTEM_COLUMNS]
    return [*system[:2], *conversion.names(entity.fields), *system[2:]]


def _widen(raw: psycopg.Connection[Any], entity: StagedEntity, there: dict[str, str]) -> None:
    spelled = {"bigint": "bigint", "timestamptz": "timestamp with time zone"}
    new = []
    for field in entity.fields:
        wanted = conversion.SQL_TYPES[field.type]
        found = there.get(field.column)
        if found is None:
            new.append(field)
        elif found != spelled.get(wanted, wanted):
            raise ConfigurationFault(
                f"{entity.system}/{entity.entity}: column {field.column} of staging.{entity.table} is {found}, the "
                f"mapping declares {field.type}; a type is not changed in place: declare it under another column name"
            )
    if not new:
        return
    for suffix in ("", "_superseded"):
        for field in new:
            raw.execute(
                sql.SQL("alter table {} add column {} {}").format(
                    table_name(entity, suffix), sql.Identifier(field.column), conversion.column_type(field)
                )
            )
    names = sql.SQL(", ").join(map(sql.Identifier, [*there, *(field.column for field in new)]))
    raw.execute(
        sql.SQL(
            "drop view {view}; create view {view} as select {names} from {a} union all select {names} from {b}"
        ).format(
            view=table_name(entity, "_version"), names=names,
            a=table_name(entity), b=table_name(entity, "_superseded"),
        )
    )  # fmt: skip


def _convert_again(entity: StagedEntity, suffix: str, *, bump: bool) -> sql.Composed:
    """Fills the declared columns from the payloads anew, in the rows where that makes a difference."""
    names = conversion.names(entity.fields)
    mine, fresh = sql.SQL("t.{}"), sql.SQL("r.{}")
    set_names = [*names, sql.Identifier("_problems")]
    return sql.SQL(
        "update {table} as t set ({assign}, _hash{version}) = row({new}, r._hash{next}) from ("
        " select _connection, _source_id, _version, {values}, {problems} as _problems, _hash"
        " from (select *, {candidates} from (select *, {hash} as _hash from (select *, {raws} from ("
        "  select _connection, _source_id, _version, _payload as j,"
        "  array(select p from unnest(_problems) p where p like {replaced}) as notes from {table} offset 0"
        " ) a offset 0) b offset 0) c offset 0) d) r "
        "where t._connection = r._connection and t._source_id = r._source_id and t._version = r._version "
        "and ({old}, t._hash) is distinct from ({new}, r._hash)"
    ).format(
        table=table_name(entity, suffix),
        assign=sql.SQL(", ").join(set_names),
        new=sql.SQL(", ").join(fresh.format(name) for name in set_names),
        old=sql.SQL(", ").join(mine.format(name) for name in set_names),
        version=sql.SQL(", _version" if bump else ""),
        next=sql.SQL(", nextval('staging.version')" if bump else ""),
        values=sql.SQL(", ").join(
            sql.SQL("{} as {}").format(v, n) for v, n in zip(conversion.values(entity), names, strict=True)
        ),
        problems=conversion.problems(entity),
        candidates=conversion.candidates(entity),
        replaced=sql.Literal(f"%{conversion.REPLACED}"),
        hash=conversion.content_hash(entity),
        raws=conversion.raws(entity),
    )
