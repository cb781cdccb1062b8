"""The pages as each role meets them: who asks is said by a header, what they may do by orchestration/roles.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi import Header, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.routing import Mount

from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import Settings, load_settings
from tieout.orchestration import roles
from tieout.reconcile.people import NotAllowed
from tieout.reconcile.rules import load_rules
from tieout.store.periods import Refused
from tieout.web.app import Visitor, create_app
from tieout.web.sources import Sources

ROOT = Path(__file__).resolve().parents[2]
#: Person -> role.
PEOPLE = {
    "vera": roles.FINANCE_VIEWER, "petra": roles.PREPARER, "rex": roles.REVIEWER, "oskar": roles.OPERATOR,
    "dana": roles.DATA_ENGINEER,
}  # fmt: skip


def authorize(door: str) -> Callable[..., Visitor]:
    """As the plugin's, with the roles' own table in the place of the auth manager."""
    wanted = {
        "GET": ("can_read", roles.RESOURCE), "PUT": ("can_edit", roles.RESOURCE),
        **{right: ("can_edit", resource) for right, resource in roles.RIGHTS.items()},
    }[door]  # fmt: skip

    def visitor(x_person: str = Header("")) -> Visitor:
        if not x_person:
            raise HTTPException(401, "Not authenticated")
        has = roles.PERMISSIONS.get(PEOPLE.get(x_person, ""), ())
        if wanted not in has:
            raise HTTPException(403, "Your role does not allow this.")
        rights = frozenset(right for right, of in roles.RIGHTS.items() if ("can_edit", of) in has)
        return Visitor(x_person, ("can_edit", roles.RESOURCE) in has, rights)

    return visitor


Proposer = Callable[[str, Sequence[int], str, str, str | None], int]
Closer = Callable[[str, str, str], int]


def nothing_to_mend(link: str, breaks: Sequence[int], who: str, why: str, record: str | None) -> int:
    """No ledger is behind these pages: nothing can be proposed."""
    raise NotAllowed(f"{link} has no ledger here to read break {breaks[0]} from again, for {record}")


def nothing_to_close(link: str, label: str, who: str) -> int:
    """No systems are behind these pages: nothing can be counted."""
    raise Refused(f"{label} of {link} stays open: there is nothing here to count it from")


def no_connection(name: str) -> Connection:
    """No connection is known behind these pages."""
    raise ConfigurationFault(f"no connection {name!r}")


def app(
    engine: Engine, home: Path, page_size: int = 100, proposer: Proposer = nothing_to_mend,
    closer: Closer = nothing_to_close, settings: Callable[[], Settings] = load_settings,
    connection: Callable[[str], Connection] = no_connection,
    refused: Callable[[str, str], None] = lambda connection, reason: None,
) -> Starlette:  # fmt: skip
    """The pages, mounted as Airflow mounts them: links must carry the prefix."""
    sources = Sources(
        open_engine=lambda: engine, matrix=lambda crm, ledger: [], docs_home=home, page_size=page_size,
        owed=lambda link: [],
        link_rules=lambda link: load_rules(ROOT / "include"), proposer=proposer,
        closer=closer, settings=settings, connection=connection, refused=refused,
    )  # fmt: skip
    pages = create_app(authorize, sources, b"a secret of the test", lambda asked: f"/auth/login/?next={asked}")
    return Starlette(routes=[Mount("/tieout", pages)])


def as_(person: str) -> dict[str, str]:
    """The header of a request by this person."""
    return {"x-person": person}


def token(client: TestClient, person: str, path: str) -> str:
    """The token that this person's forms on a page carry."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get(f"/tieout{path}", headers=as_(person)).text)
    assert found is not None, f"{path} shows {person} no form"
    return found.group(1)
