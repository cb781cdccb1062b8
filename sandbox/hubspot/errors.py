"""HubSpot's errors: {status, category, message, correlationId, context, errors}."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sandbox.fault_middleware import FaultAnswer

Detail = dict[str, Any]


class Problem(Exception):
    """A refusal; `body()` is what goes out."""

    def __init__(
        self,
        status: int,
        category: str,
        message: str,
        *,
        errors: Sequence[Detail] = (),
        context: Mapping[str, Sequence[str]] | None = None,
        sub_category: str = "",
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.message = message
        self.errors = list(errors)
        self.context = {key: list(values) for key, values in (context or {}).items()}
        self.sub_category = sub_category
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"status": "error", "message": self.message, "correlationId": str(uuid.uuid4())}
        if self.context:
            shown["context"] = self.context
        if self.errors:
            shown["errors"] = self.errors
        if self.category:
            shown["category"] = self.category
        if self.sub_category:
            shown["subCategory"] = self.sub_category
        return shown | self.more

    def item(self, trace: str | None) -> dict[str, Any]:
        """As one of the `errors` of a 207; the id of the write stands in the context."""
        context = self.context | ({"objectWriteTraceId": [trace]} if trace is not None else {})
        item = {"status": "error", "category": self.category, "message": self.message}
        return item | {"context": context, "errors": self.errors, "links": {}}


def invalid(message: str, *errors: Detail, **context: Sequence[str]) -> Problem:
    return Problem(400, "VALIDATION_ERROR", message, errors=errors, context=context)


def bad_json(reason: str) -> Problem:
    return invalid(f"Invalid input JSON on line 1, column 1: {reason}")


def not_found(message: str = "resource not found") -> Problem:
    return Problem(404, "OBJECT_NOT_FOUND", message)


def conflict(message: str) -> Problem:
    return Problem(409, "CONFLICT", message)


def unauthenticated() -> Problem:
    return Problem(
        401,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more "
        "details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
    )


def expired(when: datetime, now: datetime) -> Problem:
    seconds = max(0, int((now - when).total_seconds()))
    message = f"The OAuth token used to make this call expired {seconds} second(s) ago."
    return Problem(401, "EXPIRED_AUTHENTICATION", message, context={"expire time": [when.isoformat()]})


def missing_scopes(scope: str) -> Problem:
    detail = {"message": "One or more of the following scopes are required.", "context": {"requiredScopes": [scope]}}
    message = "This app hasn't been granted all required scopes to make this call."
    return Problem(403, "MISSING_SCOPES", message, errors=[detail])


def too_many(policy: str, headers: Mapping[str, str] | None = None) -> Problem:
    """429; policy is TEN_SECONDLY_ROLLING, SECONDLY or DAILY."""
    more = {"errorType": "RATE_LIMIT", "policyName": policy}
    return Problem(429, "RATE_LIMITS", f"You have reached your {policy.lower()} limit.", more=more, headers=headers)


def fault_answer(fault: str, params: Mapping[str, Any]) -> FaultAnswer:
    """What HubSpot would say to a call that suffers this fault of the wire."""
    if fault == "status_429":
        wait = {"Retry-After": str(params["retry_after"])} if "retry_after" in params else {}
        problem = too_many(str(params.get("which", "TEN_SECONDLY_ROLLING")).upper(), wait)
    elif fault == "expired_token":
        problem = Problem(401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired.")
    else:
        problem = Problem(500, "INTERNAL_ERROR", "internal error")
    return FaultAnswer(problem.status, json.dumps(problem.body()).encode(), problem.headers)
