"""Invoices, credit memos and refund receipts: made, changed, voided, deleted; balances and stock follow."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from sandbox.quickbooks import lines as document_lines
from sandbox.quickbooks import money, postings, tax
from sandbox.quickbooks.books import Books, ref_of, reference
from sandbox.quickbooks.errors import business, duplicate_number, too_long
from sandbox.quickbooks.names import customer_of, move_balance
from sandbox.quickbooks.wire import ZERO, cents
from sandbox.state import Record

MAX_NUMBER = 21
MAX_NOTE = 4000
READ_ONLY = ("Balance", "HomeBalance", "HomeTotalAmt", "TotalAmt", "RemainingCredit", "LinkedTxn", "InvoiceLink")
# A sparse update that holds one of these reckons the amounts anew.
_RECKONED = {"Line", "TxnTaxDetail", "GlobalTaxCalculation", "CustomerRef", "ApplyTaxAfterDiscount", "ExchangeRate"}
_LEFT = {"Invoice": "Balance", "CreditMemo": "RemainingCredit"}
_SIGN = {"Invoice": 1, "CreditMemo": -1, "RefundReceipt": 0}  # on what the customer owes


def save(books: Books, entity: str, given: Record, old: Record | None, sent: set[str], allow_duplicate: bool) -> Record:
    """Puts the document. Raises Refused."""
    given = {key: value for key, value in given.items() if key not in READ_ONLY}
    customer = customer_of(books, given)
    day = given.get("TxnDate") or books.today()
    books.check_open(day, old["TxnDate"] if old else None)
    if old is not None and old.get("_voided"):
        raise business("A voided transaction cannot be changed")
    if old is not None and customer["Id"] != ref_of(old, "CustomerRef") and old.get("LinkedTxn"):
        raise business("The customer of a transaction with linked transactions cannot be changed")
    id_ = old["Id"] if old else books.next_id(entity)
    head = _head(books, entity, given, old, day, customer, allow_duplicate)
    if old is not None and not sent & _RECKONED:
        head |= {field: old[field] for field in ("Line", "TxnTaxDetail", "ExchangeRate")}
    head |= money.currency_of(books, given, customer, day)
    kept_lines = document_lines.build(books, head, day)
    if old is not None and not sent & _RECKONED:
        detail, total_tax, calculation = (
            old["TxnTaxDetail"],
            old["TxnTaxDetail"]["TotalTax"],
            old.get("GlobalTaxCalculation"),
        )
    else:
        detail, total_tax, calculation = tax.build(books, given, kept_lines, customer)
    total = kept_lines.subtotal - kept_lines.discount + total_tax
    if total < 0:
        raise business("Transaction amount must be 0 or greater.")
    record = head | {"Id": id_, "Line": kept_lines.shown, "TxnTaxDetail": detail, "TotalAmt": total}
    record |= {"HomeTotalAmt": cents(total * head["ExchangeRate"]), "LinkedTxn": old["LinkedTxn"] if old else []}
    if calculation:
        record["GlobalTaxCalculation"] = calculation
    applied = old["TotalAmt"] - old[_LEFT[entity]] if old and entity in _LEFT else ZERO
    if applied > total:
        raise business(f"The total {total} is less than what is applied already, {applied}")
    if old is not None:
        _take_back(books, entity, old)
    return _put(books, entity, record | _left(entity, total - applied, head["ExchangeRate"]), old, kept_lines)


def _head(
    books: Books, entity: str, given: Record, old: Record | None, day: str, customer: Record, allow_duplicate: bool
) -> Record:
    head = given | {"TxnDate": day, "CustomerRef": reference(customer)}
    number = given.get("DocNumber") or (old or {}).get("DocNumber")
    if number is None and not books.company("custom_txn_numbers"):
        number = books.next_number(entity)
    if number is not None:
        if len(number) > MAX_NUMBER:
            raise too_long("DocNumber", MAX_NUMBER, len(number))
        known = books.equal[entity]["DocNumber"].first(number.lower())
        same = old is not None and old.get("DocNumber") == number
        if known is not None and not same and books.company("warn_duplicate_numbers") and not allow_duplicate:
            raise duplicate_number(number, entity, known["Id"])
        head["DocNumber"] = number
    if len(given.get("PrivateNote") or "") > MAX_NOTE:
        raise too_long("PrivateNote", MAX_NOTE, len(given["PrivateNote"]))
    if entity == "Invoice":
        term = books.referred("Term", given, "SalesTermRef")
        days = int(term["DueDays"]) if term and term.get("DueDays") is not None else 0
        head["DueDate"] = given.get("DueDate") or (date.fromisoformat(day) + timedelta(days=days)).isoformat()
    if entity == "RefundReceipt":
        head["DepositToAccountRef"] = reference(money.deposit_account(books, given, required=True))
    blank = {"PrintStatus": "NotSet", "EmailStatus": "NotSet", "ApplyTaxAfterDiscount": False}
    return blank | head


def _left(entity: str, left: Decimal, rate: Decimal) -> Record:
    """What is open of an invoice or a credit memo."""
    if entity not in _LEFT:
        return {"Balance": ZERO}
    both = {"Balance": left, "HomeBalance": cents(left * rate)}
    return both | {"RemainingCredit": left} if entity == "CreditMemo" else both


def _put(books: Books, entity: str, record: Record, old: Record | None, kept_lines: document_lines.Lines) -> Record:
    sign = -1 if entity != "Invoice" else 1
    moves: dict[str, Decimal] = {}
    for part in kept_lines.parts:
        if part.item["Type"] == "Inventory":
            moves[part.item["Id"]] = moves.get(part.item["Id"], Decimal(0)) - sign * part.quantity
    _move_stock(books, moves)
    record["_stock"] = moves
    account = record.get("DepositToAccountRef") if entity == "RefundReceipt" else None
    balance_account = account or reference(books.receivables(ref_of(record, "CurrencyRef") or books.home))
    postings.sale(books, record, kept_lines, sign, balance_account["value"])
    move_balance(books, record["CustomerRef"]["value"], _SIGN[entity] * record["TotalAmt"])
    if old is not None:
        record |= {"SyncToken": old["SyncToken"], "MetaData": old["MetaData"]}
    return books.put(entity, record, "Update" if old else "Create")


def _take_back(books: Books, entity: str, old: Record) -> None:
    """The old document's effects on stock, customer and ledger."""
    _move_stock(books, {item: -quantity for item, quantity in old.get("_stock", {}).items()})
    move_balance(books, old["CustomerRef"]["value"], -_SIGN[entity] * old["TotalAmt"])
    books.postings.delete(old["Id"])


