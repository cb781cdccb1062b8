"""The roles that guard Tieout's pages, made in Airflow's FAB auth manager: `python -m tieout.orchestration.roles`.

"Tieout viewer" reads the pages; "Tieout operator" may also replay dead letters. A user gets one of them beside
Airflow's own Viewer or Op role. Running it again adds what is missing and takes nothing away.
"""

from __future__ import annotations

import sys
from typing import Any

#: The resource that every page of ours asks the auth manager about.
RESOURCE = "Tieout"
VIEWER, OPERATOR = "Tieout viewer", "Tieout operator"

#: Role -> (action, resource). Without "Plugins" the menu entry is not shown; "Website" is the UI itself.
PERMISSIONS: dict[str, tuple[tuple[str, str], ...]] = {
    VIEWER: (("can_read", RESOURCE), ("can_read", "Plugins"), ("can_read", "Website")),
    OPERATOR: (("can_read", RESOURCE), ("can_edit", RESOURCE), ("can_read", "Plugins"), ("can_read", "Website")),
    "Admin": (("can_read", RESOURCE), ("can_edit", RESOURCE)),
}


def make_roles(security_manager: Any) -> None:
    """Makes both roles and gives Airflow's Admin the same rights. `security_manager` is FAB's."""
    for name, permissions in PERMISSIONS.items():
        role = security_manager.add_role(name)
        for action, resource in permissions:
            security_manager.add_permission_to_role(role, security_manager.create_permission(action, resource))


def main() -> int:
    """For a deployment: run once after `airflow db migrate`."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        builder.add_permissions(update_perms=True)
        builder.sm.sync_roles()
        make_roles(builder.sm)
    sys.stdout.write(f"roles {VIEWER!r} and {OPERATOR!r} are there\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
