"""What stands beside the documents: the company with its preferences, its currencies, its tax codes. Read whole.

Three things are put together here, because Intuit gives them in pieces:
- Company: CompanyInfo and Preferences as one record, under the company's own id.
- CompanyCurrency: with the home currency, which Intuit does not list.
- TaxCode: with SalesRate, the sum of its TaxRates in percent; in the US with TAX and NON, which every line may name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tieout.connectors.base import Record
from tieout.connectors.comparing import number_of
from tieout.connectors.quickbooks.query import PAGE_SIZE, select
from tieout.connectors.quickbooks.sign_in import QuickBooksSession
from tieout.model.errors import VendorFault

COMPANY = "Company"
#: What is put together, or has no time of its own: always read whole.
MADE = (COMPANY, "CompanyCurrency", "TaxCode", "TaxRate", "Term", "ExchangeRate")
_US = ({"Id": "TAX", "Name": "Taxable", "Active": True}, {"Id": "NON", "Name": "Non-taxable", "Active": True})


def whole(session: QuickBooksSession, obj: str) -> Sequence[Record]:
    """All records of one of MADE."""
    if obj == COMPANY:
        return [company(session)]
    if obj == "CompanyCurrency":
        return _currencies(session)
    if obj == "TaxCode":
        return _tax_codes(session)
    return every(session, obj)


def every(session: QuickBooksSession, obj: str) -> list[Record]:
    """All records of a list that is short."""
    found: list[Record] = []
    for start in range(1, 1_000_000, PAGE_SIZE):
        page = session.query(select(obj, order="Id", start=start), obj)
        found += page
        if len(page) < PAGE_SIZE:
            return found
    raise VendorFault(f"QuickBooks: a million records of {obj}")


def company(session: QuickBooksSession) -> dict[str, Any]:
    """{Id, CompanyName, Country, HomeCurrency, MultiCurrency, BookCloseDate, CustomTxnNumbers, SalesTax, AutomatedTax,
    AutoApplyCredit, DiscountLines}; what a preference does not say is None."""
    info = session.get(f"companyinfo/{session.realm}").get("CompanyInfo")
    preferences = session.get("preferences").get("Preferences")
    if not isinstance(info, dict) or not isinstance(preferences, dict):
        raise VendorFault(
            f"{session.connection.name}: no CompanyInfo or no Preferences for the company {session.realm}"
        )

    def said(group: str, name: str) -> Any:
        return (preferences.get(group) or {}).get(name)

    currency = said("CurrencyPrefs", "HomeCurrency")
    return {
        "Id": session.realm,
        "CompanyName": info.get("CompanyName"),
        "Country": info.get("Country"),
        "HomeCurrency": currency.get("value") if isinstance(currency, dict) else currency,
        "MultiCurrency": said("CurrencyPrefs", "MultiCurrencyEnabled"),
        "BookCloseDate": said("AccountingInfoPrefs", "BookCloseDate") or None,
        "CustomTxnNumbers": said("SalesFormsPrefs", "CustomTxnNumbers"),
        "AutoApplyCredit": said("SalesFormsPrefs", "AutoApplyCredit"),
        "SalesTax": said("TaxPrefs", "UsingSalesTax"),
        "AutomatedTax": said("TaxPrefs", "PartnerTaxEnabled"),
    }


def _currencies(session: QuickBooksSession) -> list[Record]:
    of = company(session)
    found = every(session, "CompanyCurrency") if of["MultiCurrency"] else []
    home = of["HomeCurrency"]
    if home and all(one.get("Code") != home for one in found):
        found = [{"Id": f"home:{home}", "Code": home, "Name": home, "Active": True}, *found]
    return found


def _tax_codes(session: QuickBooksSession) -> list[Record]:
    rates = {str(one.get("Id")): number_of(one.get("RateValue")) for one in every(session, "TaxRate")}
    found: list[Record] = [{**one, "SalesRate": _rate(one, rates)} for one in every(session, "TaxCode")]
    if company(session)["Country"] in ("US", "USA"):
        # What bears no tax bears none of 0 percent; of TAX the rate is Intuit's own.
        found = [{**one, "SalesRate": Decimal(0)} if one.get("Id") == "NON" else one for one in found]
        there = {str(one.get("Id")) for one in found}
        found += [one for one in _US if one["Id"] not in there]
    return found


def _rate(code: Record, rates: Mapping[str, Decimal | None]) -> Decimal | None:
    details = (code.get("SalesTaxRateList") or {}).get("TaxRateDetail") or []
    named = [str((one.get("TaxRateRef") or {}).get("value")) for one in details if isinstance(one, dict)]
    known = [rates.get(id_) for id_ in named]
    return sum((one for one in known if one is not None), Decimal(0)) if known and None not in known else None
