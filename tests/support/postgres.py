"""Real PostgreSQL for tests: one server a session (and a worker of xdist), a fresh migrated database a test.

TIEOUT_TEST_DATABASE_URL names a server to use instead of the embedded one; its role must be allowed to make databases.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Engine

from tieout.store import embedded, migrate
from tieout.store.engine import connect

#: A test server keeps nothing across a power cut.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "100"}


class PostgresServer:
    """A server for tests: makes and drops databases; `url_for(name)` as SQLAlchemy takes it."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self._template: str | None = None
        self._made: list[str] = []

    def url_for(self, database: str) -> str:
        return sa.make_url(self.admin_url).set(database=database).render_as_string(hide_password=False)

    def empty_database(self, template: str | None = None) -> str:
        """URL of a new database."""
        name = f"t_{uuid4().hex[:16]}"
        embedded.create_database(self.admin_url, name, template)
        self._made.append(name)
        return self.url_for(name)

    def migrated_database(self) -> str:
        """URL of a new database at the newest schema, copied from a template."""
        if self._template is None:
            url = self.empty_database()
            engine = connect(url)
            migrate.upgrade(engine)
            engine.dispose()
            self._template = sa.make_url(url).database
        return self.empty_database(self._template)

    def drop(self, url: str) -> None:
        name = sa.make_url(url).database or ""
        with psycopg.connect(self.admin_url.replace("+psycopg://", "://", 1), autocommit=True) as conn:
            conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        self._made.remove(name)

    def drop_all(self) -> None:
        for name in list(self._made):
            self.drop(self.url_for(name))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's server."""
    if given := os.environ.get("TIEOUT_TEST_DATABASE_URL"):
        engine = connect(given)
        server = PostgresServer(engine.url.render_as_string(hide_password=False))
        engine.dispose()
        yield server
        server.drop_all()
        return
    # Not pytest's tmp_path: that is closed to the system user which the server runs as when we are root.
    home = Path(tempfile.mkdtemp(prefix="tieout-test-"))
    try:
        yield PostgresServer(embedded.start(home, FAST).url_for("postgres"))
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a fresh database at the newest schema; gone after the test."""
    url = postgres_server.migrated_database()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`."""
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def make_engine(postgres_server: PostgresServer) -> Iterator[Callable[[], Engine]]:
    """Makes engines on fresh databases: for property tests, where each example needs one of its own."""
    engines: list[Engine] = []

    def make() -> Engine:
        engines.append(connect(postgres_server.migrated_database()))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()
        postgres_server.drop(engine.url.render_as_string(hide_password=False))
