"""What `tieout doctor` and the test button say of New System. Expected faults become findings."""

from __future__ import annotations

from collections.abc import Iterator

from scaffold.crm.connector.operations import OBJECTS
from tieout.connectors.base import Finding
from tieout.connectors.requirements import Required
from tieout.connectors.session import Session
from tieout.model.errors import TieoutError


def findings(session: Session, required: Required) -> Iterator[Finding]:
    """Signed in, and what can be read. TODO: are the fields of `required` there, and may the client write them?"""
    try:
        session.tokens.current()
    except TieoutError as error:
        yield Finding(False, f"sign-in: {error}", "put the address and the credentials of the connection right")
        return
    yield Finding(True, "the credentials are accepted")
    for obj in OBJECTS:
        try:
            session.get(f"/api/{obj}")
            yield Finding(True, f"{obj} can be read")
        except TieoutError as error:
            yield Finding(False, f"{obj}: {error}", "see the connector's README, 'Setting up a real account'")
