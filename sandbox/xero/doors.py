"""What a person would do in Xero's own screens, and what tests need: /_sandbox/ below the mount.

No rights are asked.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.state import Record
from sandbox.xero import auth, contacts
from sandbox.xero.books import KINDS, Books
from sandbox.xero.errors import NotFound, Refused
from sandbox.xero.wire import dump, new_id, parse, read_date

_ID_OF = {kind.key: kind.id for kind in KINDS.values()} | {
    "Contacts": "ContactID",
    "Items": "ItemID",
    "Accounts": "AccountID",
    "TaxRates": "TaxType",
    "Payments": "PaymentID",
    "Allocations": "AllocationID",
}
_DATES = ("Date", "DueDate", "FullyPaidOnDate", "ExpectedPaymentDate", "PlannedPaymentDate")
_AMOUNTS = (
    "Total",
    "SubTotal",
    "TotalTax",
    "TotalDiscount",
    "AmountDue",
    "AmountPaid",
    "AmountCredited",
    "RemainingCredit",
    "Amount",
    "BankAmount",
    "CurrencyRate",
    "EffectiveRate",
    "DisplayTaxRate",
)
_LINE_AMOUNTS = ("Quantity", "UnitAmount", "LineAmount", "TaxAmount", "DiscountRate", "DiscountAmount")


class Doors:
    """Handlers over one organisation's books."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/raw/{table}", self.read_raw, methods=["GET"]),
            Route("/_sandbox/raw/{table}", self.write_raw, methods=["POST"]),
            Route("/_sandbox/contacts/merge", self.merge, methods=["POST"]),
            Route("/_sandbox/contacts/{id}/archive", self.archive, methods=["POST"]),
            Route("/_sandbox/consent", self.consent, methods=["POST"]),
        ]

    async def read_raw(self, request: Request) -> Response:
        """The records as they are kept."""
        table = request.path_params["table"]
        if table not in _ID_OF:
            return _unknown(table)
        return Response(dump(list(self.books.state.table(table).values())), media_type="application/json")

    async def write_raw(self, request: Request) -> Response:
        """Puts records in as they are: no rule is asked; {"ids": [...]}."""
        table = request.path_params["table"]
        if table not in _ID_OF:
            return _unknown(table)
        sent = parse(await request.body())
        records = sent if isinstance(sent, list) else [sent]
        ids = []
        try:
            with self.books.state.lock, self.books.state.transaction():
                for record in records:
                    kept = self._typed(table, record)
                    self.books.state.table(table).put(kept[_ID_OF[table]], kept)
                    ids.append(kept[_ID_OF[table]])
        except Refused as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"ids": ids})

    async def merge(self, request: Request) -> Response:
        """{"from": ContactID, "to": ContactID}."""
        sent = json.loads(await request.body())
        try:
            with self.books.state.lock, self.books.state.transaction():
                contacts.merge(self.books, sent["from"], sent["to"], self.books.now())
        except NotFound:
            return JSONResponse({"error": "no such contact"}, 404)
        return JSONResponse({"status": "ok"})

    async def archive(self, request: Request) -> Response:
        """Archives a contact."""
        with self.books.state.lock:
            record = self.books.contacts.get(request.path_params["id"])
            if record is None:
                return JSONResponse({"error": "no such contact"}, 404)
            archived = record | {"ContactStatus": "ARCHIVED", "UpdatedDateUTC": self.books.now()}
            self.books.contacts.put(record["ContactID"], archived)
        return JSONResponse({"status": "ok"})

    async def consent(self, request: Request) -> Response:
        """{"client_id": ...}: tokens with a first refresh token, as after a person's consent."""
        sent = json.loads(await request.body())
        try:
            with self.books.state.lock, self.books.state.transaction():
                return JSONResponse(auth.consent(self.books, sent.get("client_id", ""), self.books.now()))
        except auth.TokenRefused as error:
            return JSONResponse(auth.error_body(error), error.status)

    def _typed(self, table: str, record: Any) -> Record:
        """JSON's texts and numbers as the values that the tables hold."""
        if not isinstance(record, dict):
            raise Refused("a record must be an object")
        now = self.books.now()
        kept: Record = {"UpdatedDateUTC": now, "_created": now, _ID_OF[table]: new_id()} | record
        for field in _DATES:
            if isinstance(kept.get(field), str):
                kept[field] = read_date(kept[field], field)
        _decimals(kept, _AMOUNTS)
        for line in kept.get("LineItems") or ():
            _decimals(line, _LINE_AMOUNTS)
        contact = kept.pop("Contact", None)
        if isinstance(contact, dict):
            kept["ContactID"] = contact.get("ContactID")
        return _complete(self.books, table, kept)


def _complete(books: Books, table: str, kept: Record) -> Record:
    """Fields without which the record could not be shown."""
    if table in {kind.key for kind in KINDS.values()}:
        if kept.get("ContactID") not in books.contacts:
            raise Refused("a document needs the ContactID of a contact that is there")
        total = kept.get("Total", Decimal("0.00"))
        blank: Record = {"Type": "", "Status": "AUTHORISED", "LineAmountTypes": "Exclusive", "LineItems": []}
        blank |= {"Date": books.now().date(), "DueDate": None, "FullyPaidOnDate": None, "Total": total}
        blank |= {"SubTotal": total, "TotalTax": Decimal("0.00"), "Reference": "", "SentToContact": False}
        blank |= {"CurrencyCode": books.setting("base_currency"), "CurrencyRate": Decimal("1.000000")}
        if table == "Invoices":
            blank |= {"InvoiceNumber": "", "AmountDue": total, "AmountPaid": total * 0, "AmountCredited": total * 0}
        else:
            blank |= {"RemainingCredit": total}
        return blank | kept
    if table == "Contacts":
        return {"Name": "", "ContactStatus": "ACTIVE"} | kept
    return kept


def _decimals(record: Record, fields: tuple[str, ...]) -> None:
    for field in fields:
        if isinstance(record.get(field), int | str):
            record[field] = Decimal(record[field])


def _unknown(table: str) -> Response:
    return JSONResponse({"error": f"unknown table {table!r}; known are {', '.join(_ID_OF)}"}, 404)
