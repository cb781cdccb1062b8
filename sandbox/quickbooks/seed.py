"""What the two new companies have: accounts, tax codes and rates, terms, currencies, an item."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from sandbox.quickbooks import auth, reference
from sandbox.quickbooks.books import Books, currency_ref
from sandbox.quickbooks.settings import DEFAULTS, FIRST_REFRESH_TOKEN
from sandbox.state import Record, State

# (name, type, sub type)
_ACCOUNTS = (
    ("Services", "Income", "SalesOfProductIncome"),
    ("Sales", "Income", "SalesOfProductIncome"),
    ("Discounts given", "Income", "DiscountsRefundsGiven"),
    ("Accounts Receivable (A/R)", "Accounts Receivable", "AccountsReceivable"),
    ("Undeposited Funds", "Other Current Asset", "UndepositedFunds"),
    ("Inventory Asset", "Other Current Asset", "Inventory"),
    ("Cost of Goods Sold", "Cost of Goods Sold", "SuppliesMaterialsCogs"),
    ("Sales Tax Payable", "Other Current Liability", "GlobalTaxPayable"),
    ("Exchange Gain or Loss", "Other Expense", "ExchangeGainOrLoss"),
    ("Opening Balance Equity", "Equity", "OpeningBalanceEquity"),
    ("Retained Earnings", "Equity", "RetainedEarnings"),
    ("Checking", "Bank", "Checking"),
    ("Savings", "Bank", "Savings"),
)
_TERMS = (("Due on receipt", 0), ("Net 15", 15), ("Net 30", 30), ("Net 60", 60))
# (id of code, name, id of rate, percent)
_GB_CODES = (
    ("2", "20.0% S", "2", "20"),
    ("3", "5.0% R", "3", "5"),
    ("4", "0.0% Z", "4", "0"),
    ("5", "Exempt", "5", "0"),
    ("6", "No VAT", "6", "0"),
)


def seed(state: State) -> None:
    """Fills an empty state; settings included."""
    now = datetime.now(UTC).replace(microsecond=0)
    with state.transaction():
        for name, value in DEFAULTS.items():
            state.settings[name] = value
        for client in DEFAULTS["clients"]:
            auth.new_refresh_token(state, client, now, FIRST_REFRESH_TOKEN)
        for realm in DEFAULTS["companies"]:
            _company(Books(state, realm))


def _company(books: Books) -> None:
    def put(entity: str, record: Record) -> None:
        books.put(entity, record | {"Id": books.next_id(entity)}, "Create")

    for name, kind, sub in _ACCOUNTS:
        given = {"Name": name, "AccountType": kind, "AccountSubType": sub}
        put("Account", reference.build_account(books, given, None))
    for name, days in _TERMS:
        put("Term", reference.build_term(books, {"Name": name, "DueDays": Decimal(days)}, None))
    for code in ("USD", "GBP", "EUR", "CAD", "JPY"):
        if code != books.home:
            put("CompanyCurrency", {"Code": code, "Name": currency_ref(code)["name"], "Active": True})
    income = {"value": "1", "name": "Services"}
    item: Record = {"Name": "Services", "FullyQualifiedName": "Services", "Type": "Service", "Active": True}
    item |= {"Taxable": False, "UnitPrice": Decimal(0), "IncomeAccountRef": income, "TrackQtyOnHand": False}
    put("Item", item)
    if books.is_us:
        reference.refresh(books, "TaxRate")
        rates = list(reference.us_rates(books))
        for id_, name, of in (("TAX", "TAX", rates), ("NON", "NON", []), ("2", "Automated Sales Tax", rates)):
            _tax_code(books, id_, name, of)
    else:
        for id_, name, rate_id, percent in _GB_CODES:
            books.table("TaxRate").put(rate_id, reference.tax_rate(rate_id, name, Decimal(percent)))
            _tax_code(books, id_, name, [rate_id])


def _tax_code(books: Books, id_: str, name: str, rates: list[str]) -> None:
    details = [
        {"TaxRateRef": {"value": rate}, "TaxTypeApplicable": "TaxOnAmount", "TaxOrder": Decimal(0)} for rate in rates
    ]
    record: Record = {"Id": id_, "Name": name, "Description": name, "Active": True, "Taxable": bool(rates)}
    record |= {"TaxGroup": len(rates) > 0, "SalesTaxRateList": {"TaxRateDetail": details}}
    books.put("TaxCode", record | {"PurchaseTaxRateList": {"TaxRateDetail": []}}, "Create")
