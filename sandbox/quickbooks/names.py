"""Customers and items: names, uniqueness, currency, what an item of inventory needs."""

from __future__ import annotations

from decimal import Decimal

from sandbox.quickbooks.books import Books, currency_ref, ref_of, reference
from sandbox.quickbooks.errors import bad_number, business, duplicate_name, missing, too_long
from sandbox.quickbooks.reference import check_characters, list_name
from sandbox.quickbooks.wire import MOST_PLACES, ZERO, places
from sandbox.state import Record

LENGTHS = {
    "DisplayName": 500, "GivenName": 100, "MiddleName": 100, "FamilyName": 100, "CompanyName": 100, "Title": 16,
    "Suffix": 16, "PrintOnCheckName": 110, "Notes": 2000, "ResaleNum": 16, "AcctNum": 100,
}  # fmt: skip
ITEM_TYPES = ("Inventory", "NonInventory", "Service", "Category")
_NAME_PARTS = ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix")
_GONE = " (deleted)"
# What a client may send and we do not take.
CUSTOMER_READ_ONLY = ("Balance", "BalanceWithJobs", "FullyQualifiedName", "Level", "Job", "IsProject", "OverDueBalance")
ITEM_READ_ONLY = ("FullyQualifiedName", "Level", "AvgCost", "QtyOnPurchaseOrder", "QtyOnSalesOrder")


def build_customer(books: Books, given: Record, old: Record | None) -> Record:
    """The customer with what follows from its fields. Raises Refused."""
    given = {key: value for key, value in given.items() if key not in CUSTOMER_READ_ONLY}
    for field, most in LENGTHS.items():
        if len(given.get(field) or "") > most:
            raise too_long(field, most, len(given[field]))
    email = (given.get("PrimaryEmailAddr") or {}).get("Address") or ""
    if len(email) > 100:
        raise too_long("PrimaryEmailAddr.Address", 100, len(email))
    if email and ("@" not in email or " " in email):
        raise business(f"Email address is not valid: {email}")
    name = given.get("DisplayName") or " ".join(given[part] for part in _NAME_PARTS if given.get(part))
    if not name.strip():
        raise missing("DisplayName")
    check_characters(name)
    active = given.get("Active", True)
    name = name if active == (old or {}).get("Active", True) else _standing_name(books, name, active)
    known = books.equal["Customer"]["DisplayName"].first(name.lower())
    if known is not None and (old is None or known["Id"] != old["Id"]):
        raise duplicate_name(known["Id"])
    parent = books.referred("Customer", given, "ParentRef")
    if parent is not None and old is not None and parent["Id"] == old["Id"]:
        raise business("A customer cannot be its own parent")
    blank: Record = {"Taxable": True, "BillWithParent": False, "PrintOnCheckName": name}
    blank |= {"PreferredDeliveryMethod": "None", "Active": True}
    return blank | given | {
        "DisplayName": name,
        "FullyQualifiedName": f"{parent['FullyQualifiedName']}:{name}" if parent else name,
        "Job": parent is not None,
        "Level": Decimal((parent or {}).get("Level", -1) + 1),
        "CurrencyRef": _currency(books, given, old),
        "Balance": old["Balance"] if old else ZERO,
        "BalanceWithJobs": old["Balance"] if old else ZERO,
    }  # fmt: skip


def _standing_name(books: Books, name: str, active: bool) -> str:
    """An inactive customer gives its name free; a customer that comes back gets it again."""
    if active:
        return name.rpartition(_GONE)[0] or name
    base = name.removesuffix(_GONE) + _GONE
    found, count = base, 1
    while books.equal["Customer"]["DisplayName"].first(found.lower()) is not None:
        count += 1
        found = f"{base[:-1]} {count})"
    return found


def _currency(books: Books, given: Record, old: Record | None) -> Record:
    code = ref_of(given, "CurrencyRef") or (ref_of(old, "CurrencyRef") if old else None) or books.home
    if old is not None and code != ref_of(old, "CurrencyRef"):
        raise business("The currency of a customer cannot be changed")
    if code not in books.currencies() or (code != books.home and not books.company("multicurrency")):
        raise business(f"The currency {code} is not enabled for the company")
    return currency_ref(code)


def move_balance(books: Books, customer_id: str, change: Decimal) -> None:
    """A document's effect on what the customer owes; neither SyncToken nor time of change move (assumed)."""
    if change:
        customer = books.table("Customer")[customer_id]
        balance = customer["Balance"] + change
        books.table("Customer").put(customer_id, customer | {"Balance": balance, "BalanceWithJobs": balance})


def build_item(books: Books, given: Record, old: Record | None) -> Record:
    """The item with what follows from its fields. Raises Refused."""
    given = {key: value for key, value in given.items() if key not in ITEM_READ_ONLY}
    kind = given.get("Type") or (old or {}).get("Type") or "Service"
    if kind not in ITEM_TYPES:
        raise business(f"Item type {kind} is not supported in this sandbox")
    name = list_name(books, "Item", given, old)
    for field, most in (("Sku", 100), ("Description", 4000), ("PurchaseDesc", 1000)):
        if len(given.get(field) or "") > most:
            raise too_long(field, most, len(given[field]))
    for field in ("UnitPrice", "PurchaseCost", "QtyOnHand"):
        value = given.get(field)
        if value is not None and places(value) > MOST_PLACES:
            raise bad_number(field, value)
    parent = books.referred("Item", given, "ParentRef")
    shown: Record = {"Active": True, "Taxable": books.is_us, "UnitPrice": Decimal(0), "PurchaseCost": Decimal(0)}
    shown |= given | {"Type": kind, "SubItem": parent is not None}
    shown["FullyQualifiedName"] = f"{parent['FullyQualifiedName']}:{name}" if parent else name
    if kind != "Category":
        if "IncomeAccountRef" not in given:
            raise missing("IncomeAccountRef")
        for field in ("IncomeAccountRef", "ExpenseAccountRef", "AssetAccountRef"):
            account = books.referred("Account", given, field)
            if account is not None:
                shown[field] = reference(account)
    return _inventory(shown, old) if kind == "Inventory" else shown | {"TrackQtyOnHand": False}


def _inventory(shown: Record, old: Record | None) -> Record:
    for field in ("AssetAccountRef", "ExpenseAccountRef", "InvStartDate"):
        if not shown.get(field):
            raise missing(field)
    if old is not None and old["Type"] == "Inventory":
        # The quantity moves with documents; Intuit takes an adjustment for everything else.
        return shown | {"TrackQtyOnHand": True, "QtyOnHand": old["QtyOnHand"], "InvStartDate": old["InvStartDate"]}
    if shown.get("QtyOnHand") is None:
        raise missing("QtyOnHand")
    return shown | {"TrackQtyOnHand": True}


def customer_of(books: Books, given: Record) -> Record:
    """The customer of a document: there, and active. Raises Refused."""
    customer = books.referred("Customer", given, "CustomerRef")
    if customer is None:
        raise missing("CustomerRef")
    return customer
