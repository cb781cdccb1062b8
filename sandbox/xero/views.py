"""How documents, payments and allocations look from outside: in full, in a list, inside of another record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.state import Record
from sandbox.xero import contacts, lines
from sandbox.xero.books import INVOICE, KINDS, Books, Kind
from sandbox.xero.wire import date_string

_EMPTY: Record = {"Payments": [], "CreditNotes": [], "Prepayments": [], "Overpayments": []}


def document(books: Books, kind: Kind, record: Record, places: int, whole_contact: bool = False) -> Record:
    """The document with lines, payments and allocations."""
    shown = short(books, kind, record)
    shown["LineItems"] = lines.view(record["LineItems"], places)
    if whole_contact:
        shown["Contact"] = contacts.view(books.contacts[record["ContactID"]])
    payments = [_inner_payment(p) for p in books.payments_of(record[kind.id]) if p["Status"] == "AUTHORISED"]
    shown["Payments"] = payments
    if kind.is_credit:
        applied = books.allocations_from(record[kind.id])
        shown["Allocations"] = [_inner_allocation(books, entry) for entry in applied]
        shown["AppliedAmount"] = sum((entry["Amount"] for entry in applied), record["Total"] * 0)
    else:
        for entry in books.allocations_to(record["InvoiceID"]):
            source = KINDS[entry["Source"]]
            shown[source.key] = [*shown[source.key], _applied(books, source, entry)]
    return shown


def short(books: Books, kind: Kind, record: Record) -> Record:
    """The document as lists without a page show it: no lines."""
    shown: Record = {key: value for key, value in record.items() if key[0] != "_" and value is not None}
    del shown["ContactID"]
    for field in ("Date", "DueDate"):
        if field in shown:
            shown[f"{field}String"] = date_string(shown[field])
    updated: datetime = record["UpdatedDateUTC"]
    shown["UpdatedDateUTCString"] = updated.isoformat(timespec="seconds")
    shown["Contact"] = contacts.brief(books.contacts[record["ContactID"]])
    shown["LineItems"] = []
    shown["HasAttachments"] = False
    shown["HasErrors"] = False
    if kind is INVOICE:
        return _EMPTY | shown
    shown["ID"] = record[kind.id]
    return {"Payments": [], "Allocations": []} | shown


def summary(books: Books, kind: Kind, record: Record) -> Record:
    """With summaryOnly: no lines, no payments, no allocations."""
    heavy = {*_EMPTY, "LineItems", "Allocations"}
    return {key: value for key, value in short(books, kind, record).items() if key not in heavy}


def payment(books: Books, record: Record, whole_document: bool = False) -> Record:
    """A payment with its account and the document that it pays, always under `Invoice`."""
    kind = KINDS[record["Target"]]
    account = books.accounts[record["AccountID"]]
    shown = {key: value for key, value in record.items() if key[0] != "_" and not key.startswith("Target")}
    del shown["AccountID"]
    updated: datetime = record["UpdatedDateUTC"]
    shown["UpdatedDateUTCString"] = updated.isoformat(timespec="seconds")
    shown["Account"] = {"AccountID": account["AccountID"], "Code": account["Code"], "Name": account["Name"]}
    target = books.table(kind)[record["TargetID"]]
    shown["Invoice"] = _paid_document(books, kind, target, whole_document)
    return shown | {"HasAccount": True, "HasValidationErrors": False}


def allocation(books: Books, record: Record) -> Record:
    """An allocation with both of its ends."""
    kind = KINDS[record["Source"]]
    shown = _inner_allocation(books, record)
    source = books.table(kind)[record["SourceID"]]
    shown[kind.name] = {kind.id: source[kind.id], "LineItems": []}
    return shown


def _paid_document(books: Books, kind: Kind, target: Record, whole: bool) -> Record:
    """The vendor calls every paid document an invoice here."""
    if whole:
        shown = document(books, kind, target, 2)
    else:
        shown = {"Type": target["Type"], **_EMPTY, "HasErrors": False, "IsDiscounted": False, "LineItems": []}
        shown |= {
            "Contact": contacts.brief(books.contacts[target["ContactID"]]),
            "CurrencyCode": target["CurrencyCode"],
        }
    shown["InvoiceID"] = target[kind.id]
    shown["InvoiceNumber"] = target.get(kind.number or "") or ""
    for field in (kind.id, kind.number or "", "ID", "RemainingCredit", "Allocations", "AppliedAmount"):
        if kind.is_credit:
            shown.pop(field, None)
    return shown


def _inner_payment(record: Record) -> Record:
    keys = ("PaymentID", "Date", "Amount", "Reference", "CurrencyRate")
    return {key: record[key] for key in keys} | {"HasAccount": False, "HasValidationErrors": False}


def _inner_allocation(books: Books, record: Record) -> Record:
    invoice = books.table(INVOICE)[record["InvoiceID"]]
    return {
        "AllocationID": record["AllocationID"],
        "Amount": record["Amount"],
        "Date": record["Date"],
        "Invoice": {"InvoiceID": invoice["InvoiceID"], "InvoiceNumber": invoice["InvoiceNumber"], "LineItems": []},
    }


def _applied(books: Books, kind: Kind, record: Record) -> dict[str, Any]:
    source = books.table(kind)[record["SourceID"]]
    shown = {kind.id: source[kind.id], "Total": source["Total"], "AppliedAmount": record["Amount"]}
    shown |= {"Date": record["Date"], "LineItems": []}
    if kind.number:
        shown[kind.number] = source.get(kind.number) or ""
    return shown
