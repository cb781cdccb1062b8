"""What `tieout doctor` and the test button say about a Salesforce connection. Expected faults become findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tieout.connectors.base import Finding
from tieout.connectors.requirements import FieldNeed, Required
from tieout.connectors.salesforce.read import query_all
from tieout.connectors.session import Session
from tieout.model.errors import TieoutError, VendorFault

LOW_SHARE = 10  # percent of the daily calls under which we warn
_SETUP = "see the connector's README, 'Setting up a real organisation'"


def findings(session: Session, data: str, required: Required) -> Iterator[Finding]:
    """Signed in, organisation, allowance, then each object with its fields and rights."""
    try:
        session.tokens.current()
    except TieoutError as error:
        yield Finding(False, f"sign-in: {error}", "put the address and the credentials of the connection right")
        return
    yield Finding(True, "the credentials are accepted")
    yield from _guarded("organisation", _organisation(session, data))
    yield from _guarded("allowance", _allowance(session, data))
    for obj in required.fields:
        yield from _guarded(obj, _object(session, data, obj, required))
    if required.currencies:
        yield from _guarded("currencies", _currencies(session, data, required.currencies))


def _guarded(what: str, found: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from found
    except TieoutError as error:
        yield Finding(False, f"{what}: {error}", _SETUP)


def _organisation(session: Session, data: str) -> Iterator[Finding]:
    records = query_all(session, data, "SELECT Id, Name, IsSandbox FROM Organization LIMIT 1")
    if not records:
        yield Finding(False, "the organisation cannot be read", "give the user 'View Setup and Configuration'")
        return
    kind = "sandbox" if records[0].get("IsSandbox") else "production"
    yield Finding(True, f"organisation {records[0].get('Name')!r} ({records[0].get('Id')}, {kind})")


def _allowance(session: Session, data: str) -> Iterator[Finding]:
    limits = session.get(f"{data}/limits")
    daily = limits.get("DailyApiRequests") if isinstance(limits, dict) else None
    if (
        not isinstance(daily, dict)
        or not isinstance(daily.get("Max"), int)
        or not isinstance(daily.get("Remaining"), int)
    ):
        raise VendorFault("the answer names no daily API requests")
    ok = daily["Remaining"] * 100 >= daily["Max"] * LOW_SHARE
    text = f"{daily['Remaining']} of {daily['Max']} API calls left in these 24 hours"
    yield Finding(ok, text, "" if ok else "wait, sync less often, or buy more API calls")


def _object(session: Session, data: str, obj: str, required: Required) -> Iterator[Finding]:
    described = session.get(f"{data}/sobjects/{obj}/describe")
    fields = described.get("fields") if isinstance(described, dict) else None
    if not isinstance(fields, list):
        raise VendorFault("the description has no fields")
    needs = required.fields[obj]
    writes = any(need.writable for need in needs.values())
    wrong = [
        right
        for right, wanted in (
            ("queryable", True),
            ("updateable", writes),
            ("createable", obj in required.create),
        )
        if wanted and described.get(right) is not True
    ]
    by_name = {str(item.get("name", "")).lower(): item for item in fields if isinstance(item, dict)}
    problems = [problem for name, need in needs.items() for problem in _problems(name, need, by_name.get(name.lower()))]
    if wrong:
        problems.insert(0, f"not {', '.join(wrong)} for the integration user")
    what = f"{obj}: {'; '.join(problems)}" if problems else f"{obj}: {len(needs)} fields and the rights are there"
    yield Finding(not problems, what, f"create or change them, and grant them; {_SETUP}" if problems else "")


def _problems(name: str, need: FieldNeed, found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is None:
        yield f"no field {name} (or no right to see it)"
        return
    if need.type is not None and found.get("type") != need.type:
        yield f"{name} is of type {found.get('type')}, expected {need.type}"
    if need.length and isinstance(found.get("length"), int) and found["length"] < need.length:
        yield f"{name} holds {found['length']} characters, expected {need.length}"
    if need.unique and not (found.get("externalId") and found.get("unique")):
        yield f"{name} must be an External ID and Unique"
    if need.writable and found.get("updateable") is not True:
        yield f"{name} cannot be written by the integration user"


def _currencies(session: Session, data: str, wanted: frozenset[str]) -> Iterator[Finding]:
    records = query_all(session, data, "SELECT IsoCode FROM CurrencyType WHERE IsActive = true")
    missing = sorted(wanted - {str(record.get("IsoCode")) for record in records})
    text = f"currencies not active: {', '.join(missing)}" if missing else f"currencies: {', '.join(sorted(wanted))}"
    yield Finding(not missing, text, "activate them under Setup > Manage Currencies" if missing else "")
