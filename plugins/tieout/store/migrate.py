"""Brings a database to the schema of this version of Tieout. Forward only: the versions are in migrations/versions/."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from tieout.model.errors import ConfigurationFault

_LOCK = 7_238_001  # advisory lock: one migration at a time, whoever starts it


def upgrade(engine: Engine, revision: str = "head") -> str:
    """Runs the missing versions in one transaction, each at most once, and returns the revision that is reached.

    Safe to call at every start and from several processes at once.

    Args:
        engine: of the store; its role must be allowed to create schemas.
        revision: the last version to run; tests walk through them one by one.

    Raises:
        ConfigurationFault: the database is at a version that this code does not know (it is newer).
    """
    with engine.begin() as conn:
        conn.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        conn.execute(sa.text("create schema if not exists tieout"))
        at = _current(conn)
        if at is not None and at not in revisions():
            raise ConfigurationFault(
                f"the database is at schema version {at}, which this version of Tieout does not know: "
                f"it is newer; install the Tieout that wrote it (this one knows up to {revisions()[-1]})"
            )
        command.upgrade(_config(conn), revision)
        return _current(conn) or ""


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None when nothing was ever migrated."""
    with engine.connect() as conn:
        return _current(conn)


def head() -> str:
    """The newest revision that this code knows."""
    return revisions()[-1]


def require_head(engine: Engine) -> None:
    """Refuses to work on an old or a newer schema.

    Raises:
        ConfigurationFault: with what to do.
    """
    at = current(engine)
    if at != head():
        raise ConfigurationFault(
            f"the database's schema is at {at or 'nothing'}, expected {head()}: run `tieout migrate`"
        )


def revisions() -> list[str]:
    """All revisions, oldest first."""
    script = ScriptDirectory.from_config(_config(None))
    return [revision.revision for revision in reversed(list(script.walk_revisions()))]


def _current(conn: Connection) -> str | None:
    if conn.execute(sa.text("select to_regclass('tieout.schema_version')")).scalar_one() is None:
        return None
    return conn.execute(sa.text("select version_num from tieout.schema_version")).scalar_one_or_none()


def _config(conn: Connection | None) -> Config:
    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = conn
    return config
