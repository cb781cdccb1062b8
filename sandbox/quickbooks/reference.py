"""What documents refer to: tax codes and rates, accounts, terms, currencies, rates, the company and its preferences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sandbox.quickbooks.books import Books, currency_ref
from sandbox.quickbooks.errors import bad_date, business, duplicate_name, missing, not_found, too_long, unsupported
from sandbox.quickbooks.wire import read_date, typed
from sandbox.state import Record

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_CLASSES = {
    "Bank": "Asset",
    "Other Current Asset": "Asset",
    "Fixed Asset": "Asset",
    "Accounts Receivable": "Asset",
    "Other Asset": "Asset",
    "Accounts Payable": "Liability",
    "Credit Card": "Liability",
    "Other Current Liability": "Liability",
    "Long Term Liability": "Liability",
    "Equity": "Equity",
    "Income": "Revenue",
    "Other Income": "Revenue",
    "Cost of Goods Sold": "Expense",
    "Expense": "Expense",
    "Other Expense": "Expense",
}
MAX_NAME = 100


def refresh(books: Books, entity: str) -> None:
    """The US company's tax rates follow the setting `sales_tax`."""
    if entity != "TaxRate" or not books.is_us:
        return
    wanted = dict(us_rates(books).items())
    table = books.table("TaxRate")
    kept = {record["Name"]: record["RateValue"] for record in table.values()}
    if kept == dict(wanted.values()):
        return
    with books.state.transaction():
        for id_ in list(table.keys()):
            table.delete(id_)
        for id_, (name, value) in wanted.items():
            table.put(id_, tax_rate(id_, name, value))


def us_rates(books: Books) -> Mapping[str, tuple[str, Decimal]]:
    """Automated sales tax: id of the TaxRate -> (name, percent)."""
    rates = books.company("sales_tax").items()
    return {str(place): (name, Decimal(value)) for place, (name, value) in enumerate(rates, start=1)}


def tax_rate(id_: str, name: str, percent: Decimal) -> Record:
    meta = {"CreateTime": _EPOCH, "LastUpdatedTime": _EPOCH}
    effective = [{"RateValue": percent, "EffectiveDate": "2020-01-01T00:00:00-08:00"}]
    return {
        "Id": id_, "SyncToken": "0", "MetaData": meta, "Name": name, "Description": name, "Active": True,
        "RateValue": percent, "AgencyRef": {"value": "1"}, "SpecialTaxType": "NONE", "DisplayType": "ReadOnly",
        "EffectiveTaxRate": effective,
    }  # fmt: skip


def virtual(books: Books, entity: str) -> Iterable[Record]:
    """Entities that are made of settings: CompanyInfo, Preferences, ExchangeRate (as of today)."""
    if entity == "CompanyInfo":
        return [company_info(books)]
    if entity == "Preferences":
        return [preferences(books)]
    today = books.today()
    rates = (exchange_rate(books, code, today) for code in sorted(books.currencies() - {books.home}))
    return [rate for rate in rates if rate is not None]


def company_info(books: Books) -> Record:
    name, country = books.company("name"), books.company("country")
    return {
        "Id": "1", "SyncToken": "0", "MetaData": {"CreateTime": _EPOCH, "LastUpdatedTime": _EPOCH},
        "CompanyName": name, "LegalName": name, "Country": country, "CompanyStartDate": "2020-01-01",
        "FiscalYearStartMonth": "January", "SupportedLanguages": "en", "DefaultTimeZone": books.company("timezone"),
        "CompanyAddr": {"Id": "1", "Line1": "1 Sandbox Street", "Country": country},
        "NameValue": [{"Name": "IsQbdtMigrated", "Value": "false"}],
    }  # fmt: skip


def preferences(books: Books) -> Record:
    accounting: Record = {"UseAccountNumbers": False, "TrackDepartments": False, "FirstMonthOfFiscalYear": "January"}
    accounting |= {"TaxYearMonth": "January", "CustomerTerminology": "Customers", "ClassTrackingPerTxn": False}
    if books.company("book_close_date"):
        accounting["BookCloseDate"] = books.company("book_close_date")
    tax: Record = {"UsingSalesTax": True, "PartnerTaxEnabled": books.is_us}
    if books.is_us:
        tax["TaxGroupCodeRef"] = {"value": "2"}
    multi = books.company("multicurrency")
    return {
        "Id": "1", "SyncToken": "0", "MetaData": {"CreateTime": _EPOCH, "LastUpdatedTime": _EPOCH},
        "AccountingInfoPrefs": accounting,
        "ProductAndServicesPrefs": {
            "ForSales": True, "ForPurchase": True, "QuantityWithPriceAndRate": True, "QuantityOnHand": True,
        },
        "SalesFormsPrefs": {
            "CustomTxnNumbers": books.company("custom_txn_numbers"), "AllowDiscount": True, "AllowServiceDate": False,
            "AutoApplyCredit": False, "DefaultTerms": {"value": "3"},
        },
        "TaxPrefs": tax,
        "CurrencyPrefs": {"MultiCurrencyEnabled": multi, "HomeCurrency": {"value": books.home}},
        "ReportPrefs": {"ReportBasis": "Accrual"},
        "OtherPrefs": {
            "NameValue": [
                {"Name": "SalesFormsPrefs.DefaultItem", "Value": "1"},
                {"Name": "WarnDuplicateNumbers", "Value": str(books.company("warn_duplicate_numbers")).lower()},
            ]
        },
    }  # fmt: skip


