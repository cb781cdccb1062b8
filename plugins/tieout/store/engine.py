"""The way to the database: one engine with time-outs, exact JSON numbers, and words for a database that is gone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from sqlalchemy.exc import ArgumentError

from tieout.model.errors import ConfigurationFault, Retriable

#: Seconds to wait for a connection, for a lock, and for a transaction in which nothing happens.
CONNECT_SECONDS = 10
LOCK_SECONDS = 300
IDLE_IN_TRANSACTION_SECONDS = 900

_REFUSED = re.compile(
    r"password authentication failed.*|(?:database|role) \S+ does not exist|no pg_hba\.conf entry.*|permission denied.*"
)

#: Decimals become JSON numbers digit by digit; jsonb keeps them as numeric.
_encoder = msgspec.json.Encoder(decimal_format="number")


def dumps(value: Any) -> str:
    """JSON text with exact numbers: a Decimal is written as it stands, never by way of a double."""
    return _encoder.encode(value).decode()


def loads(text: str | bytes) -> Any:
    """JSON as Python values; numbers with a point or an exponent are Decimal."""
    return json.loads(text, parse_float=Decimal)


def connect(url: str, *, application_name: str = "tieout", pool_size: int = 5, pre_ping: bool = True) -> Engine:
    """An engine for the store. Sessions run in UTC; a dead connection in the pool is replaced before it is used.

    A database that is gone, restarting or full of sessions shows as `Retriable` with words, whatever was running.

    Args:
        url: `postgresql+psycopg://...`; `postgresql://` and `postgres://` are taken as that.
        application_name: what `pg_stat_activity` shows.
        pool_size: connections kept; as many again may be opened for a moment.
        pre_ping: False saves a round trip each time a connection is taken, where the server cannot have gone away.

    Raises:
        ConfigurationFault: the URL cannot be read or names another kind of database.
    """
    try:
        parsed = sa.make_url(url.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        raise ConfigurationFault("the database URL cannot be read: expected postgresql+psycopg://...") from None
    if parsed.get_backend_name() != "postgresql":
        raise ConfigurationFault(f"the store needs PostgreSQL, the database URL names {parsed.get_backend_name()}")
    options = (
        f"-c timezone=UTC -c lock_timeout={LOCK_SECONDS}s "
        f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_SECONDS}s"
    )
    engine = sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_pre_ping=pre_ping,
        pool_size=pool_size,
        max_overflow=pool_size,
        # What is bound is bodies and answers: people's names and addresses must not get into a log by an error.
        hide_parameters=True,
        json_serializer=dumps,
        json_deserializer=loads,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": application_name,
            "options": options,
            "keepalives_idle": 30,
        },
    )
    sa.event.listen(engine, "handle_error", _in_words)
    return engine


def _in_words(context: ExceptionContext) -> None:
    """SQLAlchemy's hook: what it raises goes on in place of the driver's error."""
    if context.is_pre_ping:
        return  # the pool replaces the connection by itself
    # Without an SQLSTATE it is no server's answer to a statement. An invalidated Connection that cannot get a new
    # session comes here too, with the Connection set and no disconnect told.
    error = context.original_exception
    cannot_connect = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
    url = context.engine.url if context.engine is not None else None
    _raise_in_words(error, gone=context.is_disconnect or cannot_connect, url=url)


def _raise_in_words(error: BaseException, *, gone: bool, url: sa.URL | None) -> None:
    """Raises `Retriable` when the database is not there or busy, ConfigurationFault when it does not let us in; does
    nothing for other errors."""
    state = getattr(error, "sqlstate", None) or ""
    if state in ("40001", "40P01", "55P03"):
        raise Retriable(f"the database refused for now (SQLSTATE {state}): try again") from error
    if state == "57014":
        return  # cancelled by a person or a time-out: not a database that is gone
    if state in ("53100", "53200"):
        what = "disk is full" if state == "53100" else "memory is used up"
        raise Retriable(
            f"the database's {what} (SQLSTATE {state}): what was not committed is undone; give it room, and the next "
            "run carries on from there"
        ) from error
    at = f"{url.host or url.query.get('host', 'the local socket')}/{url.database}" if url is not None else "?"
    # psycopg gives no SQLSTATE for a session that the server refuses: its words have to do.
    refused = _REFUSED.search(str(error)) if gone else None
    if refused or state[:2] in ("28", "3D"):
        why = refused.group(0) if refused else f"SQLSTATE {state}"
        raise ConfigurationFault(f"the database at {at} refuses us: {why}; correct TIEOUT_DATABASE_URL") from None
    if gone or state[:2] in ("08", "57") or state == "53300":
        raise Retriable(
            f"the database at {at} is not reachable or went away ({type(error).__name__}); what was not committed is "
            "undone, and the next run carries on from there. Check that PostgreSQL runs (`tieout doctor`)."
        ) from error


def join_whole_tables(conn: Connection) -> None:
    """Until the transaction ends, tables are joined by hash or merge, not by a look into one for each row of the other.

    For queries that compare everything with everything. On tables that have just grown, or hold CTEs, the planner
    expects few rows, and its nested loops grow with the square of what is there.
    """
    conn.execute(sa.text("set local enable_nestloop = off"))


@contextmanager
def driver(conn: Connection) -> Iterator[psycopg.Connection[Any]]:
    """The psycopg connection below an SQLAlchemy one, for COPY; errors get the same words as through the engine.

    It is in the same transaction, which it must neither commit nor roll back.
    """
    raw = conn.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    try:
        yield raw
    except psycopg.Error as error:
        if raw.closed:
            conn.invalidate()
        _raise_in_words(error, gone=bool(raw.closed), url=conn.engine.url)
        raise
