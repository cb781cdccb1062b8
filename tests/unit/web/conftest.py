"""A controller's morning behind the pages of finance: made once for tests that only look, anew for those that act."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from tests.support import pages
from tests.support.postgres import PostgresServer
from tests.support.reconciliation import Morning, morning
from tieout.store.engine import connect


@pytest.fixture(scope="session")
def seen(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Morning]]:
    """The pages and the morning, for tests that change nothing."""
    url = postgres_server.migrated_database()
    engine = connect(url)
    found = morning(engine)
    with TestClient(pages.app(engine, tmp_path_factory.mktemp("docs"))) as client:
        yield client, found
    engine.dispose()
    postgres_server.drop(url)


@pytest.fixture
def finance(engine: Engine, tmp_path: Path) -> Iterator[tuple[TestClient, Engine, Morning]]:
    """The pages, their store and the morning, for one test alone."""
    found = morning(engine, days=2)
    with TestClient(pages.app(engine, tmp_path)) as client:
        yield client, engine, found