def exchange_rate(books: Books, code: str, day: str) -> Record | None:
    rate = books.day_rate(code, day)
    if rate is None:
        return None
    kept = books.rates.get(code) or {"SyncToken": "0", "at": _EPOCH}
    return {
        "SyncToken": kept["SyncToken"], "MetaData": {"CreateTime": kept["at"], "LastUpdatedTime": kept["at"]},
        "SourceCurrencyCode": code, "TargetCurrencyCode": books.home, "Rate": rate, "AsOfDate": day,
    }  # fmt: skip


def read_exchange_rate(books: Books, query: Mapping[str, str]) -> Record:
    """GET /exchangerate?sourcecurrencycode=EUR&asofdate=2026-03-01. Raises Refused."""
    code = query.get("sourcecurrencycode")
    if not code:
        raise missing("sourcecurrencycode")
    day = read_date(query.get("asofdate", books.today()), "asofdate")
    if day is None:
        raise bad_date("asofdate", "")
    found = exchange_rate(books, code, day) if code in books.currencies() else None
    if found is None:
        raise not_found("sourcecurrencycode")
    return found


def save_exchange_rate(books: Books, body: Mapping[str, Any]) -> Record:
    """POST /exchangerate: the rate of a currency from a day on. Raises Refused."""
    given = typed("ExchangeRate", body)
    code, rate = given.get("SourceCurrencyCode"), given.get("Rate")
    if not code or rate is None:
        raise missing("Rate" if code else "SourceCurrencyCode")
    if code not in books.currencies() - {books.home} or rate <= 0:
        raise business(f"The exchange rate of {code} cannot be set to {rate}")
    day = given.get("AsOfDate") or books.today()
    kept = books.rates.get(code) or {"SyncToken": "-1", "rates": {}}
    token = str(int(kept["SyncToken"]) + 1)
    books.rates.put(code, {"SyncToken": token, "at": books.now(), "rates": {**kept["rates"], day: rate}})
    found = exchange_rate(books, code, day)
    assert found is not None
    return found


def build_account(books: Books, given: Record, old: Record | None) -> Record:
    """Name and type; the classification follows. Raises Refused."""
    name = list_name(books, "Account", given, old)
    kind = given.get("AccountType") or (old or {}).get("AccountType")
    if kind is None and given.get("AccountSubType") is None:
        raise missing("AccountType")
    if kind not in _CLASSES:
        raise unsupported(
            f"Property Name:AccountType specified is unsupported or invalid. Supplied value:{kind}", "2180"
        )
    blank = {"Active": True, "SubAccount": False, "CurrentBalance": Decimal(0), "CurrencyRef": currency_ref(books.home)}
    blank |= {"AccountSubType": str(kind).replace(" ", "")}
    return blank | given | {"FullyQualifiedName": name, "AccountType": kind, "Classification": _CLASSES[kind]}


def build_term(books: Books, given: Record, old: Record | None) -> Record:
    """A standard term has DueDays, a date driven one DayOfMonthDue. Raises Refused."""
    list_name(books, "Term", given, old)
    if given.get("DueDays") is None and given.get("DayOfMonthDue") is None:
        raise missing("DueDays")
    days = given.get("DueDays")
    if days is not None and not 0 <= days <= 999:
        raise business("The due days must be from 0 to 999")
    return {"Active": True, "Type": "STANDARD" if days is not None else "DATE_DRIVEN"} | given


def build_currency(books: Books, given: Record, old: Record | None) -> Record:
    """A currency that the company uses. Raises Refused."""
    code = given.get("Code")
    if not code:
        raise missing("Code")
    if not books.company("multicurrency") or len(code) != 3 or not code.isalpha() or not code.isupper():
        raise business(f"The currency {code} cannot be added")
    known = books.equal["CompanyCurrency"]["Code"].first(code.lower())
    if known is not None and (old is None or known["Id"] != old["Id"]):
        raise duplicate_name(known["Id"])
    return {"Active": True, "Name": currency_ref(code)["name"]} | given


def list_name(books: Books, entity: str, given: Record, old: Record | None) -> str:
    """The record's name: there, not too long, without a colon, and not another's. Raises Refused."""
    name: str = given.get("Name") or ""
    if not name.strip():
        raise missing("Name")
    if len(name) > MAX_NAME:
        raise too_long("Name", MAX_NAME, len(name))
    check_characters(name)
    for known in books.equal[entity]["Name"](name.lower()):
        if old is None or known["Id"] != old["Id"]:
            raise duplicate_name(known["Id"])
    return name


def check_characters(name: str) -> None:
    """Raises Refused 2040 for a colon, a tab or a line's end."""
    bad = [character for character in ":\t\n\r" if character in name]
    if bad:
        raise unsupported(f"Invalid or unsupported characters in the name. Supplied value:{name}", "2040")
