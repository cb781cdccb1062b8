"""What a new organisation has: accounts and tax rates of a British company (names and codes as Xero ships them, M)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal

from sandbox.state import Record, State
from sandbox.xero.settings import DEFAULTS

# (code, name, type, class, tax type, takes payments, system account)
_ACCOUNTS = (
    ("090", "Business Bank Account", "BANK", "ASSET", "NONE", False, ""),
    ("091", "Business Savings Account", "BANK", "ASSET", "NONE", False, ""),
    ("200", "Sales", "REVENUE", "REVENUE", "OUTPUT2", False, ""),
    ("201", "Freight Income", "REVENUE", "REVENUE", "OUTPUT2", False, ""),
    ("260", "Other Revenue", "REVENUE", "REVENUE", "OUTPUT2", False, ""),
    ("310", "Cost of Goods Sold", "DIRECTCOSTS", "EXPENSE", "INPUT2", False, ""),
    ("404", "Bank Fees", "OVERHEADS", "EXPENSE", "NONE", False, ""),
    ("429", "General Expenses", "OVERHEADS", "EXPENSE", "INPUT2", False, ""),
    ("498", "Unrealised Currency Gains", "EXPENSE", "EXPENSE", "NONE", False, "UNREALISEDCURRENCYGAIN"),
    ("499", "Realised Currency Gains", "EXPENSE", "EXPENSE", "NONE", False, "REALISEDCURRENCYGAIN"),
    ("610", "Accounts Receivable", "CURRENT", "ASSET", "NONE", False, "DEBTORS"),
    ("630", "Inventory", "INVENTORY", "ASSET", "NONE", False, ""),
    ("800", "Accounts Payable", "CURRLIAB", "LIABILITY", "NONE", False, "CREDITORS"),
    ("820", "VAT", "CURRLIAB", "LIABILITY", "NONE", False, "GST"),
    ("860", "Rounding", "CURRLIAB", "LIABILITY", "NONE", False, "ROUNDING"),
    ("880", "Owner A Drawings", "CURRLIAB", "LIABILITY", "NONE", True, ""),
    ("970", "Owner A Funds Introduced", "EQUITY", "EQUITY", "NONE", True, ""),
)
# (tax type, name, report tax type, rate, for income, for expenses)
_TAX_RATES = (
    ("OUTPUT2", "20% (VAT on Income)", "OUTPUT", "20", True, False),
    ("RROUTPUT", "5% (VAT on Income)", "OUTPUT", "5", True, False),
    ("ZERORATEDOUTPUT", "Zero Rated Income", "ZERORATEDOUTPUT", "0", True, False),
    ("EXEMPTOUTPUT", "Exempt Income", "EXEMPTOUTPUT", "0", True, False),
    ("ECZROUTPUT", "Zero Rated EC Goods Income", "ECOUTPUT", "0", True, False),
    ("INPUT2", "20% (VAT on Expenses)", "INPUT", "20", False, True),
    ("RRINPUT", "5% (VAT on Expenses)", "INPUT", "5", False, True),
    ("ZERORATEDINPUT", "Zero Rated Expenses", "ZERORATEDINPUT", "0", False, True),
    ("NONE", "No VAT", "NONE", "0", True, True),
)


def seed(state: State) -> None:
    """Fills an empty state; settings included."""
    now = datetime.now(UTC).replace(microsecond=0)
    with state.transaction():
        for name, value in DEFAULTS.items():
            state.settings[name] = value
        accounts = state.table("Accounts")
        for row in _ACCOUNTS:
            account = _account(row, now)
            accounts.put(account["AccountID"], account)
        for row_ in _TAX_RATES:
            state.table("TaxRates").put(row_[0], _tax_rate(row_))


def _account(row: tuple[str, str, str, str, str, bool, str], now: datetime) -> Record:
    code, name, type_, class_, tax_type, payments, system = row
    account = {
        "AccountID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"sandbox account {code}")),  # the same after each reset
        "Code": code,
        "Name": name,
        "Status": "ACTIVE",
        "Type": type_,
        "TaxType": tax_type,
        "Class": class_,
        "SystemAccount": system,
        "EnablePaymentsToAccount": payments,
        "ShowInExpenseClaims": False,
        "ReportingCode": "",
        "HasAttachments": False,
        "AddToWatchlist": False,
        "UpdatedDateUTC": now,
    }
    if type_ == "BANK":
        account |= {"BankAccountNumber": "20000000000000", "BankAccountType": "BANK", "CurrencyCode": None}
    return account


def _tax_rate(row: tuple[str, str, str, str, bool, bool]) -> Record:
    tax_type, name, report, rate, income, expenses = row
    return {
        "Name": name,
        "TaxType": tax_type,
        "ReportTaxType": report,
        "CanApplyToAssets": True,
        "CanApplyToEquity": True,
        "CanApplyToExpenses": expenses,
        "CanApplyToLiabilities": True,
        "CanApplyToRevenue": income,
        "DisplayTaxRate": Decimal(rate),
        "EffectiveRate": Decimal(rate),
        "Status": "ACTIVE",
        "TaxComponents": [{"Name": "VAT", "Rate": Decimal(rate), "IsCompound": False, "IsNonRecoverable": False}],
    }
