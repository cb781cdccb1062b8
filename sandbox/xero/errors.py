"""Xero's ways of saying no: a refused element, a bad call, a problem of rights or limits, nothing found.

The shapes are Xero's; which rule is broken is decided where the rule is.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.fault_middleware import FaultAnswer


class Refused(Exception):
    """One element breaks a rule; becomes its ValidationErrors."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages: Sequence[str] = messages


class BadCall(Exception):
    """The call itself cannot be read: HTTP 400 with an ErrorNumber."""

    def __init__(self, number: int, kind: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.number = number
        self.kind = kind
        self.message = message
        self.status = status

    def body(self) -> dict[str, Any]:
        return {"ErrorNumber": self.number, "Type": self.kind, "Message": self.message}


class Problem(Exception):
    """No right to call, or not now: {Type, Title, Status, Detail, Instance, Extensions}."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        return {
            "Type": None,
            "Title": self.title,
            "Status": self.status,
            "Detail": self.detail,
            "Instance": str(uuid.uuid4()),
            "Extensions": {},
        }


class NotFound(Exception):
    """No such record or endpoint: HTTP 404 with a line of text."""

    MESSAGE = "The resource you're looking for cannot be found"


def bad_json(message: str = "Invalid Json data") -> BadCall:
    return BadCall(14, "PostDataInvalidException", message)


def bad_query(message: str) -> BadCall:
    return BadCall(16, "QueryParseException", message)


def token_expired(at: datetime) -> Problem:
    return Problem(401, "Unauthorized", f"TokenExpired: token expired at {at:%m/%d/%Y %H:%M:%S}")


def too_many(which: str, retry_after: int) -> Problem:
    """`which` is minute, day, concurrent or appminute; the wait is in seconds."""
    headers = {"Retry-After": str(retry_after), "X-Rate-Limit-Problem": which}
    return Problem(429, "Too Many Requests", f"The {which} limit was exceeded", headers)


def fault_answer(fault: str, params: Mapping[str, Any]) -> FaultAnswer:
    """What Xero would say when the fault plan asks for one of its errors."""
    if fault == "error_500":
        body = {"ErrorNumber": 500, "Type": "InternalServerError", "Message": "An error occurred in Xero."}
        return FaultAnswer(500, json.dumps(body).encode())
    if fault == "expired_token":
        problem = token_expired(datetime.now(UTC))
    else:
        problem = too_many(str(params.get("which", "minute")), int(params.get("retry_after", 60)))
    return FaultAnswer(problem.status, json.dumps(problem.body()).encode(), problem.headers)
