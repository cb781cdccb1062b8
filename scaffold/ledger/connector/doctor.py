"""What `tieout doctor` and the test button say of New System. Expected faults become findings."""

from __future__ import annotations

from collections.abc import Iterator

from scaffold.ledger.connector.operations import OBJECTS
from tieout.connectors.base import Finding
from tieout.connectors.requirements import Required
from tieout.connectors.session import Session
from tieout.model.errors import TieoutError


def findings(session: Session, required: Required) -> Iterator[Finding]:
    """Signed in, rights, the company, and what the link needs."""
    try:
        session.tokens.current()
    except TieoutError as error:
        yield Finding(False, f"sign-in: {error}", "put the address and the credentials of the connection right")
        return
    yield Finding(True, "the credentials are accepted")
    for obj in OBJECTS:
        yield from _guarded(obj, _readable(session, obj))
    yield from _guarded("company", _company(session))
    for what, wanted in (("currencies", required.currencies), ("tax_codes", required.tax_types)):
        yield from _guarded(what, _among(session, what, wanted))


def _guarded(what: str, found: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from found
    except TieoutError as error:
        yield Finding(False, f"{what}: {error}", "see the connector's README, 'Setting up a real account'")


def _readable(session: Session, obj: str) -> Iterator[Finding]:
    session.get(f"/api/{obj}")
    yield Finding(True, f"{obj} can be read")


def _company(session: Session) -> Iterator[Finding]:
    for company in session.get("/api/company")["records"]:
        locked = company.get("locked_until")
        yield Finding(True, f"books in {company['base_currency']}, locked until {locked or 'no day'}")


def _among(session: Session, what: str, wanted: frozenset[str]) -> Iterator[Finding]:
    there = {str(one["code"]) for one in session.get(f"/api/{what}")["records"] if one.get("active")}
    if missing := wanted - there:
        text = f"{what} that do not exist or are not active: {', '.join(sorted(missing))}"
        yield Finding(False, text, "add them in New System, or change the link")
    elif wanted:
        yield Finding(True, f"{what}: {', '.join(sorted(wanted))}")
