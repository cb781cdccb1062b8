"""Purchases: money out of a bank account, on accounts.

On accounts receivable it is owed by its customer until a payment names it: so a credit memo is paid back.

Suppliers, employees, items, credit cards and purchase tax are not modelled.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.quickbooks import money, postings, tax
from sandbox.quickbooks.books import Books, ref_of, reference
from sandbox.quickbooks.errors import (
    bad_number,
    bad_reference,
    business,
    duplicate_number,
    missing,
    too_long,
    unsupported,
)
from sandbox.quickbooks.names import move_balance
from sandbox.quickbooks.wire import ZERO, cents
from sandbox.state import Record

RECEIVABLE = "Accounts Receivable"
#: PaymentType -> types of account that it may come from.
_FROM = {"Cash": ("Bank", "Other Current Asset"), "Check": ("Bank",)}
_READ_ONLY = ("TotalAmt", "LinkedTxn", "PurchaseEx", "TxnId", "TxnNum")
MAX_NUMBER = 21
MAX_NOTE = 4000


def save(books: Books, given: Record, old: Record | None, allow_duplicate: bool) -> Record:
    """Puts the purchase. Raises Refused."""
    given = {key: value for key, value in given.items() if key not in _READ_ONLY}
    day = given.get("TxnDate") or books.today()
    books.check_open(day, old["TxnDate"] if old else None)
    account, customer = _account(books, given), _customer(books, given)
    currency = money.currency_of(books, given, customer or {}, day)
    code = currency["CurrencyRef"]["value"]
    if (ref_of(account, "CurrencyRef") or books.home) not in (books.home, code):
        raise business(f"Account {account['Name']} is in another currency than the transaction, {code}")
    lines = _lines(books, given, customer, code)
    owed = sum((line["Amount"] for line, kept in lines if kept["AccountType"] == RECEIVABLE), ZERO)
    applied = old["_owed"] - old["_open"] if old else ZERO
    if applied > owed:
        raise business(f"What is on accounts receivable, {owed}, is less than what is applied already, {applied}")
    record = given | currency | _number(books, given, old, allow_duplicate) | {
        "Id": old["Id"] if old else books.next_id("Purchase"), "TxnDate": day, "AccountRef": reference(account),
        "Line": [line for line, _ in lines], "TotalAmt": sum((line["Amount"] for line, _ in lines), ZERO),
        "LinkedTxn": old["LinkedTxn"] if old else [], "_owed": owed, "_open": owed - applied,
    }  # fmt: skip
    if customer is not None:
        record["EntityRef"] = reference(customer) | {"type": "Customer"}
    if old is not None:
        _take_back(books, old)
        record |= {"SyncToken": old["SyncToken"], "MetaData": old["MetaData"]}
    rate = record["ExchangeRate"]
    posted = [(account["Id"], -cents(record["TotalAmt"] * rate))]
    posted += [(kept["Id"], cents(line["Amount"] * rate)) for line, kept in lines]
    postings.keep(books, record["Id"], day, posted, lines[-1][1]["Id"])
    if customer is not None:
        move_balance(books, customer["Id"], owed)
    return books.put("Purchase", record, "Update" if old else "Create")


def _account(books: Books, given: Record) -> Record:
    kind = given.get("PaymentType")
    if not kind:
        raise missing("PaymentType")
    if kind not in _FROM or given.get("Credit"):
        raise unsupported(
            f"Property Name:PaymentType specified is unsupported or invalid. Supplied value:{kind}", "2180"
        )
    account = books.referred("Account", given, "AccountRef")
    if account is None:
        raise missing("AccountRef")
    if account["AccountType"] not in _FROM[kind]:
        raise bad_reference("AccountRef", account["Id"])
    return account


def _customer(books: Books, given: Record) -> Record | None:
    entity = given.get("EntityRef") or {}
    if entity.get("value") and entity.get("type") not in (None, "", "Customer"):
        raise bad_reference("EntityRef", entity["value"])
    return books.referred("Customer", given, "EntityRef")


def _lines(books: Books, given: Record, customer: Record | None, code: str) -> list[tuple[Record, Record]]:
    """Each line with its account."""
    found = []
    for place, line in enumerate(given.get("Line") or (), start=1):
        kind, amount = line.get("DetailType"), line.get("Amount")
        if kind != "AccountBasedExpenseLineDetail":
            raise unsupported(
                f"Property Name:DetailType specified is unsupported or invalid. Supplied value:{kind}", "2180"
            )
        if amount is None:
            raise missing("Line.Amount")
        if amount <= 0 or amount != cents(amount):
            raise bad_number("Line.Amount", amount)
        detail = dict(line.get(kind) or {})
        account = books.referred("Account", detail, "AccountRef")
        if account is None:
            raise missing("Line.AccountBasedExpenseLineDetail.AccountRef")
        if account["AccountType"] == RECEIVABLE:
            if customer is None:
                raise business("When you use Accounts Receivable, you must choose a customer in the Name field.")
            if (ref_of(account, "CurrencyRef") or books.home) != code:
                raise business(f"Account {account['Name']} is in another currency than the customer, {code}")
        _check_tax(books, given, detail)
        detail |= {"AccountRef": reference(account), "BillableStatus": "NotBillable"}
        kept = {"Id": line.get("Id") or str(place)} | line | {"Amount": cents(amount), kind: detail}
        found.append((kept, account))
    if not found:
        raise missing("Line")
    return found


def _check_tax(books: Books, given: Record, detail: Record) -> None:
    """Only what bears no tax is modelled."""
    code = ref_of(detail, "TaxCodeRef")
    if books.is_us or given.get("GlobalTaxCalculation") == "NotApplicable":
        return
    if code is None:
        raise business(tax.NO_CODE)
    if any(books.table("TaxRate")[id_]["RateValue"] for id_ in tax.rates_of(books, code)):
        raise business(f"A purchase with tax, as by code {code}, is not modelled in this sandbox")


def _number(books: Books, given: Record, old: Record | None, allow_duplicate: bool) -> Record:
    number = given.get("DocNumber") or (old or {}).get("DocNumber")
    if len(given.get("PrivateNote") or "") > MAX_NOTE:
        raise too_long("PrivateNote", MAX_NOTE, len(given["PrivateNote"]))
    if not number:
        return {} if books.company("custom_txn_numbers") else {"DocNumber": books.next_number("Purchase")}
    if len(number) > MAX_NUMBER:
        raise too_long("DocNumber", MAX_NUMBER, len(number))
    known = books.equal["Purchase"]["DocNumber"].first(number.lower())
    if known is None or (old is not None and known["Id"] == old["Id"]):
        return {"DocNumber": number}
    if books.company("warn_duplicate_numbers") and not allow_duplicate:
        raise duplicate_number(number, "Purchase", known["Id"])
    return {"DocNumber": number}


def _take_back(books: Books, old: Record) -> None:
    if (customer := ref_of(old, "EntityRef")) is not None:
        move_balance(books, customer, -Decimal(old["_owed"]))
    books.postings.delete(old["Id"])


def delete(books: Books, old: Record) -> None:
    """It is gone; what paid it is free again. Raises Refused."""
    books.check_open(old["TxnDate"])
    money.free(books, old)
    _take_back(books, books.table("Purchase")[old["Id"]])
    books.remove("Purchase", old["Id"])
