"""One suite on one batch: a query's rows inside PostgreSQL, or a frame. What fails comes back as data.

With no rows nothing is imported and nothing fails: an expectation about how many rows there are is one about the
source, and belongs to the extract's own counts.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from tieout.model.errors import ConfigurationFault
from tieout.quality.suites import Expected, Severity, Suite, load

if TYPE_CHECKING:
    import pandas as pd

#: Failing rows of one expectation that a page of the Data Docs shows.
SHOWN = 20
_FOUND_CHARACTERS = 500
_PREFIX = "check_"


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that one row does not meet, or that the batch as a whole does not meet (`key` is then empty).

    Attributes:
        key: the key columns' values, joined by `/`.
        expectation: its type.
        column: the column it is about, where there is one.
        reason, expected, remedy, severity: as the suite says.
        found: what was there.
    """

    key: str
    expectation: str
    column: str | None
    reason: str
    expected: str
    found: str
    remedy: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What became of one suite.

    Attributes:
        failures: everything that failed; warnings too.
        stopped: an expectation of severity `stop` does not hold.
        statistics: rows, evaluated, successful, unsuccessful expectations.
        documents: Great Expectations' result as JSON, cut to a few rows each, for docs.py; empty without rows.
    """

    suite: str
    failures: tuple[Failure, ...]
    stopped: bool
    statistics: Mapping[str, int]
    documents: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def of(self, severity: Severity) -> tuple[Failure, ...]:
        """The failures of one severity."""
        return tuple(failure for failure in self.failures if failure.severity == severity)


def run_suite_in_database(engine: Engine, suite: Path, query: str, key: Sequence[str]) -> SuiteResult:
    """Runs a suite on the rows of a query, inside PostgreSQL.

    The rows are kept in a table of their own while the suite runs: every expectation sees the same ones.

    Args:
        engine: of the store.
        suite: its file.
        query: a SELECT of key columns and checked columns, without parameters.
        key: columns that name a row.

    Raises:
        ConfigurationFault: the suite does not hold, or an expectation cannot be evaluated on these columns.
        Retriable: the database went away.
    """
    loaded = load(suite)
    with keep_rows(engine, query) as (table, rows):
        if not rows:
            return _nothing(loaded)
        return run_on_table(engine, loaded, table, rows, key)


def run_on_table(engine: Engine, suite: Suite, table: str, rows: int, key: Sequence[str]) -> SuiteResult:
    """As `run_suite_in_database`, on the rows that `keep_rows` put into staging.<table>."""
    from tieout.quality import gx

    try:
        result = gx.validate_table(engine, suite, "staging", table, key)
    except Exception:
        _ping(engine)  # Retriable, when what failed is the database
        raise

    def all_rows(query: str) -> list[dict[str, Any]]:
        with engine.connect() as conn:
            found = _run(conn, query.format(batch=f'staging."{table}"')).mappings()
            return [dict(row) for row in found.fetchmany(gx.MAX_FAILURES)]

    return _judge(suite, result, rows, key, all_rows, lambda: _ping(engine))


def run_suite_on_frame(frame: pd.DataFrame, suite: Path, key: str) -> SuiteResult:
    """Runs a suite on a frame. Amounts are integers in minor units; decimals are compared exactly.

    Args:
        frame: rows to check.
        suite: its file.
        key: the column that names a row.

    Raises:
        ConfigurationFault: as `run_suite_in_database`.
    """
    loaded = load(suite)
    if frame.empty:
        return _nothing(loaded)
    from tieout.quality import gx

    result = gx.validate_frame(_plain(frame), loaded, [key])
    return _judge(loaded, result, len(frame), [key], None, lambda: None)


@contextmanager
def keep_rows(engine: Engine, query: str) -> Iterator[tuple[str, int]]:
    """(table in `staging`, number of rows): the rows of a query in a table that is gone at the end.

    A session lock says that the table is in use: what a killed process left behind has none, and is dropped here.
    """
    table = f"{_PREFIX}{uuid4().hex}"
    with engine.connect() as guard:
        _drop_left_behind(guard)
        guard.execute(sa.text("select pg_advisory_lock(hashtextextended(:table, 2))"), {"table": table})
        guard.commit()
        try:
            made = _run(guard, f'create unlogged table staging."{table}" as {query}')
            guard.commit()
            yield table, made.rowcount
        finally:
            guard.rollback()
            guard.exec_driver_sql(f'drop table if exists staging."{table}"')
            guard.commit()
            guard.execute(sa.text("select pg_advisory_unlock(hashtextextended(:table, 2))"), {"table": table})
            guard.commit()


def _drop_left_behind(guard: Connection) -> None:
    names = guard.execute(
        sa.text("select tablename from pg_tables where schemaname = 'staging' and tablename ~ :pattern"),
        {"pattern": f"^{_PREFIX}[0-9a-f]{{32}}$"},
    ).scalars()
    for name in list(names):
        free = sa.text("select pg_try_advisory_xact_lock(hashtextextended(:table, 2))")
        if guard.execute(free, {"table": name}).scalar_one():
            guard.exec_driver_sql(f'drop table if exists staging."{name}"')
    guard.commit()


def _run(conn: Connection, query: str) -> sa.CursorResult[Any]:
    """Our own SQL as it stands: a percent sign or a colon in it is no parameter."""
    return conn.exec_driver_sql(query, execution_options={"no_parameters": True})


def _ping(engine: Engine) -> None:
    with engine.connect() as conn:
        conn.execute(sa.select(1))


def _nothing(suite: Suite) -> SuiteResult:
    return SuiteResult(suite.name, (), False, {"rows": 0, "evaluated": 0, "successful": 0, "unsuccessful": 0})


# --- below: from Great Expectations' result to ours ------------------------------------------------------------------


def _judge(suite: Suite, result: Any, rows: int, key: Sequence[str], all_rows: Any, ping: Any) -> SuiteResult:
    from tieout.quality.gx import number_of

    failures: list[Failure] = []
    unsuccessful = 0
    for one in result.results:
        expected = suite.expectations[number_of(one)]
        if (broken := _exception(one)) is not None:
            ping()
            raise ConfigurationFault(f"{suite.path}: {expected.type} ({expected.reason}) cannot be evaluated: {broken}")
        if one.success:
            continue
        unsuccessful += 1
        failures.extend(_failures(expected, one.result, key, all_rows))
    stopped = any(failure.severity == "stop" for failure in failures)
    statistics = {
        "rows": rows,
        "evaluated": len(suite.expectations),
        "successful": len(suite.expectations) - unsuccessful,
        "unsuccessful": unsuccessful,
    }
    return SuiteResult(suite.name, tuple(failures), stopped, statistics, _document(result))


def _exception(one: Any) -> str | None:
    """The first line of what went wrong in an expectation's evaluation; it comes in two shapes."""
    info = one.exception_info or {}
    for part in [info] if "raised_exception" in info else info.values():
        if isinstance(part, Mapping) and part.get("raised_exception"):
            return str(part.get("exception_message") or "unknown error").splitlines()[0][:500]
    return None


