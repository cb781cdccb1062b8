"""What New System's refusals mean for us: the one table of stable reason codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tieout.connectors.http import Reply, http_fault
from tieout.connectors.wire import Clock
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, PermissionDenied, RateLimited, TieoutError

OTHER = "validation"
THROTTLED_WAIT = 60.0  # seconds to wait after a 429 that names none
#: TODO: the vendor's own codes. What is not here is OTHER, which loses nothing but the sharper word.
REASONS: Mapping[str, str] = {
    "duplicate": "duplicate_number",
    "not_found": "not_found",
    "missing_field": "missing_field",
    "wrong_type": "invalid_value",
    "too_long": "text_too_long",
    "invalid_currency": "invalid_currency",
    "invalid_tax_code": "invalid_tax_type",
    "period_locked": "period_locked",
    "settled": "paid_or_allocated",
    "too_much": "allocation_too_large",
}


def refusal(error: Any) -> tuple[str, str]:
    """(reason, the vendor's words) of an `error` object."""
    found = error if isinstance(error, dict) else {}
    code = str(found.get("code") or "")
    return REASONS.get(code, OTHER), f"{code}: {found.get('message') or 'refused without a message'}"[:400]


def fault(connection: Connection, clock: Clock, reply: Reply) -> TieoutError:
    """The error that an answer of 300 or more stands for."""
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    words = refusal(answer.get("error"))[1] if isinstance(answer, dict) else ""
    text = f"{connection.name}: HTTP {reply.status}: {words}"
    if reply.status == 401:
        return AuthenticationFailed(f"{text}; a fresh token is refused: check the client of the connection")
    if reply.status == 403:
        return PermissionDenied(f"{text}; give the client the rights that the connector's README names")
    if reply.status == 429:
        return RateLimited(text, reply.retry_after(clock.now().timestamp(), THROTTLED_WAIT))
    return http_fault(connection.name, reply, clock, words)
