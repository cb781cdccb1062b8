"""Money before its invoice: bank transactions that make an overpayment or a prepayment, of customers or to suppliers.

Xero makes both by `PUT BankTransactions`; the credit is then found at Overpayments or Prepayments. Other bank
transactions (RECEIVE, SPEND, transfers) are not modelled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.state import Record
from sandbox.xero import contacts, history, journals, lines
from sandbox.xero.books import OVERPAYMENT, PREPAYMENT, Books, Kind
from sandbox.xero.call import Call, write_batch
from sandbox.xero.documents import day
from sandbox.xero.errors import Refused
from sandbox.xero.wire import date_string, new_id, read_number

KIND_OF = {f"{side}-{kind.name.upper()}": kind for side in ("RECEIVE", "SPEND") for kind in (OVERPAYMENT, PREPAYMENT)}


def create(call: Call) -> tuple[int, dict[str, Any]]:
    """PUT /BankTransactions."""

    def write(element: Record) -> Record:
        return receive(call.books, element, call.now, call.unit_places)

    return write_batch(call, "BankTransactions", "BankTransactionID", write)


def receive(books: Books, element: Record, now: datetime, places: int) -> Record:
    """Puts the overpayment or prepayment; the bank transaction as it is answered. Raises Refused."""
    kind = KIND_OF.get(str(element.get("Type")))
    if kind is None:
        raise Refused(f"The Type {element.get('Type')!r} is not modelled; {', '.join(KIND_OF)} are.")
    contact = contacts.for_document(books, element.get("Contact"), now)
    account = books.account(element["BankAccount"]) if isinstance(element.get("BankAccount"), dict) else None
    if account is None or account["Type"] != "BANK" or account["Status"] != "ACTIVE":
        raise Refused("The bank account could not be found.")
    on = day(element, now)
    books.check_lock(on)
    sums, amounts = _lines(books, kind, element, places)
    if sums.total <= 0:
        raise Refused("The total of the transaction must be greater than zero.")
    given = element.get("CurrencyRate")
    rate = None if given is None else read_number(given, "CurrencyRate")
    currency = _currency(books, kind, account, element)
    record: Record = {
        kind.id: new_id(), "Type": element["Type"], "ContactID": contact["ContactID"], "Date": on,
        "Status": "AUTHORISED", "LineAmountTypes": amounts, "LineItems": sums.lines, "SubTotal": sums.sub_total,
        "TotalTax": sums.total_tax, "Total": sums.total, "RemainingCredit": sums.total, "CurrencyCode": currency,
        "CurrencyRate": books.rate(currency, rate), "Reference": str(element.get("Reference") or ""),
        "FullyPaidOnDate": None, "UpdatedDateUTC": now, "_created": now,
    }  # fmt: skip
    if contact["ContactID"] not in books.contacts:
        books.contacts.put(contact["ContactID"], contact)
    books.table(kind).put(record[kind.id], record)
    journals.document(books, kind, record)
    history.note(books, kind.key, record[kind.id], "Created", f"{kind.name} of {sums.total} dated {on}.", now)
    return _shown(kind, record, account, contact)


def _lines(books: Books, kind: Kind, element: Record, places: int) -> tuple[lines.Sums, str]:
    """An overpayment has no tax and no account of its own, it stands on the receivables; a prepayment has both."""
    if kind is OVERPAYMENT:
        if len(element.get("LineItems") or ()) > 1:
            raise Refused("An overpayment has one line item.")
        amounts = "NoTax"
    else:
        amounts = str(element.get("LineAmountTypes") or "Exclusive").capitalize().replace("Notax", "NoTax")
        if amounts not in lines.LINE_AMOUNT_TYPES:
            raise Refused(f"The LineAmountTypes {element['LineAmountTypes']!r} is not valid.")
    approved = kind is PREPAYMENT
    rules = lines.Rules(kind, str(element["Type"]), amounts, approved, places)
    return lines.build(books, element.get("LineItems"), rules), amounts


def _currency(books: Books, kind: Kind, account: Record, element: Record) -> str:
    """The bank account's; only an overpayment may name another."""
    held: str = account.get("CurrencyCode") or books.setting("base_currency")
    named = element.get("CurrencyCode")
    if named and named != held and kind is not OVERPAYMENT:
        raise Refused("Setting a currency is only supported on overpayments.")
    return str(named or held)


def _shown(kind: Kind, record: Record, account: Record, contact: Record) -> Record:
    kept = ("Type", "Date", "Status", "LineAmountTypes", "SubTotal", "TotalTax", "Total", "CurrencyCode",
            "CurrencyRate", "Reference", "UpdatedDateUTC")  # fmt: skip
    return {
        "BankTransactionID": new_id(), kind.id: record[kind.id],
        "BankAccount": {"AccountID": account["AccountID"], "Code": account["Code"], "Name": account["Name"]},
        "Contact": contacts.brief(contact), "LineItems": lines.view(record["LineItems"], 2), "IsReconciled": False,
        "HasAttachments": False, "DateString": date_string(record["Date"]), **{key: record[key] for key in kept},
    }  # fmt: skip
