"""The endpoints of what documents refer to: organisation, accounts, items, tax rates, currencies."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sandbox.state import Record
from sandbox.xero.books import Books
from sandbox.xero.call import Call, Listing, list_records, write_batch
from sandbox.xero.errors import NotFound, Refused
from sandbox.xero.query import plain_fields
from sandbox.xero.wire import new_id, read_guid, read_number

ITEM_LENGTHS = {"Code": 30, "Name": 50, "Description": 4000, "PurchaseDescription": 4000}
MAX_ACCOUNT_CODE = 10  # characters
_HUNDRED = Decimal(100)
_CLASSES = {
    "BANK": "ASSET",
    "CURRENT": "ASSET",
    "FIXED": "ASSET",
    "INVENTORY": "ASSET",
    "NONCURRENT": "ASSET",
    "PREPAYMENT": "ASSET",
    "EQUITY": "EQUITY",
    "CURRLIAB": "LIABILITY",
    "LIABILITY": "LIABILITY",
    "TERMLIAB": "LIABILITY",
    "REVENUE": "REVENUE",
    "SALES": "REVENUE",
    "OTHERINCOME": "REVENUE",
}
_CREATED = datetime(2020, 1, 1, tzinfo=UTC)

_ACCOUNT_FIELDS = plain_fields(
    AccountID="guid",
    Code="text",
    Name="text",
    Type="text",
    Class="text",
    Status="text",
    TaxType="text",
    SystemAccount="text",
    EnablePaymentsToAccount="bool",
    UpdatedDateUTC="date",
)
_ITEM_FIELDS = plain_fields(
    ItemID="guid",
    Code="text",
    Name="text",
    Description="text",
    IsSold="bool",
    IsPurchased="bool",
    UpdatedDateUTC="date",
)
_TAX_FIELDS = plain_fields(Name="text", TaxType="text", Status="text", EffectiveRate="number", DisplayTaxRate="number")


def organisation(call: Call) -> dict[str, Any]:
    """GET /Organisation."""
    get = call.books.setting
    shown: dict[str, Any] = {
        "OrganisationID": get("tenant_id"),
        "Name": get("organisation_name"),
        "LegalName": get("organisation_name"),
        "PaysTax": True,
        "Version": "UK" if get("country_code") == "GB" else "GLOBAL",
        "OrganisationType": "COMPANY",
        "OrganisationEntityType": "COMPANY",
        "BaseCurrency": get("base_currency"),
        "CountryCode": get("country_code"),
        "IsDemoCompany": False,
        "OrganisationStatus": "ACTIVE",
        "FinancialYearEndDay": 31,
        "FinancialYearEndMonth": 3,
        "SalesTaxBasis": "ACCRUALS",
        "SalesTaxPeriod": "QUARTERLY",
        "DefaultSalesTax": "Tax Exclusive",
        "DefaultPurchasesTax": "Tax Exclusive",
        "CreatedDateUTC": _CREATED,
        "Timezone": get("timezone"),
        "ShortCode": "!sand1",
        "Edition": "BUSINESS",
        "Class": "PREMIUM",
        "Addresses": [],
        "Phones": [],
        "ExternalLinks": [],
        "PaymentTerms": {},
    }
    for name, field in (("period_lock_date", "PeriodLockDate"), ("end_of_year_lock_date", "EndOfYearLockDate")):
        if get(name):
            shown[field] = date.fromisoformat(get(name))
    return {"Organisations": [shown]}


def currencies(call: Call) -> dict[str, Any]:
    """GET /Currencies."""
    return {"Currencies": [{"Code": code, "Description": code} for code in call.books.setting("currencies")]}


def add_currency(call: Call) -> tuple[int, dict[str, Any]]:
    """PUT /Currencies."""

    def write(element: Record) -> Record:
        code = element.get("Code")
        if not isinstance(code, str) or len(code) != 3 or not code.isupper():
            raise Refused("The currency code is not valid.")
        enabled = call.books.setting("currencies")
        if code not in enabled:
            call.books.state.settings["currencies"] = [*enabled, code]
        return {"Code": code, "Description": code}

    return write_batch(call, "Currencies", "Code", write)


def list_accounts(call: Call) -> dict[str, Any]:
    """GET /Accounts."""

    def view(record: Record) -> Record:
        return _account_view(call.books, record)

    spec = Listing("Accounts", "Account", "AccountID", _ACCOUNT_FIELDS, view, view)
    return list_records(call, spec, call.books.accounts.values())


def one_account(call: Call) -> dict[str, Any]:
    """GET /Accounts/{AccountID}."""
    record = call.books.accounts.get(read_guid(call.path[1]) or "")
    if record is None:
        raise NotFound
    return {"Accounts": [_account_view(call.books, record)]}


def save_account(call: Call) -> tuple[int, dict[str, Any]]:
    """PUT /Accounts (new), POST /Accounts/{AccountID} (change)."""
    books = call.books
    existing = books.accounts.get(read_guid(call.path[1]) or "") if len(call.path) > 1 else None
    if len(call.path) > 1 and existing is None:
        raise NotFound

    def write(element: Record) -> Record:
        record = _account(books, existing, element) | {"UpdatedDateUTC": call.now}
        books.accounts.put(record["AccountID"], record)
        return _account_view(books, record)

    return write_batch(call, "Accounts", "AccountID", write)


def _account(books: Books, existing: Record | None, element: Record) -> Record:
    blank = {"AccountID": new_id(), "Status": "ACTIVE", "SystemAccount": "", "EnablePaymentsToAccount": False}
    blank |= {"HasAttachments": False, "ReportingCode": "", "ShowInExpenseClaims": False, "AddToWatchlist": False}
    record = dict(existing or blank)
    for field in ("Code", "Name", "Type", "TaxType", "Description", "Status", "BankAccountNumber", "CurrencyCode"):
        if element.get(field) is not None:
            record[field] = str(element[field])
    if element.get("EnablePaymentsToAccount") is not None:
        record["EnablePaymentsToAccount"] = element["EnablePaymentsToAccount"] is True
    code = record.get("Code") or ""
    if not code or len(code) > MAX_ACCOUNT_CODE:
        raise Refused(f"Account Code must have 1 to {MAX_ACCOUNT_CODE} characters.")
    other = books.account_codes.first(code)
    if other is not None and other["AccountID"] != record["AccountID"]:
        raise Refused("Please enter a unique Code.")
    if not record.get("Name") or not record.get("Type"):
        raise Refused("Name and Type of an account must be specified.")
    record["Class"] = _CLASSES.get(record["Type"], "EXPENSE")
    record.setdefault("TaxType", "NONE")
    if record["TaxType"] not in books.tax_rates:
        raise Refused(f"TaxType code '{record['TaxType']}' does not exist.")
    return record


def _account_view(books: Books, record: Record) -> Record:
    shown = dict(record)
    if record["Type"] == "BANK":
        shown["CurrencyCode"] = record.get("CurrencyCode") or books.setting("base_currency")
    else:
        shown.pop("CurrencyCode", None)
    return shown


def list_tax_rates(call: Call) -> dict[str, Any]:
    """GET /TaxRates."""
    spec = Listing("TaxRates", "TaxRate", "TaxType", _TAX_FIELDS, dict, dict)
    return list_records(call, spec, call.books.tax_rates.values())


def save_tax_rate(call: Call) -> tuple[int, dict[str, Any]]:
    """PUT and POST /TaxRates: the effective rate is what the components come to."""
    books = call.books

    def write(element: Record) -> Record:
        name, components = element.get("Name"), element.get("TaxComponents")
        if not isinstance(name, str) or not name or not isinstance(components, list) or not components:
            raise Refused("Name and TaxComponents of a tax rate must be specified.")
        tax_type = element.get("TaxType") or f"TAX{len(books.tax_rates):03d}"
        parts = [_component(part) for part in components]
        rate = sum((part["Rate"] for part in parts if not part["IsCompound"]), Decimal(0))
        effective = rate
        for part in parts:
            if part["IsCompound"]:
                effective += (_HUNDRED + rate) * part["Rate"] / _HUNDRED
        applies: Record = {
            f"CanApplyTo{word}": True for word in ("Assets", "Equity", "Expenses", "Liabilities", "Revenue")
        }
        record: Record = applies | {"Name": name, "TaxType": str(tax_type), "Status": element.get("Status") or "ACTIVE"}
        record |= {"ReportTaxType": element.get("ReportTaxType") or "OUTPUT", "TaxComponents": parts}
        record |= {"EffectiveRate": effective, "DisplayTaxRate": effective}
        books.tax_rates.put(record["TaxType"], record)
        return record

    return write_batch(call, "TaxRates", "TaxType", write)


def _component(part: Any) -> Record:
    if not isinstance(part, dict):
        raise Refused("A TaxComponent must have Name and Rate.")
    flags = {field: part.get(field) is True for field in ("IsCompound", "IsNonRecoverable")}
    return {"Name": str(part.get("Name") or ""), "Rate": read_number(part.get("Rate"), "Rate"), **flags}


def list_items(call: Call) -> dict[str, Any]:
    """GET /Items."""
    spec = Listing("Items", "Item", "ItemID", _ITEM_FIELDS, _item_view, _item_view)
    return list_records(call, spec, call.books.items.values())


def one_item(call: Call) -> dict[str, Any]:
    """GET /Items/{ItemID or Code}."""
    return {"Items": [_item_view(_find_item(call.books, call.path[1]))]}


def save_items(call: Call) -> tuple[int, dict[str, Any]]:
    """PUT /Items (new), POST /Items and /Items/{ItemID} (new or change)."""
    books = call.books
    named = _find_item(books, call.path[1]) if len(call.path) > 1 else None

    def write(element: Record) -> Record:
        existing = named
        if call.method == "POST" and existing is None:
            existing = books.items.get(read_guid(element.get("ItemID")) or "")
            existing = existing or books.item_codes.first(str(element.get("Code")))
        record = _item(books, existing, element) | {"UpdatedDateUTC": call.now}
        books.items.put(record["ItemID"], record)
        return _item_view(record)

    return write_batch(call, "Items", "ItemID", write)


def delete_item(call: Call) -> None:
    """DELETE /Items/{ItemID}."""
    call.books.items.delete(_find_item(call.books, call.path[1])["ItemID"])


def _item_view(record: Record) -> Record:
    return {key: value for key, value in record.items() if key[0] != "_"}


def _find_item(books: Books, key: str) -> Record:
    found = books.items.get(read_guid(key) or "") or books.item_codes.first(key)
    if found is None:
        raise NotFound
    return found


def _item(books: Books, existing: Record | None, element: Record) -> Record:
    record = dict(existing or {"ItemID": new_id(), "IsTrackedAsInventory": False, "IsSold": True, "IsPurchased": True})
    for field, length in ITEM_LENGTHS.items():
        if element.get(field) is not None:
            if not isinstance(element[field], str) or len(element[field]) > length:
                raise Refused(f"The length of the {field} field must not exceed {length} characters.")
            record[field] = element[field]
    for field in ("IsSold", "IsPurchased"):
        if element.get(field) is not None:
            record[field] = element[field] is True
    if not record.get("Code"):
        raise Refused("Item Code must be specified.")
    other = books.item_codes.first(record["Code"])
    if other is not None and other["ItemID"] != record["ItemID"]:
        raise Refused(f"Price List Item with Code '{record['Code']}' already exists")
    for field in ("SalesDetails", "PurchaseDetails"):
        details = element.get(field)
        if isinstance(details, dict):
            record[field] = {key: value for key, value in details.items() if value is not None}
            if details.get("UnitPrice") is not None:
                record[field]["UnitPrice"] = read_number(details["UnitPrice"], "UnitPrice")
        record.setdefault(field, {})
    _track(books, record, element)
    if not record["IsSold"]:
        record |= {"SalesDetails": {}, "Description": ""}
    if not record["IsPurchased"]:
        record |= {"PurchaseDetails": {}, "PurchaseDescription": ""}
    return record


def _track(books: Books, record: Record, element: Record) -> None:
    """An item with an inventory account and a cost-of-goods account is counted from then on. Raises Refused."""
    asset = element.get("InventoryAssetAccountCode") or record.get("InventoryAssetAccountCode")
    costs = record["PurchaseDetails"].get("COGSAccountCode")
    if not asset and not costs:
        return
    account = books.account_codes.first(asset) if asset else None
    if account is None or account["Type"] != "INVENTORY":
        raise Refused("InventoryAssetAccountCode must be the code of an account of type INVENTORY.")
    if not costs or books.account_codes.first(costs) is None:
        raise Refused("COGSAccountCode must be given to track an item as inventory.")
    record["InventoryAssetAccountCode"] = asset
    if not record["IsTrackedAsInventory"]:
        record |= {"IsTrackedAsInventory": True, "QuantityOnHand": Decimal("0.0000"), "TotalCostPool": Decimal("0.00")}
