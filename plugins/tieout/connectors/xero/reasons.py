"""What Xero's messages mean for us: the one table of stable reason codes, and what a whole answer stands for.

Xero gives no codes, only sentences: they are matched by their words, without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tieout.connectors.http import Reply, http_fault
from tieout.connectors.wire import Clock
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, PermissionDenied, Retriable, TieoutError, VendorFault

OTHER = "validation"
#: In this order: the first one that fits is the reason.
REASONS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(words, re.IGNORECASE))
    for reason, words in (
        ("idempotency_mismatch", r"idempotency[ -]key.*different request"),
        ("duplicate_number", r"(?:invoice|credit note) (?:#|number).*must be unique"),
        ("period_locked", r"lock date|period is locked"),
        ("contact_archived", r"contact\b.*\barchived|not.* valid for contacts|un-?archive"),
        ("duplicate_contact_name", r"contact name.*(?:already assigned|must be unique)"),
        ("duplicate_contact_number", r"contact number.*(?:already|different)|another contact has this contact number"),
        ("contact_not_found", r"contact.*(?:could not be found|must be specified|not found)"),
        ("invalid_account", r"account (?:code )?'?[^']*'? ?(?:is not a valid|has been archived|must be)|valid account"),
        ("invalid_tax_type", r"tax ?type|tax rate"),
        (
            "invalid_currency",
            r"currency.*(?:not (?:subscribed|enabled|valid)|invalid|does not exist)|subscribed to",
        ),
        ("invalid_currency_rate", r"currency rate"),
        ("stock_short", r"quantity on hand"),
        ("invalid_item", r"item code|item '[^']*'"),
        ("paid_or_allocated", r"payment or credit note allocated|has payments?|payments? (?:or|and) (?:credit|alloc)"),
        (
            "status_not_allowed",
            r"not of valid status|status.*(?:not valid|invalid)|cannot be (?:voided|deleted)",
        ),
        ("allocation_too_large", r"(?:allocat|amount).*(?:greater than|exceeds?|more than|outstanding|remaining)"),
        ("not_editable", r"cannot be edited|can ?not be modified|not.*editable"),
        ("not_found", r"could not be found|cannot be found|does not exist"),
        ("total_mismatch", r"(?:total|line amount).*(?:does not|doesn't|must) (?:equal|match|add)"),
        ("text_too_long", r"length.*(?:exceed|maximum|must not)|too long|maximum length"),
        ("missing_field", r"must be specified|is required|cannot be empty"),
        ("invalid_date", r"date.*(?:not valid|invalid)"),
    )
)


def reason_of(messages: Sequence[str]) -> str:
    """The stable reason for the messages of one refused element: the first rule that any of them fits."""
    for reason, pattern in REASONS:
        if any(pattern.search(message) for message in messages):
            return reason
    return OTHER


def messages_of(element: Any) -> list[str]:
    """The sentences of an element's ValidationErrors, those of its lines and contact included."""
    found: list[str] = []
    if isinstance(element, dict):
        for error in element.get("ValidationErrors") or []:
            if isinstance(error, dict) and error.get("Message"):
                found.append(str(error["Message"])[:300])
        for inner in [element.get("Contact"), *(element.get("LineItems") or [])]:
            if isinstance(inner, dict):
                found += messages_of({"ValidationErrors": inner.get("ValidationErrors")})
    return list(dict.fromkeys(found))


def summary(answer: Any) -> tuple[str, str]:
    """(Type or Title, Message or Detail) of either of Xero's two error shapes; empty texts when it has neither."""
    if not isinstance(answer, dict):
        return "", ""
    kind = answer.get("Type") or answer.get("Title") or answer.get("error") or ""
    text = answer.get("Message") or answer.get("Detail") or answer.get("error_description") or ""
    return str(kind)[:80], str(text)[:300]


def fault(connection: Connection, clock: Clock, reply: Reply) -> TieoutError:
    """The error that an answer of 300 or more stands for."""
    try:
        kind, text = summary(reply.json())
    except ValueError:
        kind, text = "", ""
    where = f"{connection.name}: HTTP {reply.status}{' ' + kind if kind else ''}{': ' + text if text else ''}"
    if reply.status == 401 and "authorizationunsuccessful" in f"{kind} {text}".lower():
        return PermissionDenied(f"{where}; check tenant_id, and the scopes that the connector's README names")
    if reply.status == 401:
        return AuthenticationFailed(f"{where}; a fresh token is refused: join the app to the organisation again")
    if reply.status == 403:
        return PermissionDenied(f"{where}; check tenant_id, and the scopes that the connector's README names")
    if reply.status == 429:
        which = reply.headers.get("x-rate-limit-problem", "rate")
        return http_fault(connection.name, reply, clock, f"{which} limit")
    if reply.status == 408 or reply.status >= 500:
        return Retriable(where)
    return VendorFault(where)
