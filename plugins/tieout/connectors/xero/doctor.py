"""What `tieout doctor` and the test button say about a Xero connection. Expected faults become findings."""

from __future__ import annotations

from collections.abc import Iterator

from tieout.connectors.base import Finding
from tieout.connectors.requirements import Required
from tieout.connectors.xero.dates import day
from tieout.connectors.xero.read import ENDPOINTS, records
from tieout.connectors.xero.sign_in import XeroSession
from tieout.model.errors import PermissionDenied, TieoutError

LOW_DAY = 500  # calls of the day's 5000 under which we warn
_WRITES = ("accounting.transactions", "accounting.contacts")


def findings(session: XeroSession, required: Required) -> Iterator[Finding]:
    """Signed in, organisation and lock dates, rights, what the link needs, and what is left of the day's calls."""
    try:
        token = session.raw.tokens.current()
    except TieoutError as error:
        yield Finding(False, f"sign-in: {error}", "put the address and the credentials of the connection right")
        return
    yield Finding(True, "the credentials are accepted")
    yield from _scopes(token.answer.get("scope"))
    yield from _guarded("organisation", _organisation(session))
    for obj in ("Contacts", "Invoices", "CreditNotes", "Payments", "Items"):
        yield from _guarded(obj, _readable(session, obj))
    yield from _guarded("currencies", _among(session, "Currencies", "Code", required.currencies, "add the currency"))
    yield from _guarded("accounts", _accounts(session, required))
    yield from _guarded("tax types", _among(session, "TaxRates", "TaxType", required.tax_types, "add the tax rate"))
    left = session.day_left
    if left is not None:
        ok = left >= LOW_DAY
        yield Finding(ok, f"{left} calls left today", "" if ok else "sync less often, or wait until the day is over")


def _guarded(what: str, found: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from found
    except PermissionDenied as error:
        yield Finding(False, f"{what}: {error}", "give the app the scope, and join it to the organisation again")
    except TieoutError as error:
        yield Finding(False, f"{what}: {error}", "see the connector's README, 'Setting up a real organisation'")


def _scopes(granted: object) -> Iterator[Finding]:
    if not isinstance(granted, str):
        return  # the answer need not name them; the calls below show what is missing to read
    missing = [scope for scope in _WRITES if scope not in granted.split()]
    text = f"scopes that are missing to write: {', '.join(missing)}" if missing else "the scopes allow writing"
    yield Finding(not missing, text, "add them to the app (or to `scopes` in the connection)" if missing else "")


def _organisation(session: XeroSession) -> Iterator[Finding]:
    found = records(session.get("Organisation"), ENDPOINTS["Organisation"])
    if not found:
        yield Finding(False, "no organisation is named", "check tenant_id")
        return
    org = found[0]
    base = org.get("BaseCurrency")
    yield Finding(True, f"organisation {org.get('Name')!r} ({session.tenant}), base currency {base}")
    locks = {name: day(org.get(name)) for name in ("PeriodLockDate", "EndOfYearLockDate")}
    latest = max((lock for lock in locks.values() if lock is not None), default=None)
    yield Finding(True, f"books are locked up to {latest:%Y-%m-%d}" if latest else "no period of the books is locked")


def _readable(session: XeroSession, obj: str) -> Iterator[Finding]:
    params = {"page": "1", "pageSize": "1"} if ENDPOINTS[obj].paged else {}
    records(session.get(obj, params), ENDPOINTS[obj])
    yield Finding(True, f"{obj} can be read")


def _accounts(session: XeroSession, required: Required) -> Iterator[Finding]:
    if not required.accounts and not required.paid_from:
        return
    found = [one for one in records(session.get("Accounts"), ENDPOINTS["Accounts"]) if one.get("Status") == "ACTIVE"]
    active = {str(item.get("Code")) for item in found if item.get("Type") != "BANK"}
    pays = {
        str(item.get("Code")) for item in found if item.get("Type") == "BANK" or item.get("EnablePaymentsToAccount")
    }
    for what, wanted, there in (
        ("accounts", required.accounts, active),
        ("accounts that pay", required.paid_from, pays),
    ):
        if wanted:
            yield _finding(what, wanted - there, wanted, "add the account to the chart, or change the link")


def _among(session: XeroSession, obj: str, field: str, wanted: frozenset[str], remedy: str) -> Iterator[Finding]:
    if not wanted:
        return
    found = records(session.get(obj), ENDPOINTS[obj])
    there = {str(item.get(field)) for item in found if item.get("Status") in (None, "ACTIVE")}
    yield _finding(obj, wanted - there, wanted, f"{remedy} in Xero, or change the link")


def _finding(what: str, missing: frozenset[str], wanted: frozenset[str], remedy: str) -> Finding:
    if missing:
        return Finding(False, f"{what} that do not exist or are not active: {', '.join(sorted(missing))}", remedy)
    return Finding(True, f"{what}: {', '.join(sorted(wanted))}")