def _move_stock(books: Books, moves: dict[str, Decimal]) -> None:
    for id_, quantity in moves.items():
        item = books.table("Item")[id_]
        left = item["QtyOnHand"] + quantity
        if left < 0 and quantity < 0 and not books.company("negative_inventory"):
            raise business(f"There are not enough of {item['Name']} on hand")
        if quantity:
            books.put("Item", item | {"QtyOnHand": left}, "Link")


def void(books: Books, entity: str, old: Record) -> Record:
    """All amounts become nought, the note begins with Voided; what was applied to it is free again. Raises Refused."""
    books.check_open(old["TxnDate"])
    if old.get("_voided"):
        return old
    money.free(books, old)
    old = books.table(entity)[old["Id"]]
    _take_back(books, entity, old)
    lines = []
    for line in old["Line"]:
        kept = line | {"Amount": ZERO}
        if line["DetailType"] == "SalesItemLineDetail":
            kept["SalesItemLineDetail"] = line["SalesItemLineDetail"] | {"Qty": Decimal(0)}
        lines.append(kept)
    note = f"Voided - {old['PrivateNote']}" if old.get("PrivateNote") else "Voided"
    record = old | _left(entity, ZERO, Decimal(1)) | {"Line": lines, "TotalAmt": ZERO, "HomeTotalAmt": ZERO}
    record |= {"TxnTaxDetail": {"TotalTax": ZERO, "TaxLine": []}, "PrivateNote": note, "_voided": True, "_stock": {}}
    return books.put(entity, record, "Void")


def delete(books: Books, entity: str, old: Record) -> None:
    """The document is gone; what was applied to it is free again. Raises Refused."""
    books.check_open(old["TxnDate"])
    if not old.get("_voided"):
        money.free(books, old)
        _take_back(books, entity, books.table(entity)[old["Id"]])
    books.remove(entity, old["Id"])
