"""Whether New System has what a link needs of a ledger; and up to when its books are locked."""

from __future__ import annotations

from collections.abc import Iterator

from tieout.connectors.base import Finding
from tieout.connectors.requirements import Required
from tieout.connectors.session import Session


def findings(session: Session, required: Required) -> Iterator[Finding]:
    """Raises as Session.get."""
    for company in session.get("/api/company")["records"]:
        locked = company.get("locked_until")
        yield Finding(True, f"books in {company['base_currency']}, locked until {locked or 'no day'}")
    for what, wanted in (("currencies", required.currencies), ("tax_codes", required.tax_types)):
        there = {str(one["code"]) for one in session.get(f"/api/{what}")["records"] if one.get("active")}
        if missing := wanted - there:
            text = f"{what} that do not exist or are not active: {', '.join(sorted(missing))}"
            yield Finding(False, text, "add them in New System, or change the link")
        elif wanted:
            yield Finding(True, f"{what}: {', '.join(sorted(wanted))}")
