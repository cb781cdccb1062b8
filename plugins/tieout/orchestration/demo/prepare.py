"""Runs once inside Airflow before the demo's services start: metadata schema, roles, the admin, connections.

One process for all four: each `airflow` command would import Airflow anew, several seconds each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tieout.orchestration.initialise import airflow_command, airflow_metadata


def main(secrets_file: str, connections_file: str) -> int:
    """Prepares the database that the environment names. Safe to run again."""
    password = json.loads(Path(secrets_file).read_text())["admin_password"]
    airflow_metadata("admin", password, reset=True)
    airflow_command("connections", "import", connections_file, "--overwrite")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
