"""Invoices and credit notes: how one is built, changed, approved, voided, and what is left to pay of it.

What is sent is checked in full before anything is put, so a refused element leaves no trace.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sandbox.state import Record
from sandbox.xero import contacts, history, inventory, journals, lines
from sandbox.xero.books import INVOICE, ZERO, Books, Kind, cents
from sandbox.xero.errors import Refused
from sandbox.xero.wire import new_id, read_date, read_guid, read_number

MAX_NUMBER = 255  # characters of a document's number and reference
OPEN = ("DRAFT", "SUBMITTED")
CLOSED = ("PAID", "VOIDED", "DELETED")
_TEXTS = ("Reference", "Url", "BrandingThemeID")
_DATES = ("ExpectedPaymentDate", "PlannedPaymentDate")
# What may still be changed when something was paid or credited.
_HARMLESS = {"Reference", "Url", "BrandingThemeID", "DueDate", "SentToContact", *_DATES}
_NEXT = {
    "DRAFT": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "SUBMITTED": ("SUBMITTED", "DRAFT", "AUTHORISED", "DELETED"),
    "AUTHORISED": ("AUTHORISED", "VOIDED"),
}
LOCKED_BY_PAYMENT = "This document cannot be edited as it has a payment or credit note allocated to it."


def create(books: Books, kind: Kind, element: Record, now: datetime, places: int) -> Record:
    """A new document from what was sent. Raises Refused."""
    if element.get(kind.id):
        raise Refused(f"A new {kind.name} cannot bring its own {kind.id}.")
    if element.get("Type") not in kind.types:
        raise Refused(f"The Type {element.get('Type')!r} is not valid for this document.")
    status = element.get("Status") or "DRAFT"
    if status not in (*OPEN, "AUTHORISED"):
        raise Refused(f"The Status {status!r} is not valid for a new document.")
    record = _blank(books, kind, element, now) | {"Status": status}
    return _finish(books, kind, record, element, now, places)


def change(books: Books, kind: Kind, existing: Record, element: Record, now: datetime, places: int) -> Record:
    """The document after an update. Raises Refused."""
    status = element.get("Status") or existing["Status"]
    if existing["Status"] in CLOSED or status not in _NEXT[existing["Status"]]:
        raise Refused(f"{_label(kind)} not of valid status for modification")
    if element.get("Type") not in (None, existing["Type"]):
        raise Refused("The Type of a document cannot be changed.")
    settled = _settled(books, kind, existing)
    if settled and (status == "VOIDED" or _edits(kind, existing, element)):
        raise Refused(f"{_label(kind)} not of valid status for modification", LOCKED_BY_PAYMENT)
    if existing["Status"] == "AUTHORISED":
        books.check_lock(existing["Date"])
    if status in ("VOIDED", "DELETED"):
        gone = existing | {"Status": status, "UpdatedDateUTC": now}
        gone |= {"AmountDue": ZERO} if kind is INVOICE else {"RemainingCredit": ZERO}
        inventory.apply(books, kind, gone[kind.id], inventory.moves(books, kind, gone), now)
        books.table(kind).put(gone[kind.id], gone)
        journals.document(books, kind, gone)
        history.note(books, kind.key, gone[kind.id], status.capitalize(), f"{_label(kind)} {status.lower()}.", now)
        return gone
    return _finish(books, kind, existing | {"Status": status}, element, now, places)


def find(books: Books, kind: Kind, element: Record) -> Record | None:
    """The document that an element names by id or, for sales, by number. Raises Refused for an unknown id."""
    if element.get(kind.id):
        found = books.table(kind).get(read_guid(element[kind.id]) or "")
        if found is None:
            raise Refused(f"{_label(kind)} could not be found.")
        return found
    number = element.get(kind.number or "")
    if number and isinstance(number, str) and element.get("Type", kind.sales) == kind.sales:
        return books.numbers[kind.name].first(number)
    return None


def settle(books: Books, kind: Kind, id_: str, now: datetime) -> Record:
    """Puts the document again with what its payments and allocations leave of it."""
    record = books.table(kind)[id_]
    payments = [p for p in books.payments_of(id_) if p["Status"] == "AUTHORISED"]
    applied = books.allocations_from(id_) if kind.is_credit else books.allocations_to(id_)
    paid = sum((p["Amount"] for p in payments), ZERO)
    credited = sum((a["Amount"] for a in applied), ZERO)
    left = record["Total"] - paid - credited
    status = record["Status"]
    if status in ("AUTHORISED", "PAID"):
        status = "PAID" if left == 0 else "AUTHORISED"
    last = max([entry["Date"] for entry in (*payments, *applied)], default=record["Date"])
    amounts = {"RemainingCredit": left} if kind.is_credit else {"AmountDue": left, "AmountPaid": paid}
    if not kind.is_credit:
        amounts["AmountCredited"] = credited
    full: Record = {"FullyPaidOnDate": last if status == "PAID" else None}
    settled = record | amounts | full | {"Status": status, "UpdatedDateUTC": now}
    books.table(kind).put(id_, settled)
    return settled


def _label(kind: Kind) -> str:
    return "Invoice" if kind is INVOICE else "Credit note"


def _blank(books: Books, kind: Kind, element: Record, now: datetime) -> Record:
    return {
        kind.id: new_id(),
        "Type": element["Type"],
        kind.number or "": "",
        "Reference": "",
        "Date": now.date(),
        "DueDate": None,
        "LineAmountTypes": "Exclusive",
        "LineItems": [],
        "CurrencyCode": books.setting("base_currency"),
        "SentToContact": False,
        "FullyPaidOnDate": None,
        "_created": now,
    }


def _settled(books: Books, kind: Kind, record: Record) -> bool:
    id_ = record[kind.id]
    applied = books.allocations_from(id_) if kind.is_credit else books.allocations_to(id_)
    return bool(applied) or any(payment["Status"] == "AUTHORISED" for payment in books.payments_of(id_))


def _edits(kind: Kind, existing: Record, element: Record) -> bool:
    """Does the update touch what a payment has fixed? Repeating a value that is there does not."""
    for field, value in element.items():
        if field in _HARMLESS or field in (kind.id, "Type", "Status", "Contact") or value in (None, []):
            continue
        if field in ("LineItems", "LineAmountTypes", "Date", "CurrencyRate") or value != existing.get(field):
            return True
    contact = element.get("Contact")
    return isinstance(contact, dict) and contact.get("ContactID") not in (None, existing["ContactID"])


def _finish(books: Books, kind: Kind, record: Record, element: Record, now: datetime, places: int) -> Record:
    """Takes over what was sent, checks it, and puts document and, if it is new, contact."""
    record = dict(record)
    wrong: list[str] = []
    for step in (_take_fields, _take_number, _take_currency):
        try:
            step(books, kind, record, element)
        except Refused as error:
            wrong += error.messages
    contact: Record | None = None
    try:
        contact = _contact(books, record, element, now)
    except Refused as error:
        wrong += error.messages
    try:
        _take_lines(books, kind, record, element, places)
    except Refused as error:
        wrong += error.messages
    if not wrong:
        wrong += _wrong_as_a_whole(books, kind, record, element)
    if wrong or contact is None:
        raise Refused(*wrong)
    moves = inventory.moves(books, kind, record)
    if not record[kind.number or ""] and record["Type"] == kind.sales:
        record[kind.number or ""] = books.next_number(kind)
    if contact["ContactID"] not in books.contacts:
        books.contacts.put(contact["ContactID"], contact)
    record |= {"ContactID": contact["ContactID"], "UpdatedDateUTC": now}
    inventory.apply(books, kind, record[kind.id], moves, now)
    return _put(books, kind, record, now)


def _put(books: Books, kind: Kind, record: Record, now: datetime) -> Record:
    total = record["Total"]
    if kind.is_credit:
        record["RemainingCredit"] = total
    else:
        record |= {"AmountDue": total, "AmountPaid": ZERO, "AmountCredited": ZERO}
    there = record[kind.id] in books.table(kind)
    books.table(kind).put(record[kind.id], record)
    journals.document(books, kind, record)
    history.note(books, kind.key, record[kind.id], "Edited" if there else "Created",
                 f"{_label(kind)} of {record['Date']} for {total}.", now)  # fmt: skip
    if record["Status"] == "AUTHORISED" and (total == 0 or _settled(books, kind, record)):
        return settle(books, kind, record[kind.id], now)
    return record


def _take_fields(books: Books, kind: Kind, record: Record, element: Record) -> None:
    for field in _TEXTS:
        value = element.get(field)
        if value is not None:
            if not isinstance(value, str):
                raise Refused(f"The {field} is not a valid text.")
            if field == "Reference" and len(value) > MAX_NUMBER:
                raise Refused(f"The length of the Reference field must not exceed {MAX_NUMBER} characters.")
            record[field] = value
    for field in ("Date", "DueDate", *_DATES):
        if element.get(field):
            record[field] = read_date(element[field], field)
    if element.get("SentToContact") is not None:
        record["SentToContact"] = element["SentToContact"] is True
    if element.get("LineAmountTypes"):
        record["LineAmountTypes"] = str(element["LineAmountTypes"]).capitalize().replace("Notax", "NoTax")
        if record["LineAmountTypes"] not in lines.LINE_AMOUNT_TYPES:
            raise Refused(f"The LineAmountTypes {element['LineAmountTypes']!r} is not valid.")


def _take_number(books: Books, kind: Kind, record: Record, element: Record) -> None:
    field = kind.number or ""
    number = element.get(field)
    if not number:
        return
    if not isinstance(number, str) or len(number) > MAX_NUMBER:
        raise Refused(f"The length of the {field} field must not exceed {MAX_NUMBER} characters.")
    record[field] = number
    other = books.numbers[kind.name].first(number)
    if record["Type"] == kind.sales and other is not None and other[kind.id] != record[kind.id]:
        raise Refused(kind.not_unique)


def _take_currency(books: Books, kind: Kind, record: Record, element: Record) -> None:
    currency = element.get("CurrencyCode") or record["CurrencyCode"]
    given = element.get("CurrencyRate")
    if given is not None:
        given = read_number(given, "CurrencyRate")
    elif currency == record["CurrencyCode"]:
        given = record.get("CurrencyRate")
    record["CurrencyRate"] = books.rate(str(currency), given)
    record["CurrencyCode"] = currency


def _contact(books: Books, record: Record, element: Record, now: datetime) -> Record:
    if element.get("Contact") or "ContactID" not in record:
        return contacts.for_document(books, element.get("Contact"), now)
    return books.contacts[record["ContactID"]]


def _take_lines(books: Books, kind: Kind, record: Record, element: Record, places: int) -> None:
    elements = element.get("LineItems")
    if not elements and record["LineItems"]:
        elements = record["LineItems"]
        if element.get("LineAmountTypes"):
            keep = ("TaxAmount", "LineAmount")
            elements = [{key: value for key, value in line.items() if key not in keep} for line in elements]
        places = 4  # what is kept has been rounded when it came
    approved = record["Status"] not in ("DRAFT", "DELETED")
    rules = lines.Rules(kind, record["Type"], record["LineAmountTypes"], approved, places)
    sums = lines.build(books, elements, rules)
    record["LineItems"] = sums.lines
    record |= {"SubTotal": sums.sub_total, "TotalTax": sums.total_tax, "Total": sums.total}
    if not kind.is_credit:
        record |= {"TotalDiscount": sums.discount, "IsDiscounted": sums.discount != 0}


def _wrong_as_a_whole(books: Books, kind: Kind, record: Record, element: Record) -> list[str]:
    wrong = []
    if record["Total"] < 0:
        wrong.append("The total of the document must not be negative.")
    for field in ("SubTotal", "TotalTax", "Total"):
        if element.get(field) is not None and element.get("LineItems"):
            given = cents(read_number(element[field], field))
            if given != record[field]:
                wrong.append(f"The {field} {given} does not match the sum of the lines {record[field]}")
    if record["Status"] == "AUTHORISED":
        if not kind.is_credit and record["DueDate"] is None:
            wrong.append("The DueDate must be specified for an approved invoice.")
        try:
            books.check_lock(record["Date"])
        except Refused as error:
            wrong += error.messages
    return wrong


def amount(element: Record, field: str) -> Decimal:
    """An amount above zero with at most two places that count. Raises Refused."""
    if element.get(field) is None:
        raise Refused(f"The {field} must be specified.")
    value = cents(read_number(element[field], field))
    if value <= 0:
        raise Refused(f"The {field} must be greater than zero.")
    return value


def day(element: Record, now: datetime) -> date:
    """The element's Date, else today. Raises Refused."""
    return read_date(element["Date"], "Date") if element.get("Date") else now.date()


def referred(books: Books, kind: Kind, element: Any) -> Record | None:
    """The document that {InvoiceID: ...} or {InvoiceNumber: ...} means; None when there is none."""
    if not isinstance(element, dict):
        return None
    if element.get(kind.id):
        return books.table(kind).get(read_guid(element[kind.id]) or "")
    number = element.get(kind.number) if kind.number else None
    return books.numbers[kind.name].first(number) if isinstance(number, str) and number else None
