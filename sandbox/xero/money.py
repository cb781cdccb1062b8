"""Payments, refunds and allocations: what settles documents."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sandbox.state import Record
from sandbox.xero import history, journals
from sandbox.xero.books import CREDIT_NOTE, INVOICE, KINDS, OVERPAYMENT, PREPAYMENT, Books, Kind, cents
from sandbox.xero.documents import amount, day, referred, settle
from sandbox.xero.errors import NotFound, Refused
from sandbox.xero.wire import new_id, read_guid, read_number

_PURCHASE_TYPES = {"ACCPAY": "ACCPAYPAYMENT", "ACCPAYCREDIT": "APCREDITPAYMENT"}


def pay(books: Books, element: Record, now: datetime) -> Record:
    """A payment of an invoice, or a refund of a credit, prepayment or overpayment. Raises Refused."""
    kind, document = _document(books, element)
    if document["Status"] != "AUTHORISED":
        raise Refused("Payments can only be made against Authorised documents")
    paid, on = amount(element, "Amount"), day(element, now)
    left = document["RemainingCredit" if kind.is_credit else "AmountDue"]
    if paid > left:
        raise Refused("Payment amount exceeds the amount outstanding on this document")
    account = _account(books, element)
    books.check_lock(on, "payment")
    rate = read_number(element["CurrencyRate"], "CurrencyRate") if element.get("CurrencyRate") is not None else None
    rate = books.rate(document["CurrencyCode"], rate)
    payment = {
        "PaymentID": new_id(),
        "Target": kind.name,
        "TargetID": document[kind.id],
        "AccountID": account["AccountID"],
        "Date": on,
        "Amount": paid,
        "BankAmount": _bank_amount(books, document, account, paid, rate),
        "Reference": str(element.get("Reference") or ""),
        "CurrencyRate": rate,
        "PaymentType": _PURCHASE_TYPES.get(document["Type"], kind.payment_type),
        "Status": "AUTHORISED",
        "IsReconciled": element.get("IsReconciled") is True,
        "UpdatedDateUTC": now,
        "_created": now,
    }
    books.payments.put(payment["PaymentID"], payment)
    journals.payment(books, payment)
    history.note(books, "Payments", payment["PaymentID"], "Created", f"Payment of {paid} dated {on}.", now)
    history.note(books, kind.key, document[kind.id], "Paid", f"Payment of {paid} dated {on}.", now)
    settle(books, kind, document[kind.id], now)
    return payment


def unpay(books: Books, id_: str, element: Record, now: datetime) -> Record:
    """Deletes a payment; its document is open again. Raises NotFound, Refused."""
    payment = books.payments.get(read_guid(id_) or "")
    if payment is None:
        raise NotFound
    if element.get("Status") != "DELETED":
        raise Refused("Only the Status of a payment can be changed, to DELETED.")
    if payment["Status"] == "DELETED":
        raise Refused("The payment has already been deleted.")
    if payment["IsReconciled"]:
        raise Refused("The payment is reconciled and cannot be deleted.")
    books.check_lock(payment["Date"], "payment")
    gone = payment | {"Status": "DELETED", "UpdatedDateUTC": now}
    books.payments.put(payment["PaymentID"], gone)
    journals.payment(books, gone)
    told = f"Payment of {payment['Amount']} dated {payment['Date']} deleted."
    history.note(books, "Payments", payment["PaymentID"], "Deleted", told, now)
    history.note(books, KINDS[payment["Target"]].key, payment["TargetID"], "Payment deleted", told, now)
    settle(books, KINDS[payment["Target"]], payment["TargetID"], now)
    return gone


def allocate(books: Books, kind: Kind, source: Record, element: Record, now: datetime) -> Record:
    """Sets a part of a credit against an invoice. Raises Refused."""
    invoice = referred(books, INVOICE, element.get("Invoice"))
    if invoice is None:
        raise Refused("The invoice of the allocation could not be found.")
    if source["Status"] != "AUTHORISED" or invoice["Status"] != "AUTHORISED":
        raise Refused("Allocations can only be made between Authorised documents")
    if invoice["ContactID"] != source["ContactID"]:
        raise Refused("The invoice of the allocation belongs to another contact.")
    if invoice["CurrencyCode"] != source["CurrencyCode"]:
        raise Refused("The invoice of the allocation is in another currency.")
    if invoice["Type"].startswith("ACCREC") != _is_sales(source["Type"]):
        raise Refused("The invoice of the allocation is not of the credit's side.")
    applied, on = amount(element, "Amount" if "Amount" in element else "AppliedAmount"), day(element, now)
    if applied > source["RemainingCredit"]:
        raise Refused("The amount of the allocation exceeds the remaining credit.")
    if applied > invoice["AmountDue"]:
        raise Refused("The amount of the allocation exceeds the amount outstanding on this document")
    books.check_lock(on, "allocation")
    allocation = {
        "AllocationID": new_id(),
        "Source": kind.name,
        "SourceID": source[kind.id],
        "InvoiceID": invoice["InvoiceID"],
        "Amount": applied,
        "Date": on,
    }
    books.allocations.put(allocation["AllocationID"], allocation)
    journals.allocation(books, allocation)
    told = f"{applied} of {kind.name} set against an invoice on {on}."
    history.note(books, kind.key, source[kind.id], "Allocated", told, now)
    history.note(books, INVOICE.key, invoice["InvoiceID"], "Credited", told, now)
    settle(books, kind, source[kind.id], now)
    settle(books, INVOICE, invoice["InvoiceID"], now)
    return allocation


def deallocate(books: Books, kind: Kind, source_id: str, id_: str, now: datetime) -> Record:
    """Takes an allocation back. Raises NotFound, Refused."""
    allocation = books.allocations.get(read_guid(id_) or "")
    if allocation is None or allocation["SourceID"] != read_guid(source_id) or allocation["Source"] != kind.name:
        raise NotFound
    books.check_lock(allocation["Date"], "allocation")
    books.allocations.delete(allocation["AllocationID"])
    journals.no_allocation(books, allocation["AllocationID"])
    told = f"Allocation of {allocation['Amount']} dated {allocation['Date']} taken back."
    history.note(books, kind.key, allocation["SourceID"], "Deallocated", told, now)
    history.note(books, INVOICE.key, allocation["InvoiceID"], "Deallocated", told, now)
    settle(books, kind, allocation["SourceID"], now)
    settle(books, INVOICE, allocation["InvoiceID"], now)
    return allocation


def _is_sales(type_: str) -> bool:
    return type_.startswith(("ACCREC", "AR", "RECEIVE"))


def _document(books: Books, element: Record) -> tuple[Kind, Record]:
    for kind in (INVOICE, CREDIT_NOTE, PREPAYMENT, OVERPAYMENT):
        named = element.get(kind.name)
        if not named and kind.number and element.get(kind.number):
            named = {kind.number: element[kind.number]}
        if named:
            found = referred(books, kind, named)
            if found is None:
                raise Refused(f"{kind.name} could not be found")
            return kind, found
    raise Refused("A payment must name an invoice, credit note, prepayment or overpayment.")


def _account(books: Books, element: Record) -> Record:
    named = element.get("Account")
    account = books.account(named) if isinstance(named, dict) else None
    if account is None or account["Status"] != "ACTIVE":
        raise Refused("Account could not be found")
    if account["Type"] != "BANK" and not account["EnablePaymentsToAccount"]:
        raise Refused("Account must be either a bank account or have EnablePaymentsToAccount set to true")
    return account


def _bank_amount(books: Books, document: Record, account: Record, paid: Decimal, rate: Decimal) -> Decimal:
    """The amount in the account's currency, which is the document's or the base currency."""
    base = books.setting("base_currency")
    held = account.get("CurrencyCode") or base
    if held == document["CurrencyCode"]:
        return paid
    if held != base:
        raise Refused("The currency of the bank account is neither that of the document nor the base currency.")
    return cents(paid / rate)
