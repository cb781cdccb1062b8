"""What `tieout doctor` and the test button say about a HubSpot connection. Expected faults become findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tieout.connectors.base import Finding
from tieout.connectors.hubspot.needs import STANDARD
from tieout.connectors.hubspot.objects import VIRTUAL, kind_of
from tieout.connectors.hubspot.prices import currencies
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.connectors.requirements import FieldNeed, Required
from tieout.model.errors import TieoutError, VendorFault

LOW = 5_000  # calls left of the day under which we warn
_SETUP = "see the connector's README, 'Setting up a real account'"


def findings(session: HubSpotSession, required: Required) -> Iterator[Finding]:
    """Signed in, portal, allowance, then each object with its properties, and the currencies."""
    try:
        details = session.get("/account-info/v3/details")
    except TieoutError as error:
        yield Finding(False, f"sign-in: {error}", "put the address and the token of the connection right")
        return
    yield Finding(True, "the credentials are accepted")
    kind = str(details.get("accountType") or "account").lower()
    zone, currency = details.get("timeZone"), details.get("companyCurrency")
    yield Finding(True, f"portal {details.get('portalId')} ({kind}, {currency}, {zone})")
    if session.day_left is not None:
        ok = session.day_left >= LOW
        yield Finding(ok, f"{session.day_left} calls left today", "" if ok else "sync less often, or raise the limit")
    for name, needs in required.fields.items():
        if name not in VIRTUAL:
            yield from _guarded(name, _object(session, name, needs))
    if required.currencies:
        yield from _guarded("currencies", _currencies(session, required.currencies))


def _guarded(what: str, found: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from found
    except TieoutError as error:
        yield Finding(False, f"{what}: {error}", _SETUP)


def _object(session: HubSpotSession, name: str, needs: Mapping[str, FieldNeed]) -> Iterator[Finding]:
    kind = kind_of(name)
    results = session.get(f"/crm/v3/properties/{kind.object}").get("results")
    if not isinstance(results, list):
        raise VendorFault("the description has no properties")
    by_name = {str(item.get("name")): item for item in results if isinstance(item, dict)}
    wanted = {path.removeprefix("properties."): need for path, need in needs.items() if _is_property(path)}
    known = STANDARD.fields.get(kind.object, {})
    # Type and uniqueness are ours to know, whoever asks.
    wanted = {
        one: replace(known[one], writable=need.writable) if one in known else need for one, need in wanted.items()
    }
    problems = [problem for one, need in wanted.items() for problem in _problems(one, need, by_name.get(one))]
    # One record is asked for: the description may be seen without the right to read.
    session.get(f"/crm/v3/objects/{kind.object}", {"limit": "1"})
    what = f"{name}: {'; '.join(problems)}" if problems else f"{name}: {len(wanted)} properties are there"
    yield Finding(not problems, what, f"run the set-up, or make them by hand; {_SETUP}" if problems else "")


def _is_property(path: str) -> bool:
    return "." not in path.removeprefix("properties.") and path not in ("id", "createdAt", "updatedAt", "archived")


def _problems(name: str, need: FieldNeed, found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is None:
        yield f"no property {name}"
        return
    if need.type is not None and found.get("type") != need.type:
        yield f"{name} is of type {found.get('type')}, expected {need.type}"
    if need.unique and found.get("hasUniqueValue") is not True:
        yield f"{name} must have unique values (which can only be chosen when the property is made)"
    rights = found.get("modificationMetadata")
    if need.writable and isinstance(rights, dict) and rights.get("readOnlyValue") is True:
        yield f"{name} cannot be written"


def _currencies(session: HubSpotSession, wanted: frozenset[str]) -> Iterator[Finding]:
    there = {one["code"] for one in currencies(session) if one["active"]}
    missing = sorted(wanted - there)
    text = f"currencies not set up: {', '.join(missing)}" if missing else f"currencies: {', '.join(sorted(wanted))}"
    yield Finding(not missing, text, "add them under Settings > Account Defaults > Currency" if missing else "")
