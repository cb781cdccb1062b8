"""Contacts: names and numbers are unique, archived ones take no documents, merged ones say where they went."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.state import Record
from sandbox.xero.books import INVOICE, KINDS, ZERO, Books, cents
from sandbox.xero.call import Call, Listing, list_records, write_batch
from sandbox.xero.errors import NotFound, Refused
from sandbox.xero.query import plain_fields
from sandbox.xero.wire import new_id, read_guid

LENGTHS = {
    "Name": 255,
    "ContactNumber": 50,
    "AccountNumber": 50,
    "FirstName": 255,
    "LastName": 255,
    "CompanyNumber": 50,
    "EmailAddress": 255,
    "TaxNumber": 50,
}
_TEXTS = (
    *LENGTHS,
    "BankAccountDetails",
    "AccountsReceivableTaxType",
    "AccountsPayableTaxType",
    "XeroNetworkKey",
    "DefaultCurrency",
    "SalesDefaultAccountCode",
    "PurchasesDefaultAccountCode",
)
_AS_SENT = {
    "Addresses": list,
    "Phones": list,
    "ContactPersons": list,
    "PaymentTerms": dict,
    "SalesTrackingCategories": list,
    "PurchasesTrackingCategories": list,
    "SalesDefaultLineAmountType": str,
    "PurchasesDefaultLineAmountType": str,
}

FIELDS = plain_fields(
    ContactID="guid",
    Name="text",
    ContactNumber="text",
    AccountNumber="text",
    ContactStatus="text",
    FirstName="text",
    LastName="text",
    EmailAddress="text",
    TaxNumber="text",
    CompanyNumber="text",
    DefaultCurrency="text",
    UpdatedDateUTC="date",
)


def listing(call: Call) -> dict[str, Any]:
    """GET /Contacts."""
    books = call.books
    records = books.contacts.values()
    archived = call.flag("includeArchived")
    spec = Listing(
        "Contacts",
        "Contact",
        "ContactID",
        FIELDS,
        short=lambda record: view(record),
        full=lambda record: view(record, balances(books, record, call.now)),
        search=("Name", "FirstName", "LastName", "ContactNumber", "EmailAddress"),
    )
    return list_records(call, spec, (r for r in records if archived or r["ContactStatus"] != "ARCHIVED"))


def one(call: Call) -> dict[str, Any]:
    """GET /Contacts/{ContactID or ContactNumber}."""
    record = _find(call.books, call.path[1])
    return {"Contacts": [view(record, balances(call.books, record, call.now))]}


def create(call: Call) -> tuple[int, dict[str, Any]]:
    """PUT /Contacts."""
    return write_batch(
        call, "Contacts", "ContactID", lambda e: view(_save(call.books, None, e, call.now)), "HasValidationErrors"
    )


def save(call: Call) -> tuple[int, dict[str, Any]]:
    """POST /Contacts and /Contacts/{ContactID}."""
    named = _find(call.books, call.path[1]) if len(call.path) > 1 else None

    def write(element: Record) -> Record:
        return view(_save(call.books, named or match(call.books, element), element, call.now))

    return write_batch(call, "Contacts", "ContactID", write, "HasValidationErrors")


def match(books: Books, element: Record) -> Record | None:
    """The contact that an element names: by ContactID, else ContactNumber, else Name. Raises Refused."""
    if element.get("ContactID"):
        found = books.contacts.get(read_guid(element["ContactID"]) or "")
        if found is None:
            raise Refused("The specified contact could not be found.")
        return found
    number, name = element.get("ContactNumber"), element.get("Name")
    found = books.contact_numbers.first(number) if isinstance(number, str) and number else None
    if found is None and isinstance(name, str) and name.strip():
        found = books.contact_names.first(name.strip().lower())
    return found


def for_document(books: Books, element: object, now: datetime) -> Record:
    """The contact of a new document: one that exists, or a new one that is not put yet. Raises Refused."""
    if not isinstance(element, dict) or not any(element.get(key) for key in ("ContactID", "ContactNumber", "Name")):
        raise Refused("A Contact must be specified for this type of transaction")
    found = match(books, element)
    if found is None:
        return build(books, None, element, now)
    if found["ContactStatus"] != "ACTIVE":
        raise Refused(
            f"The Contact {found['Name']} is archived."
            " It must be un-archived before creating new invoices or credit notes."
        )
    return found


def _find(books: Books, key: str) -> Record:
    found = books.contacts.get(read_guid(key) or "") or books.contact_numbers.first(key)
    if found is None:
        raise NotFound
    return found


def _save(books: Books, existing: Record | None, element: Record, now: datetime) -> Record:
    record = build(books, existing, element, now)
    books.contacts.put(record["ContactID"], record)
    return record


def build(books: Books, existing: Record | None, element: Record, now: datetime) -> Record:
    """The contact as it will be; nothing is put. Raises Refused with all that is wrong."""
    if existing is None and element.get("ContactID"):
        raise Refused("A new contact cannot bring its own ContactID.")
    record = dict(existing or {"ContactID": new_id(), "ContactStatus": "ACTIVE", "Name": "", "_created": now})
    wrong = []
    for field in _TEXTS:
        if element.get(field) is not None:
            record[field] = element[field]
            if not isinstance(element[field], str):
                wrong.append(f"The {field} is not a valid text.")
            elif len(element[field]) > LENGTHS.get(field, 500):
                wrong.append(f"The length of the {field} field must not exceed {LENGTHS.get(field, 500)} characters.")
    for field, type_ in _AS_SENT.items():
        if element.get(field):
            record[field] = element[field]
            if not isinstance(element[field], type_):
                wrong.append(f"The {field} is not valid.")
    status = element.get("ContactStatus") or record["ContactStatus"]
    if status not in ("ACTIVE", "ARCHIVED"):
        wrong.append(f"The ContactStatus {status!r} is not valid.")
    record["ContactStatus"] = status
    if not wrong:
        record["Name"] = record["Name"].strip()
        wrong += _clashes(books, record)
    if wrong:
        raise Refused(*wrong)
    record["UpdatedDateUTC"] = now
    return record


def _clashes(books: Books, record: Record) -> list[str]:
    wrong = []
    if not record["Name"]:
        wrong.append("Contact Name cannot be empty.")
    if record.get("EmailAddress") and "@" not in record["EmailAddress"]:
        wrong.append("Email address must be valid.")
    if record["ContactStatus"] == "ACTIVE":
        other = books.contact_names.first(record["Name"].lower())
        if other is not None and other["ContactID"] != record["ContactID"]:
            wrong.append(
                f"The contact name {record['Name']} is already assigned to another contact."
                " The contact name must be unique across all active contacts."
            )
    if record.get("ContactNumber"):
        other = books.contact_numbers.first(record["ContactNumber"])
        if other is not None and other["ContactID"] != record["ContactID"]:
            wrong.append("Another contact has this contact number. Please enter a different contact number.")
    return wrong


def merge(books: Books, source: str, target: str, now: datetime) -> None:
    """What a person does in Xero: the source is archived and its documents go to the target. Raises NotFound."""
    from_, to = books.contacts.get(source), books.contacts.get(target)
    if from_ is None or to is None or source == target:
        raise NotFound
    merged = {"ContactStatus": "ARCHIVED", "MergedToContactID": target, "UpdatedDateUTC": now}
    books.contacts.put(source, from_ | merged)
    books.contacts.put(target, to | {"UpdatedDateUTC": now})
    for name, index in books.by_contact.items():
        kind = KINDS[name]
        for document in index(source):
            books.table(kind).put(document[kind.id], document | {"ContactID": target, "UpdatedDateUTC": now})


def balances(books: Books, record: Record, now: datetime) -> dict[str, Any]:
    """What the contact owes and is owed, in the base currency's amounts of each document."""
    sums: dict[str, dict[str, Decimal]] = {}
    for invoice in books.by_contact[INVOICE.name](record["ContactID"]):
        if invoice["Status"] == "AUTHORISED":
            side = "AccountsReceivable" if invoice["Type"] == "ACCREC" else "AccountsPayable"
            part = sums.setdefault(side, {"Outstanding": ZERO, "Overdue": ZERO})
            due = cents(invoice["AmountDue"] / invoice["CurrencyRate"])
            part["Outstanding"] += due
            if invoice["DueDate"] and invoice["DueDate"] < now.date():
                part["Overdue"] += due
    types = {invoice["Type"] for invoice in books.by_contact[INVOICE.name](record["ContactID"])}
    more: dict[str, Any] = {"IsSupplier": "ACCPAY" in types, "IsCustomer": "ACCREC" in types}
    return more | ({"Balances": sums} if sums else {})


