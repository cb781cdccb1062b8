"""Staged rows as typed frames: what the mapping works on. By COPY to CSV and pyarrow, never by way of a float.

| declared | dtype |
|---|---|
| text, json | `string` (json as its text) |
| integer | `Int64` |
| decimal | `decimal128(38, 18)[pyarrow]` |
| boolean | `boolean` |
| date | `date32[day][pyarrow]` (its elements are datetime.date) |
| timestamp | `datetime64[us, UTC]` |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg import sql
from sqlalchemy.engine import Engine

from tieout.model.errors import ConfigurationFault
from tieout.model.staged import ColumnType, StagedEntity
from tieout.store.conversion import DECIMAL_DIGITS_AFTER, DECIMAL_DIGITS_BEFORE
from tieout.store.engine import driver
from tieout.store.staging_tables import table_name

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: System columns that a frame may hold; the first two always come.
_SYSTEM: dict[str, ColumnType] = {
    "_source_id": "text", "_version": "integer", "_modified_at": "timestamp", "_deleted": "boolean",
    "_problems": "json", "_payload": "json", "_hash": "text", "_run_id": "text", "_staged_at": "timestamp",
}  # fmt: skip
_ALWAYS = ("_source_id", "_version")


def read(
    engine: Engine,
    entity: StagedEntity,
    connection: str,
    columns: Sequence[str] | None = None,
    *,
    column: str = "_source_id",
    values: Sequence[str] | None = None,
    after_version: int | None = None,
    upto_version: int | None = None,
    include_deleted: bool = False,
    where: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """The current rows of one connection, ordered by `_source_id`; always with `_source_id` and `_version`.

    Args:
        engine: of the store.
        entity: the declaration.
        connection: the source's connection name.
        columns: declared or system columns; None for all the declared ones and `_modified_at`.
        column, values: only rows whose text column (declared, or `_source_id`) is one of these.
        after_version, upto_version: only rows with after_version < _version <= upto_version.
        include_deleted: rows that the source says are gone, too.
        where: a further condition in SQL, written in our code, never made of input; its values go into `parameters`
            as `%(name)s` (and a percent sign is `%%`).

    Raises:
        ConfigurationFault: a column that is not declared.
    """
    conditions: list[sql.Composable] = [sql.SQL("_connection = {}").format(sql.Placeholder("_connection"))]
    bound: dict[str, Any] = {**(parameters or {}), "_connection": connection}
    if values is not None:
        _kinds(entity, [column])
        conditions.append(sql.SQL("{} = any({})").format(sql.Identifier(column), sql.Placeholder("_values")))
        bound["_values"] = list(values)
    if after_version is not None:
        conditions.append(sql.SQL("_version > {}").format(sql.Placeholder("_after")))
        bound["_after"] = after_version
    if upto_version is not None:
        conditions.append(sql.SQL("_version <= {}").format(sql.Placeholder("_upto")))
        bound["_upto"] = upto_version
    if not include_deleted:
        conditions.append(sql.SQL("not _deleted"))
    if where:
        conditions.append(sql.SQL("({})").format(sql.SQL(where)))
    kinds = _kinds(entity, columns)
    query = sql.SQL("select {} from {} where {} order by _source_id").format(
        _select(kinds), table_name(entity), sql.SQL(" and ").join(conditions)
    )
    return _frame(engine, query, kinds, bound)


def as_of(
    engine: Engine,
    entity: StagedEntity,
    connection: str,
    at: datetime,
    columns: Sequence[str] | None = None,
    *,
    column: str = "_source_id",
    values: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The rows as they were staged at an instant (of the database's clock): the last image of each record until then.

    Records that were deleted by then are left out. Columns and order as in `read`, and so are `column` and `values`.
    """
    kinds = _kinds(entity, columns)
    parts = {"view": table_name(entity, "_version"), "connection": sql.Placeholder("connection"),
             "at": sql.Placeholder("at")}  # fmt: skip
    some = among = sql.Composed([])
    if values is not None:
        _kinds(entity, [column])
        some = sql.SQL("and {} = any({})").format(sql.Identifier(column), sql.Placeholder("values"))
        # Every record that ever had the value: its newest image may have another.
        among = sql.SQL(
            "and _source_id in (select _source_id from {view} where _connection = {connection} {some})"
        ).format(**parts, some=some)
    query = sql.SQL(
        "select {columns} from (select distinct on (_source_id) * from {view} where _connection = {connection}"
        " and _staged_at <= {at} {among} order by _source_id, _version desc) images where not _deleted {some}"
        " order by _source_id"
    ).format(**parts, columns=_select(kinds), some=some, among=among)
    return _frame(engine, query, kinds, {"connection": connection, "at": at, "values": list(values or ())})


def _kinds(entity: StagedEntity, columns: Sequence[str] | None) -> dict[str, ColumnType]:
    declared = {field.column: field.type for field in entity.fields}
    wanted: Iterable[str] = [*declared, "_modified_at"] if columns is None else columns
    known = {**_SYSTEM, **declared}
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigurationFault(
            f"staging.{entity.table} has no column {', '.join(unknown)}; declared are {', '.join(declared)}"
        )
    return {name: known[name] for name in dict.fromkeys([*_ALWAYS, *wanted])}


def _select(kinds: Mapping[str, ColumnType]) -> sql.Composable:
    texts = {"_problems": "to_jsonb({})::text"}
    return sql.SQL(", ").join(sql.SQL(texts.get(name, "{}")).format(sql.Identifier(name)) for name in kinds)


def _frame(
    engine: Engine, query: sql.Composed, kinds: Mapping[str, ColumnType], parameters: Mapping[str, Any]
) -> pd.DataFrame:
    statement = sql.SQL("copy ({}) to stdout (format csv, encoding 'UTF8')").format(query)
    with engine.begin() as conn, driver(conn) as raw, raw.cursor() as cursor:
        cursor.execute("set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local jit = off")
        with cursor.copy(statement, parameters) as copy:
            return _to_pandas(b"".join(bytes(block) for block in copy), kinds)


def _to_pandas(csv_bytes: bytes, kinds: Mapping[str, ColumnType]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    from pyarrow import csv

    types = _arrow_types()
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    if not csv_bytes:
        table = schema.empty_table()
    else:
        table = csv.read_csv(
            pa.BufferReader(csv_bytes),
            read_options=csv.ReadOptions(column_names=list(kinds), use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            # An empty text never comes out of staging; a null is an unquoted nothing.
            convert_options=csv.ConvertOptions(
                column_types=schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
    dtypes: dict[pa.DataType, Any] = {
        pa.string(): pd.StringDtype("pyarrow"),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    frame = table.to_pandas(types_mapper=lambda kind: dtypes.get(kind) or _own(kind))
    assert isinstance(frame, pd.DataFrame)
    return frame


def _own(kind: pa.DataType) -> Any:
    import pandas as pd
    import pyarrow as pa

    return None if pa.types.is_timestamp(kind) else pd.ArrowDtype(kind)


def _arrow_types() -> dict[ColumnType, pa.DataType]:
    import pyarrow as pa

    return {
        "text": pa.string(),
        "json": pa.string(),
        "integer": pa.int64(),
        "decimal": pa.decimal128(DECIMAL_DIGITS_BEFORE + DECIMAL_DIGITS_AFTER, DECIMAL_DIGITS_AFTER),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }
