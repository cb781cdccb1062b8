"""What `tieout doctor` and the test button say about a QuickBooks connection. Expected faults become findings."""

from __future__ import annotations

from collections.abc import Iterator

from tieout.connectors.base import Finding
from tieout.connectors.quickbooks import refunds
from tieout.connectors.quickbooks.query import select
from tieout.connectors.quickbooks.settings import company, every, whole
from tieout.connectors.quickbooks.sign_in import QuickBooksSession
from tieout.connectors.requirements import Required
from tieout.model.errors import PermissionDenied, TieoutError


def findings(session: QuickBooksSession, required: Required) -> Iterator[Finding]:
    """Signed in, company and closing date, preferences, rights, and what the link needs."""
    try:
        session.raw.tokens.current()
    except TieoutError as error:
        yield Finding(False, f"sign-in: {error}", "put the address and the credentials of the connection right")
        return
    yield Finding(True, "the credentials are accepted")
    yield from _guarded("company", _company(session, required))
    paying = ("Purchase",) if required.paid_from else ()
    for obj in ("Customer", "Invoice", "CreditMemo", "Payment", "RefundReceipt", "Item", *paying):
        yield from _guarded(obj, _readable(session, obj))
    yield from _guarded("currencies", _currencies(session, required))
    yield from _guarded("accounts", _accounts(session, required))
    yield from _guarded("tax codes", _tax_codes(session, required))


def _guarded(what: str, found: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from found
    except PermissionDenied as error:
        yield Finding(False, f"{what}: {error}", "join the app to this company again, by an administrator")
    except TieoutError as error:
        yield Finding(False, f"{what}: {error}", "see the connector's README, 'Setting up a real company'")


def _company(session: QuickBooksSession, required: Required) -> Iterator[Finding]:
    of = company(session)
    yield Finding(
        True, f"company {of['CompanyName']!r} ({session.realm}), {of['Country']}, home currency {of['HomeCurrency']}"
    )
    closed = of["BookCloseDate"]
    yield Finding(True, f"books are closed up to {closed}" if closed else "no period of the books is closed")
    yield _switch(
        of["CustomTxnNumbers"], True, "custom transaction numbers",
        "switch on Custom transaction numbers (Account and settings, Sales): without them QuickBooks numbers invoices"
        " itself, and does not refuse the same number twice",
    )  # fmt: skip
    yield _switch(
        of["AutoApplyCredit"], False, "credits that are applied by themselves",
        "switch off Automatically apply credits (Account and settings, Advanced): which invoice a credit settles is"
        " decided by the return",
    )  # fmt: skip
    if required.currencies - {of["HomeCurrency"]}:
        yield _switch(of["MultiCurrency"], True, "several currencies", "switch on Multicurrency (it cannot be undone)")


def _switch(found: object, wanted: bool, what: str, remedy: str) -> Finding:
    is_on = found is True or str(found).lower() == "true"
    text = f"{what}: {'on' if is_on else 'off'}"
    return Finding(True, text) if is_on is wanted else Finding(False, text, remedy)


def _readable(session: QuickBooksSession, obj: str) -> Iterator[Finding]:
    session.query(select(obj, most=1), obj)
    yield Finding(True, f"{obj} can be read")


def _currencies(session: QuickBooksSession, required: Required) -> Iterator[Finding]:
    if required.currencies:
        there = {str(one.get("Code")) for one in whole(session, "CompanyCurrency") if one.get("Active") is not False}
        yield _finding("currencies", required.currencies - there, required.currencies, "add the currency")


def _accounts(session: QuickBooksSession, required: Required) -> Iterator[Finding]:
    if not required.accounts and not required.paid_from:
        return
    found = [one for one in every(session, "Account") if one.get("Active") is not False]
    there = {str(one.get(name)) for one in found for name in ("Id", "AcctNum", "Name", "FullyQualifiedName")}
    for what, wanted, known in (
        ("accounts", required.accounts, there),
        ("accounts that pay", required.paid_from, refunds.paying(found)),
    ):
        if wanted:
            yield _finding(what, wanted - known, wanted, "add the account to the chart")


def _tax_codes(session: QuickBooksSession, required: Required) -> Iterator[Finding]:
    if required.tax_types:
        found = [one for one in whole(session, "TaxCode") if one.get("Active") is not False]
        yield _finding(
            "tax codes", required.tax_types - {str(one.get("Id")) for one in found}, required.tax_types,
            "name the tax code's id in the link",
        )  # fmt: skip


def _finding(what: str, missing: frozenset[str], wanted: frozenset[str], remedy: str) -> Finding:
    if missing:
        text = f"{what} that do not exist or are not active: {', '.join(sorted(missing))}"
        return Finding(False, text, f"{remedy} in QuickBooks, or change the link")
    return Finding(True, f"{what}: {', '.join(sorted(wanted))}")
