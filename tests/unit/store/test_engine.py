"""The engine: exact JSON, sessions in UTC, and words for a database that is gone."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from tests.support.postgres import PostgresServer
from tieout.model.errors import ConfigurationFault, Retriable
from tieout.store.engine import connect, driver


def test_json_numbers_stay_exact(engine: Engine) -> None:
    value = {"a": Decimal("123456789012345678.123456789"), "b": [Decimal("1.10"), 10**30], "c": None}
    with engine.connect() as conn:
        back = conn.execute(sa.select(sa.cast(sa.literal(value, JSONB), JSONB))).scalar_one()
    assert back == value
    assert str(back["b"][0]) == "1.10"


def test_sessions_run_in_utc_under_our_name(engine: Engine) -> None:
    with engine.connect() as conn:
        assert conn.execute(sa.text("show timezone")).scalar_one() == "UTC"
        assert conn.execute(sa.text("show application_name")).scalar_one() == "tieout"


@pytest.mark.parametrize("url", ["sqlite://", "mysql://x/y", "no url"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationFault, match="database URL"):
        connect(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_is_taken(scheme: str) -> None:
    assert connect(f"{scheme}://u:p@127.0.0.1:1/d").url.drivername == "postgresql+psycopg"


def test_nothing_listens_there(engine: Engine) -> None:
    gone = connect("postgresql://tieout:very-secret@127.0.0.1:1/books")
    with pytest.raises(Retriable, match=r"127\.0\.0\.1/books is not reachable") as caught, gone.connect():
        pass
    assert "very-secret" not in str(caught.value)


def test_a_session_that_is_ended_shows_as_retriable_and_the_next_one_works(engine: Engine) -> None:
    with engine.connect() as conn:
        pid = conn.execute(sa.text("select pg_backend_pid()")).scalar_one()
        with engine.connect() as other:
            other.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(Retriable, match="went away"):
            conn.execute(sa.text("select 1"))
    with engine.connect() as conn:
        assert conn.execute(sa.text("select 1")).scalar_one() == 1


def test_the_driver_speaks_the_same_words(engine: Engine) -> None:
    with engine.connect() as conn:
        pid = conn.execute(sa.text("select pg_backend_pid()")).scalar_one()
        with engine.connect() as other:
            other.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(Retriable, match="went away"), driver(conn) as raw:
            raw.execute("select 1")
    with engine.connect() as conn:
        assert conn.execute(sa.text("select 1")).scalar_one() == 1


def test_a_database_that_does_not_exist_is_no_reason_to_try_again(postgres_server: PostgresServer) -> None:
    nowhere = connect(postgres_server.url_for("nowhere"))
    with pytest.raises(ConfigurationFault, match='refuses us: database "nowhere" does not exist'), nowhere.connect():
        pass


def test_a_mistake_of_ours_stays_what_it_is(engine: Engine) -> None:
    with engine.connect() as conn, pytest.raises(DBAPIError, match="syntax error"):
        conn.execute(sa.text("selec 1"))


def test_a_full_disk_is_tried_again_and_told_in_words(engine: Engine) -> None:
    raising = "do $$ begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$"
    with engine.connect() as conn, pytest.raises(Retriable, match="disk is full"):
        conn.exec_driver_sql(raising)


def test_what_is_bound_is_in_no_error(engine: Engine) -> None:
    with engine.connect() as conn, pytest.raises(DBAPIError) as caught:
        conn.exec_driver_sql("select %(name)s / 0", {"name": 711})
    assert "division by zero" in str(caught.value) and "711" not in str(caught.value)
