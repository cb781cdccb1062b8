"""Brings a deployment's databases up to date: `python -m tieout.orchestration.initialise`.

Airflow's database beside Tieout's, both schemas, the roles, and the first admin when TIEOUT_ADMIN_PASSWORD names a
password and there is no user of that name yet. Safe to run at every start. docker-compose.yaml runs it once before
the services.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from tieout.model.settings import load_settings


def main() -> int:
    """Runs all of it. Raises ConfigurationFault or Retriable when a database cannot be used."""
    from tieout.store import migrate
    from tieout.store.engine import connect

    url = load_settings().require_database_url()
    _airflow_database(url, os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN") or "")
    engine = connect(url)
    try:
        migrate.upgrade(engine)
    finally:
        engine.dispose()
    airflow_metadata(os.environ.get("TIEOUT_ADMIN_USER") or "admin", os.environ.get("TIEOUT_ADMIN_PASSWORD") or None)
    return 0


def airflow_metadata(user: str, password: str | None, reset: bool = False) -> None:
    """Airflow's schema, the roles and the admin, in this process: each `airflow` command would import Airflow anew.

    Args:
        user, password: of the admin; without a password none is made.
        reset: a user that is there gets this password.
    """
    airflow_command("db", "migrate")
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    from tieout.orchestration.roles import make_roles

    with get_application_builder() as builder:
        builder.add_permissions(update_perms=True)
        builder.sm.sync_roles()
        make_roles(builder.sm)
        if password:
            _admin(builder.sm, user, password, reset)


def _airflow_database(store_url: str, airflow_url: str) -> None:
    """Makes Airflow's database when it is to be on the same server as Tieout's and is not there."""
    import sqlalchemy as sa

    from tieout.store.embedded import create_database

    store, airflow = sa.make_url(store_url), sa.make_url(airflow_url or store_url)
    if airflow.database and (store.host, store.port) == (airflow.host, airflow.port):
        create_database(store_url, airflow.database)


def airflow_command(*command: str) -> None:
    """An `airflow` command in this process."""
    from airflow.cli.cli_parser import get_parser

    arguments = get_parser().parse_args(command)
    arguments.func(arguments)


def _admin(security_manager: Any, name: str, password: str, reset: bool) -> None:
    user = security_manager.find_user(name)
    if user is not None:
        if reset:
            security_manager.reset_password(user.id, password)
        return
    role = security_manager.find_role("Admin")
    if not security_manager.add_user(name, "Tieout", "Admin", f"{name}@localhost", role, password):
        raise SystemExit(f"the user {name} could not be made; see the lines above")


if __name__ == "__main__":
    sys.exit(main())