def _failures(expected: Expected, result: Mapping[str, Any], key: Sequence[str], all_rows: Any) -> Iterator[Failure]:
    from tieout.quality.gx import MAX_FAILURES

    listed = result.get("unexpected_index_list")
    count = result.get("unexpected_count", result.get("observed_value"))
    if listed is None and isinstance(details := result.get("details"), Mapping) and "unexpected_rows" in details:
        listed = details["unexpected_rows"]
        # Great Expectations cuts this list at 200 rows.
        if all_rows is not None and isinstance(count, int) and count > len(listed):
            listed = all_rows(str(expected.kwargs["unexpected_rows_query"]))
    if not listed:
        yield _failure(expected, "", f"{_text(result.get('observed_value'))} in the whole batch")
        return
    if len(listed) >= MAX_FAILURES:
        more = f"more than {MAX_FAILURES} rows fail: the batch is wrong, not its rows"
        yield _failure(expected, "", more, severity="stop")
        return
    for row in listed:
        named = all(name in row for name in key)
        others = {name: value for name, value in row.items() if name not in key} or dict(row)
        found = ", ".join(f"{name} = {_text(value)}" for name, value in others.items())
        yield _failure(expected, "/".join(str(row[name]) for name in key) if named else "", found)


def _failure(expected: Expected, key: str, found: str, severity: Severity | None = None) -> Failure:
    return Failure(
        key=key,
        expectation=expected.type,
        column=expected.kwargs.get("column"),
        reason=expected.reason,
        expected=expected.expected,
        found=found[:_FOUND_CHARACTERS],
        remedy=expected.remedy,
        severity=severity or expected.severity,
    )


def _text(value: Any) -> str:
    if value is None or value != value:  # NaN, NaT
        return "nothing"
    if isinstance(value, Decimal):
        return format(value.normalize() if value == value.to_integral_value() else value, "f")
    if isinstance(value, str):
        return repr(value)
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows in dtypes that Great Expectations handles: Arrow decimals take it minutes, and a missing value
    among objects has to be None."""
    import pandas as pd

    out = {}
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.ArrowDtype) or column.dtype == object:
            column = column.astype(object)
            column = column.where(column.notna(), None)
        out[name] = column
    return pd.DataFrame(out, index=frame.index)


def _document(result: Any) -> dict[str, Any]:
    """The result as JSON with at most SHOWN rows for each expectation."""
    document: dict[str, Any] = result.to_json_dict()
    for one in document["results"]:
        for name, value in list(one["result"].items()):
            if isinstance(value, list):
                one["result"][name] = value[:SHOWN]
        details = one["result"].get("details")
        if isinstance(details, dict) and isinstance(details.get("unexpected_rows"), list):
            details["unexpected_rows"] = details["unexpected_rows"][:SHOWN]
        one["expectation_config"]["kwargs"].pop("batch_id", None)
    document["meta"] = {k: v for k, v in document["meta"].items() if k in ("great_expectations_version", "run_id")}
    return document
