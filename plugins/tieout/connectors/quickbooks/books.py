"""What QuickBooks says beyond its documents: the trial balance (`reports/TrialBalance`). It tells nobody's history.

A report is rows of ColData as a person sees them; an account's row has its id, and its balance is debit less credit.
The receivables account of each foreign currency is in it in the home currency.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from tieout.connectors.base import ControlBalance
from tieout.connectors.quickbooks.settings import company, every
from tieout.connectors.quickbooks.sign_in import QuickBooksSession
from tieout.model.errors import VendorFault

RECEIVABLE = "Accounts Receivable"  # an account's AccountType


def receivables(session: QuickBooksSession, day: date) -> ControlBalance:
    """See base.GeneralLedger.receivables. With several currencies there is an account for each: their sum."""
    accounts = [one for one in every(session, "Account") if one.get("AccountType") == RECEIVABLE]
    if not accounts:
        raise VendorFault(f"{session.connection.name}: no account of the type {RECEIVABLE!r}")
    # Without a beginning the report starts with the fiscal year; balances are cumulative either way.
    params = {"end_date": day.isoformat(), "start_date": day.isoformat(), "accounting_method": "Accrual"}
    report = session.get("reports/TrialBalance", params)
    titles = [str(one.get("ColTitle") or "").strip().lower() for one in _list(report, "Columns", "Column")]
    if "debit" not in titles or "credit" not in titles:
        raise VendorFault(
            f"{session.connection.name}: the trial balance has the columns {titles}; expected Debit and Credit"
        )
    wanted = {str(one["Id"]) for one in accounts}
    amount = Decimal(0)  # an account that nothing was ever posted to has no row
    for cells in _rows(report):
        if cells and str(cells[0].get("id")) in wanted:
            values = dict(zip(titles, (str(cell.get("value") or "") for cell in cells), strict=False))
            amount += _amount(values.get("debit", "")) - _amount(values.get("credit", ""))
    name = ", ".join(sorted(str(one.get("FullyQualifiedName") or one.get("Name")) for one in accounts))
    return ControlBalance(name, amount, str(company(session)["HomeCurrency"] or ""))


def _rows(part: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
    for row in _list(part, "Rows", "Row"):
        yield [cell for cell in row.get("ColData") or [] if isinstance(cell, dict)]
        yield from _rows(row)


def _list(part: Mapping[str, Any], outer: str, inner: str) -> list[Mapping[str, Any]]:
    found = (part.get(outer) or {}).get(inner) if isinstance(part, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text.replace(",", "") or "0")
    except InvalidOperation as error:
        raise VendorFault(f"QuickBooks' trial balance has {text!r} where an amount was expected") from error