def view(record: Record, more: Record | None = None) -> Record:
    """The contact as Xero shows it."""
    shown = {key: value for key, value in record.items() if not key.startswith("_")}
    shown.setdefault("EmailAddress", "")
    shown.setdefault("BankAccountDetails", "")
    shown["Addresses"] = _filled("AddressType", ("STREET", "POBOX"), _EMPTY_ADDRESS, record.get("Addresses"))
    shown["Phones"] = _filled("PhoneType", ("DDI", "DEFAULT", "FAX", "MOBILE"), _EMPTY_PHONE, record.get("Phones"))
    shown |= {"ContactGroups": [], "HasAttachments": False, "HasValidationErrors": False}
    shown.setdefault("ContactPersons", [])
    shown.setdefault("IsSupplier", False)
    shown.setdefault("IsCustomer", False)
    return shown | (more or {})


def brief(record: Record) -> Record:
    """The contact inside of a list of documents."""
    shown = {"ContactID": record["ContactID"], "Name": record["Name"]}
    if record.get("ContactNumber"):
        shown["ContactNumber"] = record["ContactNumber"]
    empty: Record = {"Addresses": [], "Phones": [], "ContactGroups": [], "ContactPersons": []}
    return shown | empty | {"HasValidationErrors": False}


_EMPTY_ADDRESS = {"City": "", "Region": "", "PostalCode": "", "Country": ""}
_EMPTY_PHONE = {"PhoneNumber": "", "PhoneAreaCode": "", "PhoneCountryCode": ""}


def _filled(key: str, kinds: tuple[str, ...], empty: Record, given: list[Record] | None) -> list[Record]:
    sent = {str(entry.get(key)): entry for entry in given or () if isinstance(entry, dict)}
    return [{key: kind} | empty | sent.get(kind, {}) for kind in kinds]
