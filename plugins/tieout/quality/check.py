"""The check of a staged entity: its new rows against its suite, inside PostgreSQL.

A row that fails an expectation of severity `quarantine`, or that holds a value which could not be read as its declared
type, becomes a dead letter of stage `check`; a row that passes now closes those that it had. How far the check came is
a watermark on `_version`, moved in the same transaction. Keeping letters and marks is the store's: see `Book`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from tieout.model.errors import Rejection, SuiteStopped
from tieout.model.staged import StagedEntity
from tieout.quality.run import Failure, SuiteResult, keep_rows, run_on_table
from tieout.quality.suites import Suite, load

STAGE = "check"
#: The reason of rows with values that could not be read.
UNREADABLE = "unreadable_value"
_NULL_EXPECTATION = "expect_column_values_to_not_be_null"
_PROBLEM = re.compile(r"(?P<column>\w+): (?:expected (?P<expected>.*?), )?(?P<found>(?:found|held) .*)", re.DOTALL)


class Record(Protocol):
    """store.dead_letters.record"""

    def __call__(
        self, conn: Connection, rejections: Sequence[Rejection], *, connection: str, stage: str, run_id: UUID
    ) -> int: ...


class ClosePassed(Protocol):
    """store.dead_letters.close_passed"""

    def __call__(
        self,
        conn: Connection,
        *,
        connection: str,
        entity: str,
        stage: str,
        passed: Sequence[str],
        failing: Collection[tuple[str, str]],
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class Book:
    """What the check keeps, as functions of the store.

    Attributes:
        checked_version: (conn, connection, entity) -> highest version checked (store.watermarks).
        advance_checked: (conn, connection, entity, version, run_id) moves it.
        open_keys: (conn, connection, entity, stages) -> source ids with open dead letters (store.dead_letters).
        record, close_passed: of store.dead_letters.
    """

    checked_version: Callable[[Connection, str, str], int]
    advance_checked: Callable[[Connection, str, str, int, UUID | None], None]
    open_keys: Callable[[Connection, str, str, Sequence[str]], Mapping[str, Any]]
    record: Record
    close_passed: ClosePassed


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """checked = passed + quarantined, in rows. `warned` rows passed; `closed` counts dead letters that closed."""

    checked: int = 0
    passed: int = 0
    quarantined: int = 0
    warned: int = 0
    closed: int = 0
    result: SuiteResult | None = field(default=None, repr=False)


class EntityStopped(SuiteStopped):
    """An expectation of severity `stop` failed; `result` is what the Data Docs show of the suite."""

    def __init__(self, message: str, result: SuiteResult | None) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True, slots=True)
class _Window:
    """The rows to check as a condition on `s`, and the marks to set when that is done."""

    condition: str
    marks: Mapping[str, int]


def check_entity(
    engine: Engine, entity: StagedEntity, connection: str, suite_path: Path | None, run_id: UUID, book: Book
) -> CheckCounts:
    """Checks what was staged since the last check, and what is touched by other tables' changes (meta.touched_by).

    Args:
        engine: of the store.
        entity: its declaration; its table is there.
        connection: the source's connection name.
        suite_path: its suite; None checks readability alone.
        run_id: the sync run.
        book: the store's functions.

    Raises:
        EntityStopped: an expectation of severity `stop` failed. Failing rows are dead letters by then; the mark stays,
            so that the next run checks the batch again.
        ConfigurationFault, Retriable: as run_suite_in_database.
    """
    suite = None if suite_path is None else load(suite_path)
    with engine.connect() as conn:
        window = _window(conn, entity, connection, suite, book)
        if window is None:
            return CheckCounts()
        columns = ", ".join(f"s.{name}" for name in _columns(conn, entity))
    query = f"select {columns} from staging.{entity.table} s where ({window.condition}) and not s._deleted"  # noqa: S608
    with keep_rows(engine, query) as (table, rows):
        unreadable = _unreadable(engine, entity, table) if rows else {}
        result = run_on_table(engine, suite, table, rows, ["_source_id"]) if suite is not None and rows else None
    failures = _without_echoes(result.failures if result else (), unreadable)
    bad = {f.key: f for f in failures if f.key and f.severity != "warn"}
    rejections = [_rejection(entity, f) for f in failures if f.key and f.severity != "warn"]
    rejections += [rejection for rejection, _ in unreadable.values()]
    with engine.begin() as conn:
        book.record(conn, rejections, connection=connection, stage=STAGE, run_id=run_id)
        closed = book.close_passed(
            conn,
            connection=connection,
            entity=entity.entity,
            stage=STAGE,
            passed=_checked_of(conn, entity, window, list(book.open_keys(conn, connection, entity.entity, [STAGE]))),
            failing={(rejection.source_id, rejection.reason) for rejection in rejections},
        )
        stopped = [f for f in failures if f.severity == "stop"]
        if not stopped:
            for name, version in window.marks.items():
                book.advance_checked(conn, connection, name, version, run_id)
    if stopped:
        raise EntityStopped(_stopped(entity, connection, stopped), result)
    quarantined = len(bad.keys() | unreadable.keys())
    warned = len({f.key for f in failures if f.severity == "warn"} - bad.keys() - unreadable.keys() - {""})
    if result is not None:
        result = replace(result, failures=tuple(failures))
    return CheckCounts(rows, rows - quarantined, quarantined, warned, closed, result)


def _window(conn: Connection, entity: StagedEntity, connection: str, suite: Suite | None, book: Book) -> _Window | None:
    """None when nothing has changed since the last check."""
    quote = conn.dialect.identifier_preparer.quote_identifier
    own = _quoted(connection)
    upto = _highest(conn, entity.table, connection)
    after = book.checked_version(conn, connection, entity.entity)
    conditions, marks = [], {}
    if upto > after:
        conditions.append(f"s._version > {after} and s._version <= {upto}")
        marks[entity.entity] = upto
    for touched in suite.touched_by if suite else ():
        # A mark of its own: versions are handed out over all tables, but committed in order within one only.
        name = f"{entity.entity}<{touched.mark}"
        since, last = book.checked_version(conn, connection, name), _highest(conn, touched.table, connection)
        if last > since:
            table, changed = f"staging.{quote(touched.table)}", f"o._version > {since} and o._version <= {last}"
            images = f"{table} o"
            if touched.when == "was":
                superseded = f"staging.{quote(touched.table + '_superseded')}"
                images = f"{superseded} i join {table} o using (_connection, _source_id)"
            value = f"{'i' if touched.when == 'was' else 'o'}.{quote(touched.column)}"
            conditions.append(
                f"s.{quote(touched.ours)} in (select {value} from {images} where o._connection = {own} and {changed})"  # noqa: S608 - quoted
            )
            marks[name] = last
    if not conditions:
        return None
    return _Window(f"s._connection = {own} and ({' or '.join(f'({c})' for c in conditions)})", marks)


def _highest(conn: Connection, table: str, connection: str) -> int:
    """The highest version in a staging table; 0 when it is empty or not there."""
    name = f"staging.{conn.dialect.identifier_preparer.quote_identifier(table)}"
    if conn.execute(sa.text("select to_regclass(:name)"), {"name": name}).scalar_one() is None:
        return 0
    found = conn.execute(
        sa.text(f"select coalesce(max(_version), 0) from {name} where _connection = :c"),  # noqa: S608 - quoted
        {"c": connection},
    ).scalar_one()
    return int(found)


def _columns(conn: Connection, entity: StagedEntity) -> list[str]:
    quote = conn.dialect.identifier_preparer.quote_identifier
    system = ["_connection", "_source_id", "_version", "_modified_at", "_problems"]
    return [*system, *(quote(field.column) for field in entity.fields)]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unreadable(engine: Engine, entity: StagedEntity, table: str) -> dict[str, tuple[Rejection, frozenset[str]]]:
    """source id -> its rejection and the columns that could not be read."""
    with engine.connect() as conn:
        rows = conn.exec_driver_sql(
            f'select _source_id, _problems from staging."{table}" where _problems <> array[]::text[]',  # noqa: S608
            execution_options={"no_parameters": True},
        ).all()
    found = {}
    for source_id, problems in rows:
        parts = [part for part in (_PROBLEM.fullmatch(problem) for problem in problems) if part]
        columns = [part["column"] for part in parts]
        expected = "; ".join(f"{part['column']}: {part['expected'] or 'characters that can be kept'}" for part in parts)
        rejection = Rejection(
            system=entity.system,
            entity=entity.entity,
            source_id=source_id,
            reason=UNREADABLE,
            message=f"Of this {entity.entity} {_listed(columns)} could not be read.",
            expected=expected,
            found="; ".join(f"{part['column']}: {part['found']}" for part in parts)[:500],
            remedy=f"Correct {_listed(columns)} of the {entity.object} in {entity.system}; it is read again by itself.",
        )
        found[source_id] = (rejection, frozenset(columns))
    return found


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(columns)) or "a value"


def _without_echoes(
    failures: Sequence[Failure], unreadable: Mapping[str, tuple[Rejection, frozenset[str]]]
) -> list[Failure]:
    """A value that could not be read is null in its column: that it is missing is no second fault."""
    return [
        f
        for f in failures
        if not (f.expectation == _NULL_EXPECTATION and f.key in unreadable and f.column in unreadable[f.key][1])
    ]


def _rejection(entity: StagedEntity, failure: Failure) -> Rejection:
    return Rejection(
        system=entity.system,
        entity=entity.entity,
        source_id=failure.key,
        reason=failure.reason,
        message=f"Expected {failure.expected}; found {failure.found}.",
        expected=failure.expected,
        found=failure.found,
        remedy=failure.remedy,
    )


def _checked_of(conn: Connection, entity: StagedEntity, window: _Window, ids: Sequence[str]) -> list[str]:
    """Of these records, those that were in the window: deleted ones too, for nothing is wrong with them any more."""
    if not ids:
        return []
    return list(
        conn.execute(
            sa.text(
                f"select s._source_id from staging.{entity.table} s "  # noqa: S608 - built above
                f"where s._source_id = any(:ids) and {window.condition.replace(':', chr(92) + ':')}"
            ),
            {"ids": list(ids)},
        ).scalars()
    )


def _stopped(entity: StagedEntity, connection: str, failures: Sequence[Failure]) -> str:
    first = failures[0]
    where = f" ({first.key})" if first.key else ""
    more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    return (
        f"{connection}/{entity.entity}: the batch was stopped by {first.reason}{where}{more}: "
        f"expected {first.expected}, found {first.found}. {first.remedy}"
    )
