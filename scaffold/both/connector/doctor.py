"""What `tieout doctor` and the test button say of New System. Expected faults become findings."""

from __future__ import annotations

from collections.abc import Iterator

from scaffold.ledger.connector import needs
from scaffold.ledger.connector.operations import OBJECTS
from tieout.connectors.base import Finding
from tieout.connectors.requirements import Required
from tieout.connectors.session import Session
from tieout.model.errors import TieoutError


def findings(session: Session, required: Required) -> Iterator[Finding]:
    """Signed in, rights, and what the link needs."""
    try:
        session.tokens.current()
    except TieoutError as error:
        yield Finding(False, f"sign-in: {error}", "put the address and the credentials of the connection right")
        return
    yield Finding(True, "the credentials are accepted")
    for obj in OBJECTS:
        yield from _guarded(obj, _readable(session, obj))
    yield from _guarded("what the link needs", needs.findings(session, required))


def _guarded(what: str, found: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from found
    except TieoutError as error:
        yield Finding(False, f"{what}: {error}", "see the connector's README, 'Setting up a real account'")


def _readable(session: Session, obj: str) -> Iterator[Finding]:
    session.get(f"/api/{obj}")
    yield Finding(True, f"{obj} can be read")
