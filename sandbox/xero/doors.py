"""What a person would do in Xero's own screens, and what tests need: /_sandbox/ below the mount.

No rights are asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.state import Record
from sandbox.xero import auth, contacts
from sandbox.xero.books import KINDS, Books
from sandbox.xero.errors import BadCall, NotFound, Refused
from sandbox.xero.wire import dump, new_id, parse, read_date, read_number

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
    "QuantityOnHand",
    "TotalCostPool",
)
_LINE_AMOUNTS = ("Quantity", "UnitAmount", "LineAmount", "TaxAmount", "DiscountRate", "DiscountAmount")


class Doors:
    """Handlers over one organisation's books."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/raw/{table}", _guarded(self.read_raw), methods=["GET"]),
            Route("/_sandbox/raw/{table}", _guarded(self.write_raw), methods=["POST"]),
            Route("/_sandbox/raw/{table}/{id}", _guarded(self.remove_raw), methods=["DELETE"]),
            Route("/_sandbox/contacts/merge", _guarded(self.merge), methods=["POST"]),
            Route("/_sandbox/contacts/{id}/archive", _guarded(self.archive), methods=["POST"]),
            Route("/_sandbox/consent", _guarded(self.consent), methods=["POST"]),
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
        with self.books.state.lock, self.books.state.transaction():
            for record in records:
                kept = self._typed(table, record)
                self.books.state.table(table).put(kept[_ID_OF[table]], kept)
                ids.append(kept[_ID_OF[table]])
        return JSONResponse({"ids": ids})

    async def remove_raw(self, request: Request) -> Response:
        """A record is gone without a trace: no status, no time of change says so."""
        table, id_ = request.path_params["table"], request.path_params["id"]
        if table not in _ID_OF:
            return _unknown(table)
        with self.books.state.lock, self.books.state.transaction():
            if id_ not in self.books.state.table(table):
                raise NotFound
            self.books.state.table(table).delete(id_)
        return JSONResponse({"removed": id_})

    async def merge(self, request: Request) -> Response:
        """{"from": ContactID, "to": ContactID}."""
        sent = await _object(request)
        with self.books.state.lock, self.books.state.transaction():
            contacts.merge(self.books, str(sent.get("from")), str(sent.get("to")), self.books.now())
        return JSONResponse({"status": "ok"})

    async def archive(self, request: Request) -> Response:
        """Archives a contact."""
        with self.books.state.lock:
            record = self.books.contacts.get(request.path_params["id"])
            if record is None:
                raise NotFound
            archived = record | {"ContactStatus": "ARCHIVED", "UpdatedDateUTC": self.books.now()}
            self.books.contacts.put(record["ContactID"], archived)
        return JSONResponse({"status": "ok"})

    async def consent(self, request: Request) -> Response:
        """{"client_id": ...}: tokens with a first refresh token, as after a person's consent."""
        sent = await _object(request)
        with self.books.state.lock, self.books.state.transaction():
            return JSONResponse(auth.consent(self.books, str(sent.get("client_id")), self.books.now()))

    def _typed(self, table: str, record: Any) -> Record:
        """JSON's texts and numbers as the values that the tables hold."""
        if not isinstance(record, dict):
            raise Refused("a record must be an object")
        now = self.books.now()
        kept: Record = {"UpdatedDateUTC": now, "_created": now, _ID_OF[table]: new_id()} | record
        for field in _DATES:
            if isinstance(kept.get(field), str):
                kept[field] = read_date(kept[field], field)
        if isinstance(kept["UpdatedDateUTC"], str):
            kept["UpdatedDateUTC"] = _instant(kept["UpdatedDateUTC"])
        _decimals(kept, _AMOUNTS)
        for field in ("SalesDetails", "PurchaseDetails"):
            if isinstance(kept.get(field), dict):
                kept[field] = dict(kept[field])
                _decimals(kept[field], ("UnitPrice",))
        lines = kept.get("LineItems") or []
        if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
            raise Refused("LineItems must be a list of objects")
        for line in lines:
            _decimals(line, _LINE_AMOUNTS)
        contact = kept.pop("Contact", None)
        if isinstance(contact, dict):
            kept["ContactID"] = contact.get("ContactID")
        return _complete(self.books, table, kept)


def _instant(text: str) -> datetime:
    """2024-01-02T03:04:05.678Z, so that a test can say when a record was last changed. Raises Refused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"UpdatedDateUTC: {text!r} is no ISO date and time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Refusals as {"error": ...}."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except (Refused, BadCall) as error:
            return JSONResponse({"error": str(error)}, 400)
        except auth.TokenRefused as error:
            return JSONResponse(auth.error_body(error), error.status)
        except NotFound:
            return JSONResponse({"error": "no such record"}, 404)

    return guarded


async def _object(request: Request) -> Record:
    sent = parse(await request.body())
    if not isinstance(sent, dict):
        raise Refused("the body must be an object")
    return sent


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
    if table == "Items":
        return {"IsSold": True, "IsPurchased": True, "IsTrackedAsInventory": "QuantityOnHand" in kept,
                "SalesDetails": {}, "PurchaseDetails": {}} | kept  # fmt: skip
    if table == "Contacts":
        return {"Name": "", "ContactStatus": "ACTIVE"} | kept
    return kept


def _decimals(record: Record, fields: tuple[str, ...]) -> None:
    for field in fields:
        if record.get(field) is not None:
            record[field] = read_number(record[field], field)


def _unknown(table: str) -> Response:
    return JSONResponse({"error": f"unknown table {table!r}; known are {', '.join(_ID_OF)}"}, 404)
