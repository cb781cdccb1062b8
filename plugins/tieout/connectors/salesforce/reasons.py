"""What Salesforce's error codes mean for us: one table for items of a collection, one for whole answers."""

from __future__ import annotations

from typing import Any

from tieout.connectors.http import Reply, http_fault
from tieout.connectors.wire import Clock
from tieout.model.connection import Connection
from tieout.model.errors import (
    AuthenticationFailed,
    Fatal,
    PermissionDenied,
    RateLimited,
    Retriable,
    TieoutError,
    VendorFault,
)

#: statusCode of one item -> our stable reason.
ITEM_REASONS = {
    "DUPLICATE_VALUE": "duplicate_value",
    "DUPLICATE_EXTERNAL_ID": "duplicate_value",
    "DUPLICATES_DETECTED": "duplicate_rule",
    "ENTITY_IS_DELETED": "record_deleted",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "validation",
    "FIELD_INTEGRITY_EXCEPTION": "validation",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "permission_denied",
    "INSUFFICIENT_ACCESS_OR_READONLY": "permission_denied",
    "INVALID_CROSS_REFERENCE_KEY": "record_not_found",
    "INVALID_CURRENCY_ISO": "invalid_currency",
    "INVALID_FIELD": "unknown_field",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "field_not_writable",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "invalid_choice",
    "INVALID_TYPE_ON_FIELD_IN_RECORD": "wrong_type",
    "JSON_PARSER_ERROR": "body_unreadable",
    "MALFORMED_ID": "record_not_found",
    "NUMBER_OUTSIDE_VALID_RANGE": "number_too_large",
    "NUMERIC_OVERFLOW": "number_too_large",
    "REQUIRED_FIELD_MISSING": "required_field_missing",
    "STRING_TOO_LONG": "text_too_long",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "automation_refused",
}
#: Codes that say "not applied, but a later try may be": seconds to wait.
ITEM_WAITS = {
    "UNABLE_TO_LOCK_ROW": 5.0,
    "REQUEST_LIMIT_EXCEEDED": 900.0,
    "REQUEST_RUNNING_TOO_LONG": 30.0,
    "SERVER_UNAVAILABLE": 30.0,
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": 1.0,
}
ALLOWANCE_WAIT = 900.0  # seconds: the 24-hour allowance is a moving window, so some of it comes back all the time
CONCURRENT_WAIT = 5.0  # seconds: too many long calls at once, a limit with the same code
_DENIED = {
    "INSUFFICIENT_ACCESS",
    "INSUFFICIENT_ACCESS_OR_READONLY",
    "FUNCTIONALITY_NOT_ENABLED",
    "API_DISABLED_FOR_ORG",
}
#: What an integration user sees of an object or field that it has no right to: as if it were not there.
_HIDDEN = {"INVALID_TYPE", "INVALID_FIELD", "NOT_FOUND"}


def errors_of(reply: Reply) -> list[tuple[str, str]]:
    """(errorCode, message) pairs of an answer; empty when it has none that can be read."""
    try:
        answer = reply.json()
    except ValueError:
        return []
    items = answer if isinstance(answer, list) else [answer]
    return [_pair(item) for item in items if isinstance(item, dict) and ("errorCode" in item or "error" in item)]


def _pair(item: dict[str, Any]) -> tuple[str, str]:
    code = item.get("errorCode") or item.get("error") or ""
    return str(code), str(item.get("message") or item.get("error_description") or "")[:300]


def fault(connection: Connection, clock: Clock, reply: Reply) -> TieoutError:
    """The error that an answer of 300 or more stands for."""
    pairs = errors_of(reply)
    code, message = pairs[0] if pairs else ("", "")
    # A message may quote our query: that holds names of fields, ids, instants and our own keys, never customers' data.
    where = f"{connection.name}: HTTP {reply.status}{' ' + code if code else ''}"
    if code == "REQUEST_LIMIT_EXCEEDED" and message.lower().startswith("concurrent"):
        wait = reply.retry_after(clock.now().timestamp(), CONCURRENT_WAIT)
        return RateLimited(f"{where}: too many calls are under way at the same time", wait)
    if code == "REQUEST_LIMIT_EXCEEDED":
        wait = reply.retry_after(clock.now().timestamp(), ALLOWANCE_WAIT)
        return RateLimited(f"{where}: the organisation's API calls are used up; raise the allowance or sync less", wait)
    if reply.status >= 500 or code in ("UNABLE_TO_LOCK_ROW", "QUERY_TIMEOUT", "SERVER_UNAVAILABLE"):
        return Retriable(where)
    if reply.status == 401:
        return AuthenticationFailed(f"{where}: a fresh token is refused; check the app's policies and the user")
    if code in _DENIED or reply.status == 403:
        return PermissionDenied(f"{where}: {message}; give the integration user the permission set of the README")
    if code in _HIDDEN:
        return PermissionDenied(f"{where}: {message}; it does not exist, or the integration user may not see it")
    if code == "INVALID_REPLICATION_DATE":
        return Fatal(f"{where}: deletions are kept for 15 days; read the object whole once")
    if code:
        return VendorFault(f"{where}: {message}")
    return http_fault(connection.name, reply, clock)
