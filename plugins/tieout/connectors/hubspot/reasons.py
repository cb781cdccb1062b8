"""What HubSpot's errors mean for us: categories, codes and policies into our own tree and our stable reasons.

An error is `{status, category, message, correlationId, errors: [{message, code, in, context}], context}`; that of one
item of a batch has the same shape. Codes of properties stand in `errors[].code`, or inside the message as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tieout.connectors.http import Reply, http_fault
from tieout.connectors.pace import Problem
from tieout.connectors.wire import Clock
from tieout.model.connection import Connection
from tieout.model.errors import (
    AuthenticationFailed,
    PermissionDenied,
    RateLimited,
    Retriable,
    TieoutError,
    VendorFault,
)

OTHER = "validation"
#: A code or category -> our stable reason.
REASONS: Mapping[str, str] = {
    "PROPERTY_DOESNT_EXIST": "unknown_field",
    "INVALID_OPTION": "invalid_choice",
    "READ_ONLY_VALUE": "field_not_writable",
    "READ_ONLY_PROPERTY": "field_not_writable",
    "INVALID_INTEGER": "wrong_type",
    "INVALID_LONG": "wrong_type",
    "INVALID_NUMBER": "wrong_type",
    "INVALID_DECIMAL": "wrong_type",
    "INVALID_DATE": "wrong_type",
    "INVALID_DATETIME": "wrong_type",
    "INVALID_BOOLEAN": "wrong_type",
    "INVALID_EMAIL": "wrong_type",
    "NUMBER_OUT_OF_RANGE": "number_too_large",
    "PROPERTY_VALUE_TOO_LONG": "text_too_long",
    "VALUE_TOO_LONG": "text_too_long",
    "REQUIRED_PROPERTY_MISSING": "required_field_missing",
    "MISSING_REQUIRED_PROPERTY": "required_field_missing",
    "REQUIRED_FIELD": "required_field_missing",
    "CONFLICTING_UNIQUE_VALUE": "duplicate_value",
    "UNIQUE_VALUE_CONFLICT": "duplicate_value",
    "CONFLICT": "duplicate_value",
    "OBJECT_NOT_FOUND": "record_not_found",
    "RESOURCE_NOT_FOUND": "record_not_found",
    "INVALID_OBJECT_IDS": "record_not_found",
    "MISSING_SCOPES": "permission_denied",
    "INVALID_CURRENCY": "invalid_currency",
}
#: Sentences that come without a code.
_SENTENCES = (
    ("duplicate_value", re.compile(r"already has that value|duplicate (?:value|ids)|must be unique", re.IGNORECASE)),
    ("record_not_found", re.compile(r"not (?:be )?found|do(?:es)? not exist|could not get some", re.IGNORECASE)),
    ("text_too_long", re.compile(r"too long|max(?:imum)? length|at most \d+ characters", re.IGNORECASE)),
    ("invalid_currency", re.compile(r"currency", re.IGNORECASE)),
)
_CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
DAY_WAIT = 900.0  # seconds: the day ends at midnight of a time zone that the answer does not name
WINDOW_WAIT = 10.0
SECOND_WAIT = 1.0


def error_of(reply: Reply) -> Mapping[str, Any]:
    """The error object of an answer; empty when it has none that can be read."""
    try:
        answer = reply.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def reason_of(error: Mapping[str, Any]) -> str:
    """The stable reason of one error: the first code that is known, else by its category or words."""
    inner = [one for one in error.get("errors") or [] if isinstance(one, dict)]
    codes = [str(one.get("code") or one.get("subCategory") or "") for one in (*inner, error)]
    codes += _CODE.findall(str(error.get("message") or ""))
    codes += [code for one in inner for code in _CODE.findall(str(one.get("message") or ""))]
    codes.append(str(error.get("category") or ""))
    for code in codes:
        if code.rpartition(".")[2] in REASONS:
            return REASONS[code.rpartition(".")[2]]
    text = message_of(error)
    return next((reason for reason, words in _SENTENCES if words.search(text)), OTHER)


def message_of(error: Mapping[str, Any]) -> str:
    """What HubSpot says, with its category in front."""
    inner = [str(one.get("message") or "") for one in error.get("errors") or [] if isinstance(one, dict)]
    own = str(error.get("message") or error.get("error_description") or "")
    text = "; ".join(dict.fromkeys(part for part in (own, *inner) if part))[:400]
    category = str(error.get("category") or error.get("errorType") or "")[:60]
    return f"{category}: {text}" if category and text else category or text


def policy(reply: Reply) -> tuple[Problem, float]:
    """Which limit a 429 is about, and seconds to wait where it does not say."""
    error = error_of(reply)
    name = f"{error.get('policyName') or ''} {error.get('message') or ''}".upper()
    if "DAILY" in name:
        return "day", DAY_WAIT
    if "TEN_SECOND" in name:
        return "window", WINDOW_WAIT
    if "SECOND" in name:
        return "other", SECOND_WAIT
    return "other", WINDOW_WAIT


def fault(connection: Connection, clock: Clock, reply: Reply) -> TieoutError:
    """The error that an answer of 300 or more stands for."""
    error = error_of(reply)
    category = str(error.get("category") or "")
    text = message_of(error)
    where = f"{connection.name}: HTTP {reply.status}{': ' + text if text else ''}"
    if reply.status == 429:
        wait = reply.retry_after(clock.now().timestamp(), policy(reply)[1])
        return RateLimited(f"{where}; policy {error.get('policyName') or 'not named'}", wait)
    if reply.status in (423, 477):
        # A record that is locked, or an account that is being moved: HubSpot says how long.
        return RateLimited(where, reply.retry_after(clock.now().timestamp(), 30.0))
    if reply.status == 408 or reply.status >= 500:
        return Retriable(where)
    if reply.status == 401:
        return AuthenticationFailed(f"{where}; HubSpot refuses the credentials: put the connection's token right")
    if reply.status == 403 or category == "MISSING_SCOPES":
        scopes = ", ".join(sorted(_scopes(error)))
        wanted = f"needed: {scopes}" if scopes else "the README of connectors/hubspot lists them"
        return PermissionDenied(f"{where}; give the app the scopes ({wanted})")
    if reply.status == 404 or reason_of(error) == "unknown_field":
        return PermissionDenied(f"{where}; it does not exist, or the app may not see it: see the connector's set-up")
    return VendorFault(where) if text else http_fault(connection.name, reply, clock)


def _scopes(error: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for one in (error, *(error.get("errors") or [])):
        context = one.get("context") if isinstance(one, dict) else None
        for name in ("requiredScopes", "requiredGranularScopes", "missingScopes"):
            found |= {str(scope) for scope in (context or {}).get(name) or []}
    return found
