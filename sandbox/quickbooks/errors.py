"""Intuit's ways of saying no: a Fault with errors of code, message and detail. The rules are where they are decided."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sandbox.fault_middleware import FaultAnswer

_BUSINESS = "A business validation error has occurred while processing your request"
_INACTIVE = (
    "Something you're trying to use has been made inactive. Check the fields with accounts, customers, items, "
    "vendors or employees."
)


class Refused(Exception):
    """One request, or one item of a batch, is refused."""

    def __init__(
        self, code: str, message: str, detail: str, element: str = "", kind: str = "ValidationFault", status: int = 400
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.message = message
        self.detail = detail
        self.element = element
        self.kind = kind
        self.status = status

    def fault(self) -> dict[str, Any]:
        error = {"Message": self.message, "Detail": self.detail, "code": self.code}
        if self.element:
            error["element"] = self.element
        return {"Error": [error], "type": self.kind}


def business(detail: str) -> Refused:
    return Refused("6000", _BUSINESS, f"Business Validation Error: {detail}")


def unsupported(detail: str, code: str = "2010") -> Refused:
    """A body that cannot be read, or a property that is not there or of another kind."""
    return Refused(code, "Request has invalid or unsupported property", detail)


def missing(name: str) -> Refused:
    message = "Required param missing, need to supply the required value for the API"
    return Refused("2020", message, f"Required parameter {name} is missing in the request", name)


def not_found(element: str = "") -> Refused:
    return Refused("610", "Object Not Found", f"Object Not Found : {_INACTIVE}", element)


def bad_reference(what: str, given: object) -> Refused:
    return Refused("2500", "Invalid Reference Id", f"Invalid Reference Id : {what} element id {given} not found", what)


def bad_id(given: object) -> Refused:
    return Refused("2030", "Invalid ID", f"Id should be a valid number. Supplied value:{given}", "Id")


def bad_number(element: str, given: object) -> Refused:
    return Refused("2090", "Invalid Number", f"{element} is not a valid number. Supplied value:{given}", element)


def bad_date(element: str, given: object) -> Refused:
    detail = (
        f"Property Name:{element} specified is unsupported or invalid; a date is YYYY-MM-DD. Supplied value:{given}"
    )
    return unsupported(detail)


def too_long(element: str, most: int, length: int) -> Refused:
    message = "String length is either shorter or longer than supported by specification"
    return Refused("2050", message, f"Min:0 Max:{most} supported. Supplied length:{length}", element)


def stale() -> Refused:
    words = (
        "You and another user were working on this at the same time. The other user finished before you did, "
        "so your work was not saved."
    )
    return Refused("5010", "Stale Object Error", f"Stale Object Error : {words}")


def duplicate_number(number: str, txn_type: str, txn_id: str) -> Refused:
    detail = (
        "Duplicate Document Number Error : You must specify a different number. This number has already been used. "
        f"DocNumber={number} is assigned to TxnType={txn_type} with TxnId={txn_id}"
    )
    return Refused("6140", "Duplicate Document Number Error", detail)


def duplicate_name(id_: str) -> Refused:
    detail = f"The name supplied already exists. : Id={id_}"
    return Refused("6240", "Duplicate Name Exists Error", detail)


def closed() -> Refused:
    detail = (
        "The account period has closed and the account books cannot be updated through the QBO Services API. "
        "Please use the QBO website to make these changes."
    )
    return Refused("6210", "Account Period Closed, Cannot Update Through Services API", detail)


def wrong_amount(given: object) -> Refused:
    detail = f"Amount is not equal to UnitPrice * Qty. Supplied value:{given}"
    return Refused("6070", "Amount calculation incorrect in the request.", detail, "Line.Amount")


def unknown_operation(detail: str) -> Refused:
    return Refused("500", "Unsupported Operation", f"Operation {detail} is not supported.")


def query_syntax(detail: str) -> Refused:
    return Refused("4000", "Error parsing query", f"QueryParserError: {detail}")


def query_invalid(detail: str) -> Refused:
    return Refused("4001", "Invalid query", f"QueryValidationError: {detail}")


def unauthenticated(detail: str) -> Refused:
    message = "message=AuthenticationFailed; errorCode=003200; statusCode=401"
    return Refused("3200", message, detail, kind="AuthenticationFault", status=401)


def forbidden(detail: str) -> Refused:
    message = "message=ApplicationAuthorizationFailed; errorCode=003100; statusCode=403"
    return Refused("3100", message, detail, kind="AuthorizationFault", status=403)


def throttled() -> Refused:
    message = "message=ThrottleExceeded; errorCode=003001; statusCode=429"
    return Refused("3001", message, "The request limit was reached.  Try again later", kind="SERVICE", status=429)


def fault_answer(fault: str, params: Mapping[str, Any]) -> FaultAnswer:
    """What Intuit would say when the fault plan asks for one of its errors."""
    if fault == "expired_token":
        refused = unauthenticated("Token expired")
    elif fault == "status_429":
        refused = throttled()
    else:
        message = "An application error has occurred while processing your request"
        detail = "System Failure Error: the fault plan asked for it"
        refused = Refused("10000", message, detail, kind="SystemFault", status=500)
    body = {"Fault": refused.fault(), "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
    headers = {"Retry-After": str(params["retry_after"])} if "retry_after" in params else {}
    return FaultAnswer(refused.status, json.dumps(body).encode(), headers)
