"""The roles that guard Tieout's pages, made in Airflow's FAB auth manager: `python -m tieout.orchestration.roles`.

| role | reads | replays, decides on writes | breaks and matches | proposals | signs |
|---|---|---|---|---|---|
| Tieout finance viewer, Tieout viewer | yes | | | | |
| Tieout preparer | yes | | yes | yes | as preparer |
| Tieout reviewer | yes | | yes | yes | as reviewer |
| Tieout operator | yes | yes | | yes | |
| Tieout data engineer | yes | yes | | | |

Who signs as preparer also begins closing a fiscal period and asks to reopen one, who signs as reviewer decides that.
A user gets one of them beside Airflow's own Viewer or Op role; who has both signing roles still cannot sign twice, the
database wants two people, as it does for a reopening. Running it again adds what is missing and takes nothing away.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

#: The resource that every page of ours asks the auth manager about: can_read to look, can_edit to operate.
RESOURCE = "Tieout"
#: A right of the pages (web/pages.py) -> the resource whose can_edit gives it.
RIGHTS: Mapping[str, str] = {
    "breaks": "Tieout breaks",
    "decide": "Tieout proposals",
    "prepare": "Tieout sign-off by preparer",
    "review": "Tieout sign-off by reviewer",
}
VIEWER, OPERATOR = "Tieout viewer", "Tieout operator"
FINANCE_VIEWER, PREPARER, REVIEWER = "Tieout finance viewer", "Tieout preparer", "Tieout reviewer"
DATA_ENGINEER = "Tieout data engineer"

#: Without "Plugins" the menu entry is not shown; "Website" is the UI itself.
_READS = (("can_read", RESOURCE), ("can_read", "Plugins"), ("can_read", "Website"))
_OPERATES = (("can_edit", RESOURCE),)


def _may(*rights: str) -> tuple[tuple[str, str], ...]:
    return tuple(("can_edit", RIGHTS[right]) for right in rights)


#: Role -> (action, resource).
PERMISSIONS: dict[str, tuple[tuple[str, str], ...]] = {
    VIEWER: _READS,
    FINANCE_VIEWER: _READS,
    PREPARER: (*_READS, *_may("breaks", "decide", "prepare")),
    REVIEWER: (*_READS, *_may("breaks", "decide", "review")),
    OPERATOR: (*_READS, *_OPERATES, *_may("decide")),
    DATA_ENGINEER: (*_READS, *_OPERATES),
    "Admin": (("can_read", RESOURCE), *_OPERATES, *_may(*RIGHTS)),
}


def make_roles(security_manager: Any) -> None:
    """Makes the roles and gives Airflow's Admin the same rights. `security_manager` is FAB's."""
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
    sys.stdout.write(f"roles are there: {', '.join(PERMISSIONS)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
