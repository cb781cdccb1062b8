"""Runs once inside Airflow before its services start: metadata schema, roles, the admin, connections.

One process for all four: each `airflow` command would import Airflow anew, several seconds each.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def main(secrets_file: str, connections_file: str) -> int:
    """Prepares the database that the environment names. Safe to run again."""
    _airflow("db", "migrate")
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    from tieout.orchestration.roles import make_roles

    with get_application_builder() as builder:
        builder.add_permissions(update_perms=True)
        builder.sm.sync_roles()
        make_roles(builder.sm)
        _admin(builder.sm, json.loads(Path(secrets_file).read_text())["admin_password"])
    _airflow("connections", "import", connections_file, "--overwrite")
    return 0


def _airflow(*command: str) -> None:
    """An `airflow` command in this process."""
    from airflow.cli.cli_parser import get_parser

    arguments = get_parser().parse_args(command)
    arguments.func(arguments)


def _admin(security_manager: Any, password: str) -> None:
    user = security_manager.find_user("admin")
    if user is not None:
        security_manager.reset_password(user.id, password)
        return
    role = security_manager.find_role("Admin")
    if not security_manager.add_user("admin", "Demo", "Admin", "admin@localhost", role, password):
        raise SystemExit("the user admin could not be made; see the lines above")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
