"""What Xero says beyond its documents: the trial balance (`Reports/TrialBalance`), and who did what (`.../History`).

A report is rows of cells as a person sees them; its account is found by the account's id in the cells' attributes, and
its balance is the year-to-date debit less the credit. Needs the scope `accounting.reports.read`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from tieout.connectors.base import ControlBalance, HistoryEntry
from tieout.connectors.xero.dates import instant
from tieout.connectors.xero.read import is_guid
from tieout.connectors.xero.sign_in import XeroSession
from tieout.model.errors import VendorFault

#: Xero's own mark of the account that sales documents stand on.
DEBTORS = "DEBTORS"
#: What has a history of its own.
WITH_HISTORY = ("Invoices", "CreditNotes", "Payments", "Overpayments", "Prepayments")
_DEBIT, _CREDIT = "YTD Debit", "YTD Credit"


def receivables(session: XeroSession, day: date) -> ControlBalance:
    """See base.GeneralLedger.receivables."""
    account = _account(session)
    answer = session.get("Reports/TrialBalance", {"date": day.isoformat()})
    reports = answer.get("Reports")
    if not isinstance(reports, list) or not reports:
        raise VendorFault("Xero's trial balance has no report")
    rows = list(_rows(reports[0]))
    headings = next((_texts(row) for row in rows if row.get("RowType") == "Header"), [])
    if _DEBIT not in headings or _CREDIT not in headings:
        raise VendorFault(f"Xero's trial balance has the columns {headings}; expected {_DEBIT} and {_CREDIT}")
    name = f"{account.get('Name')} ({account.get('Code')})"
    amount = Decimal(0)  # an account that nothing was ever posted to has no row
    for row in rows:
        if row.get("RowType") == "Row" and _is_of(row, str(account.get("AccountID"))):
            values = dict(zip(headings, _texts(row), strict=False))
            amount += _amount(values.get(_DEBIT, "")) - _amount(values.get(_CREDIT, ""))
    organisations = session.get("Organisation", {}).get("Organisations")
    currency = organisations[0].get("BaseCurrency") if isinstance(organisations, list) and organisations else None
    return ControlBalance(name, amount, str(currency or ""))


def history(session: XeroSession, object_name: str, id_: str) -> Sequence[HistoryEntry]:
    """See base.GeneralLedger.history."""
    if object_name not in WITH_HISTORY or not is_guid(id_):
        return []
    found = session.get(f"{object_name}/{id_}/History", {}).get("HistoryRecords")
    entries = [
        HistoryEntry(
            instant(one.get("DateUTC")), str(one.get("User") or ""),
            ": ".join(str(part) for part in (one.get("Changes"), one.get("Details")) if part),
        )
        for one in (found if isinstance(found, list) else []) if isinstance(one, dict)
    ]  # fmt: skip
    # Whatever order it comes in; what has no time is the oldest.
    return sorted(entries, key=lambda one: one.at.timestamp() if one.at else 0.0, reverse=True)


def _account(session: XeroSession) -> Mapping[str, Any]:
    accounts = session.get("Accounts", {}).get("Accounts")
    for one in accounts if isinstance(accounts, list) else []:
        if isinstance(one, dict) and one.get("SystemAccount") == DEBTORS:
            return one
    raise VendorFault(f"Xero has no account with the mark {DEBTORS}: the control account of receivables is not known")


def _rows(report: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for row in report.get("Rows") or ():
        yield row
        yield from _rows(row)


def _texts(row: Mapping[str, Any]) -> list[str]:
    return [str(cell.get("Value") or "") for cell in row.get("Cells") or ()]


def _is_of(row: Mapping[str, Any], account: str) -> bool:
    return any(
        part.get("Id") == "account" and part.get("Value") == account
        for cell in row.get("Cells") or () for part in cell.get("Attributes") or ()
    )  # fmt: skip


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text.replace(",", "") or "0")
    except InvalidOperation as error:
        raise VendorFault(f"Xero's trial balance has {text!r} where an amount was expected") from error
