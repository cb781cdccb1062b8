"""The migrations make what tables.py declares, from empty and from each version before."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Engine

from tests.support.postgres import PostgresServer
from tieout.model.errors import ConfigurationFault
from tieout.store import migrate
from tieout.store.engine import connect
from tieout.store.tables import metadata


def differences(engine: Engine) -> list[object]:
    with engine.connect() as conn:
        context = MigrationContext.configure(
            conn,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, parents: name == "tieout" if kind == "schema" else True,
                "version_table": "schema_version",
                "version_table_schema": "tieout",
                "compare_server_default": True,
                "compare_type": True,
            },
        )
        return list(compare_metadata(context, metadata))


def test_head_is_what_tables_py_declares(engine: Engine) -> None:
    assert migrate.current(engine) == migrate.head()
    assert differences(engine) == []


def test_upgrade_twice_changes_nothing(engine: Engine) -> None:
    assert migrate.upgrade(engine) == migrate.head()
    assert differences(engine) == []
