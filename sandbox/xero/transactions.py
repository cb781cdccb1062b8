"""The endpoints of invoices, credit notes, prepayments, overpayments, allocations and payments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.state import Record
from sandbox.xero import documents, money, views
from sandbox.xero.books import CREDIT_NOTE, INVOICE, KINDS, Books, Kind
from sandbox.xero.call import Call, Listing, list_records, write_batch
from sandbox.xero.errors import BadCall, NotFound
from sandbox.xero.query import Field, Fields, plain_fields
from sandbox.xero.wire import read_guid

Answer = tuple[int, dict[str, Any]]


def _contact_fields(books: Books) -> dict[str, Field]:
    def field(name: str) -> Field:
        return Field(
            "guid" if name == "ContactID" else "text", lambda record: books.contacts[record["ContactID"]].get(name)
        )

    names = ("ContactID", "Name", "ContactNumber", "AccountNumber", "EmailAddress")
    return {f"Contact.{name}": field(name) for name in names}


def _document_fields(books: Books, kind: Kind) -> Fields:
    fields = plain_fields(
        Type="text",
        Reference="text",
        Status="text",
        CurrencyCode="text",
        LineAmountTypes="text",
        Url="text",
        Date="date",
        DueDate="date",
        FullyPaidOnDate="date",
        UpdatedDateUTC="date",
        SubTotal="number",
        TotalTax="number",
        Total="number",
        CurrencyRate="number",
        SentToContact="bool",
    )
    more = ("RemainingCredit",) if kind.is_credit else ("AmountDue", "AmountPaid", "AmountCredited")
    fields |= plain_fields(**dict.fromkeys(more, "number")) | plain_fields(**{kind.id: "guid"})
    if kind.number:
        fields |= plain_fields(**{kind.number: "text"})
    return fields | _contact_fields(books)


def _listing(call: Call, kind: Kind) -> Listing:
    books, places = call.books, call.unit_places
    light = call.flag("summaryOnly")
    return Listing(
        kind.key,
        kind.name,
        kind.id,
        _document_fields(books, kind),
        short=lambda record: (views.summary if light else views.short)(books, kind, record),
        full=lambda record: views.document(books, kind, record, places),
        search=(kind.number or "Reference", "Reference"),
    )


def list_documents(call: Call) -> dict[str, Any]:
    """GET /Invoices, /CreditNotes, /Prepayments, /Overpayments."""
    kind = _kind(call)
    records: Iterable[Record] = call.books.table(kind).values()
    if kind is INVOICE:
        records = _narrowed(call, records)
    return list_records(call, _listing(call, kind), records)


def _narrowed(call: Call, records: Iterable[Record]) -> Iterable[Record]:
    numbers, contact_ids, statuses = call.values("InvoiceNumbers"), call.ids("ContactIDs"), call.values("Statuses")
    if numbers:
        wanted = set(numbers)
        records = [record for record in records if record["InvoiceNumber"] in wanted]
    if contact_ids:
        records = [record for record in records if record["ContactID"] in contact_ids]
    if statuses:
        records = [record for record in records if record["Status"] in statuses]
    return records


def one_document(call: Call) -> dict[str, Any]:
    """GET /Invoices/{InvoiceID or InvoiceNumber} and the like."""
    kind = _kind(call)
    record = _find(call.books, kind, call.path[1])
    newest = call.unseen_since()
    if newest is not None and record["_created"] > newest:
        raise NotFound
    return {kind.key: [views.document(call.books, kind, record, call.unit_places, whole_contact=True)]}


def create_documents(call: Call) -> Answer:
    """PUT /Invoices, /CreditNotes."""
    kind = _kind(call)

    def write(element: Record) -> Record:
        record = documents.create(call.books, kind, element, call.now, call.unit_places)
        return views.document(call.books, kind, record, call.unit_places, whole_contact=True)

    return write_batch(call, kind.key, kind.id, write)


def save_documents(call: Call) -> Answer:
    """POST /Invoices, /Invoices/{id} and the like: changes what is named, creates what is not there."""
    kind, books = _kind(call), call.books
    named = _find(books, kind, call.path[1]) if len(call.path) > 1 else None

    def write(element: Record) -> Record:
        existing = named or documents.find(books, kind, element)
        if existing is None:
            record = documents.create(books, kind, element, call.now, call.unit_places)
        else:
            record = documents.change(books, kind, existing, element, call.now, call.unit_places)
        return views.document(books, kind, record, call.unit_places, whole_contact=True)

    return write_batch(call, kind.key, kind.id, write)


def create_allocations(call: Call) -> Answer:
    """PUT /CreditNotes/{id}/Allocations and the like."""
    kind, books = _kind(call), call.books
    source_id = _find(books, kind, call.path[1])[kind.id]

    def write(element: Record) -> Record:
        source = books.table(kind)[source_id]
        return views.allocation(books, money.allocate(books, kind, source, element, call.now))

    return write_batch(call, "Allocations", "AllocationID", write)


def delete_allocation(call: Call) -> dict[str, Any]:
    """DELETE /CreditNotes/{id}/Allocations/{id} and the like."""
    record = money.deallocate(call.books, _kind(call), call.path[1], call.path[3], call.now)
    return {
        "AllocationID": record["AllocationID"],
        "Amount": record["Amount"],
        "Date": record["Date"],
        "Invoice": {"InvoiceID": record["InvoiceID"]},
        "IsDeleted": True,
    }


def list_payments(call: Call) -> dict[str, Any]:
    """GET /Payments."""
    books = call.books
    fields = plain_fields(
        PaymentID="guid",
        Date="date",
        Amount="number",
        BankAmount="number",
        Reference="text",
        Status="text",
        PaymentType="text",
        IsReconciled="bool",
        UpdatedDateUTC="date",
        CurrencyRate="number",
    )
    fields["Invoice.InvoiceID"] = Field("guid", lambda record: record["TargetID"])
    fields["Account.AccountID"] = Field("guid", lambda record: record["AccountID"])

    def number(record: Record) -> str | None:
        kind = KINDS[record["Target"]]
        return books.table(kind)[record["TargetID"]].get(kind.number or "")

    fields["Invoice.InvoiceNumber"] = Field("text", number)

    def view(record: Record) -> Record:
        return views.payment(books, record)

    return list_records(call, Listing("Payments", "Payment", "PaymentID", fields, view, view), books.payments.values())


def one_payment(call: Call) -> dict[str, Any]:
    """GET /Payments/{PaymentID}."""
    record = call.books.payments.get(read_guid(call.path[1]) or "")
    if record is None:
        raise NotFound
    return {"Payments": [views.payment(call.books, record, whole_document=True)]}


def save_payments(call: Call) -> Answer:
    """PUT /Payments, POST /Payments: new ones; POST with a PaymentID, in path or body: deletes."""

    def write(element: Record) -> Record:
        id_ = call.path[1] if len(call.path) > 1 else element.get("PaymentID")
        if id_ and call.method == "POST":
            record = money.unpay(call.books, str(id_), element, call.now)
        else:
            record = money.pay(call.books, element, call.now)
        return views.payment(call.books, record, whole_document=True)

    return write_batch(call, "Payments", "PaymentID", write, "HasValidationErrors")


def _kind(call: Call) -> Kind:
    for kind in KINDS.values():
        if kind.key == call.path[0]:
            return kind
    raise BadCall(10, "ValidationException", f"{call.path[0]} are not documents")


def _find(books: Books, kind: Kind, key: str) -> Record:
    found = books.table(kind).get(read_guid(key) or "")
    if found is None and kind in (INVOICE, CREDIT_NOTE):
        found = books.numbers[kind.name].first(key)
    if found is None:
        raise NotFound
    return found
