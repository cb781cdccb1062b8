"""/api.xro/2.0: which call goes to which endpoint, and what every call passes through.

In order: rights, limits, idempotency key, the endpoint in one transaction, the answer. Faults of the wire are outside
of all this (fault_middleware).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sandbox.faults import Faults
from sandbox.xero import auth, contacts, history, idempotency, journals, received, reference, transactions
from sandbox.xero.books import Books
from sandbox.xero.call import Call
from sandbox.xero.errors import BadCall, NotFound, Problem, Refused
from sandbox.xero.limits import Limiter
from sandbox.xero.wire import dump, envelope

PREFIX = "/api.xro/2.0/"
MAX_BODY = 3_500_000  # bytes

Endpoint = Callable[[Call], Any]

_DOCUMENTS: Mapping[str, Endpoint] = {
    "GET": transactions.list_documents,
    "PUT": transactions.create_documents,
    "POST": transactions.save_documents,
}
_DOCUMENT: Mapping[str, Endpoint] = {"GET": transactions.one_document, "POST": transactions.save_documents}
_READ_ONLY: Mapping[str, Endpoint] = {"GET": transactions.list_documents}
_ALLOCATIONS: Mapping[str, Endpoint] = {"PUT": transactions.create_allocations}
_ALLOCATION: Mapping[str, Endpoint] = {"DELETE": transactions.delete_allocation}

# `*` stands for one part of the path.
ENDPOINTS: Mapping[tuple[str, ...], Mapping[str, Endpoint]] = {
    ("Organisation",): {"GET": reference.organisation},
    ("Currencies",): {"GET": reference.currencies, "PUT": reference.add_currency},
    ("Accounts",): {"GET": reference.list_accounts, "PUT": reference.save_account},
    ("Accounts", "*"): {"GET": reference.one_account, "POST": reference.save_account},
    ("TaxRates",): {
        "GET": reference.list_tax_rates,
        "PUT": reference.save_tax_rate,
        "POST": reference.save_tax_rate,
    },
    ("Items",): {"GET": reference.list_items, "PUT": reference.save_items, "POST": reference.save_items},
    ("Items", "*"): {"GET": reference.one_item, "POST": reference.save_items, "DELETE": reference.delete_item},
    ("Contacts",): {"GET": contacts.listing, "PUT": contacts.create, "POST": contacts.save},
    ("Contacts", "*"): {"GET": contacts.one, "POST": contacts.save},
    ("Invoices",): _DOCUMENTS,
    ("Invoices", "*"): _DOCUMENT,
    ("CreditNotes",): _DOCUMENTS,
    ("CreditNotes", "*"): _DOCUMENT,
    ("CreditNotes", "*", "Allocations"): _ALLOCATIONS,
    ("CreditNotes", "*", "Allocations", "*"): _ALLOCATION,
    ("BankTransactions",): {"PUT": received.create},
    ("Prepayments",): _READ_ONLY,
    ("Prepayments", "*"): {"GET": transactions.one_document},
    ("Prepayments", "*", "Allocations"): _ALLOCATIONS,
    ("Prepayments", "*", "Allocations", "*"): _ALLOCATION,
    ("Overpayments",): _READ_ONLY,
    ("Overpayments", "*"): {"GET": transactions.one_document},
    ("Overpayments", "*", "Allocations"): _ALLOCATIONS,
    ("Overpayments", "*", "Allocations", "*"): _ALLOCATION,
    ("Payments",): {
        "GET": transactions.list_payments,
        "PUT": transactions.save_payments,
        "POST": transactions.save_payments,
    },
    ("Payments", "*"): {"GET": transactions.one_payment, "POST": transactions.save_payments},
    ("Reports", "TrialBalance"): {"GET": journals.trial_balance},
    **{
        (what, "*", "History"): {"GET": history.listing}
        for what in ("Invoices", "CreditNotes", "Payments", "Prepayments", "Overpayments")
    },
}


class Api:
    """The Accounting API over one organisation's books."""

    def __init__(self, books: Books, faults: Faults, limiter: Limiter) -> None:
        self.books = books
        self.faults = faults
        self.limiter = limiter

    async def handle(self, request: Request) -> Response:
        """One call, from rights to answer."""
        path = tuple(part for part in request.path_params["path"].split("/") if part)
        now = self.books.now()
        try:
            client = self._authorise(request, path)
            minute = float(self.books.setting("minute_seconds"))
            headers = self.limiter.enter(client, self.books.setting("limits"), now, minute)
        except Problem as problem:
            return _json(problem.status, problem.body(), problem.headers)
        try:
            body = await request.body()
            latency = float(self.books.setting("latency_seconds"))
            if latency:
                await asyncio.sleep(latency)
            query = {name.lower(): value for name, value in request.query_params.items()}
            now = self.books.now()
            call = Call(self.books, self.faults, request.method, path, query, request.headers, body, client, now)
            with self.books.state.lock:
                self.books.user = self.books.setting("clients").get(client, {}).get("user") or history.SYSTEM
                answer = _answer(call)
        finally:
            self.limiter.leave(client)
        answer.headers.update(headers)
        return answer

    def _authorise(self, request: Request, path: tuple[str, ...]) -> str:
        resource = path[0] if path else ""
        return auth.authorise(self.books, request.headers, resource, request.method != "GET", self.books.now())


def _answer(call: Call) -> Response:
    try:
        if "application/json" not in call.headers.get("accept", ""):
            return PlainTextResponse("Without 'Accept: application/json' Xero answers XML, which is not modelled.", 406)
        if len(call.body) > MAX_BODY:
            raise BadCall(413, "RequestEntityTooLargeException", f"The body exceeds {MAX_BODY} bytes.", 413)
        endpoint = _endpoint(call)
        with call.books.state.transaction():
            first = idempotency.first_answer(call)
            if first is not None:
                return Response(first[1], first[0], media_type="application/json")
            status, body = _run(call, endpoint)
            idempotency.keep(call, status, body.decode())
        return Response(body, status, media_type="application/json")
    except BadCall as error:
        return _json(error.status, error.body())
    except NotFound:
        return PlainTextResponse(NotFound.MESSAGE, 404)


def _run(call: Call, endpoint: Endpoint) -> tuple[int, bytes]:
    try:
        result = endpoint(call)
    except Refused as refused:
        body = BadCall(10, "ValidationException", "A validation exception occurred").body()
        elements = [{"ValidationErrors": [{"Message": message} for message in refused.messages]}]
        return 400, dump(body | {"Elements": elements})
    if result is None:
        return 204, b""
    status, content = result if isinstance(result, tuple) else (200, result)
    if status == 200 and "IsDeleted" not in content:
        content = envelope(call.now) | content
    return status, dump(content)


def _endpoint(call: Call) -> Endpoint:
    for pattern, methods in ENDPOINTS.items():
        fits = len(pattern) == len(call.path) and all(a in ("*", b) for a, b in zip(pattern, call.path, strict=True))
        if fits:
            if call.method not in methods:
                raise BadCall(21, "MethodNotAllowedException", f"{call.method} is not allowed here.", 405)
            return methods[call.method]
    raise NotFound


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dump(body), status, headers=dict(headers or {}), media_type="application/json")
