"""What Intuit's faults mean for us: the one table of stable reason codes, and what a whole answer stands for.

A fault is `{Error: [{Message, Detail, code, element}], type}`. The code decides; where it is a general one (2500,
6000), the words beside it say more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tieout.connectors.http import Reply, http_fault
from tieout.connectors.wire import Clock
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, PermissionDenied, RateLimited, Retriable, TieoutError, VendorFault

OTHER = "validation"
#: Seconds to wait after a 429 that names none: Intuit's own advice.
THROTTLED_WAIT = 60.0
#: Reading SyncToken and writing with it are two calls: somebody was in between, and it goes again.
STALE = "stale"
NOT_FOUND = "not_found"
REASONS: Mapping[int, str] = {
    610: NOT_FOUND,
    620: "allocation_too_large",
    2020: "missing_field",
    2050: "text_too_long",
    2090: "invalid_number",
    2170: "invalid_value",
    5010: STALE,
    6070: "total_mismatch",
    6140: "duplicate_number",
    6190: "company_closed",
    6210: "period_locked",
    6240: "duplicate_name",
    6430: "invalid_account",
    6540: "paid_or_allocated",
}
_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(words, re.IGNORECASE))
    for reason, words in (
        ("period_locked", r"closing date|books? (?:is|are|have been) closed|period (?:is )?closed"),
        ("duplicate_number", r"duplicate (?:document|doc) number"),
        ("duplicate_name", r"duplicate name|name supplied already exists"),
        ("stock_short", r"quantity on hand|not enough (?:inventory|stock)"),
        ("invalid_currency", r"currency"),
        ("invalid_currency_rate", r"exchange ?rate"),
        ("invalid_tax_type", r"tax ?code|tax ?rate"),
        ("contact_not_found", r"customer"),
        ("invalid_item", r"\bitem"),
        ("invalid_account", r"account"),
        ("allocation_too_large", r"(?:appl|amount).*(?:greater than|exceeds?|more than|balance)"),
        ("paid_or_allocated", r"linked|payment"),
        ("invalid_date", r"date"),
    )
)
#: Codes whose words decide; any other code that is not in the table is `validation`.
_GENERAL = frozenset({2500, 2030, 2010, 6000})


@dataclass(frozen=True, slots=True)
class FaultSeen:
    """One `Fault`: its reason, its words for a person, and whether Intuit itself is at a loss (nothing is known)."""

    reason: str
    message: str
    uncertain: bool = False
    throttled: bool = False
    code: int = 0


def fault_in(answer: Any) -> FaultSeen | None:
    """The Fault of an answer or of an element of it; None where it has none."""
    fault = answer.get("Fault") or answer.get("fault") if isinstance(answer, dict) else None
    if not isinstance(fault, dict):
        return None
    errors = fault.get("Error") or fault.get("error") or []
    errors = [error for error in (errors if isinstance(errors, list) else [errors]) if isinstance(error, dict)]
    first = errors[0] if errors else {}
    code = _code(first.get("code"))
    texts = [_words(error) for error in errors]
    message = "; ".join(text for text in texts if text) or "refused without a message"
    kind = str(fault.get("type") or "").lower()
    return FaultSeen(
        reason_of(code, f"{message} {first.get('element') or ''}"),
        message[:400],
        uncertain=kind.startswith("system") or code in (10000, 500),
        throttled=code in (3001, 3002) or "throttle" in message.lower(),
        code=code,
    )


def reason_of(code: int, words: str) -> str:
    """The stable reason of Intuit's code; by its words where the code is a general one."""
    if code in REASONS:
        return REASONS[code]
    if code in _GENERAL or code == 0:
        for reason, pattern in _WORDS:
            if pattern.search(words):
                return reason
    return "invalid_reference" if code == 2500 else OTHER


def fault(connection: Connection, clock: Clock, reply: Reply) -> TieoutError:
    """The error that an answer of 300 or more, or a 200 with a Fault, stands for."""
    try:
        seen = fault_in(reply.json())
    except ValueError:
        seen = None
    text = f"{connection.name}: HTTP {reply.status}{f' {seen.code}: {seen.message}' if seen else ''}"
    if reply.status == 401:
        return AuthenticationFailed(
            f"{text}; a fresh token is refused: join the app to the company {connection.extra.get('realm_id')} again"
        )
    if reply.status == 403 and not (seen and seen.throttled):
        return PermissionDenied(f"{text}; check the company id (realm_id), the scope and the company's subscription")
    if reply.status == 429 or (seen is not None and seen.throttled):
        return RateLimited(text, reply.retry_after(clock.now().timestamp(), THROTTLED_WAIT))
    if seen is not None and seen.reason == "company_closed":
        return PermissionDenied(f"{text}; the company's subscription has ended")
    if seen is not None and seen.uncertain:
        return Retriable(text)
    if seen is not None:
        return VendorFault(text)
    return http_fault(connection.name, reply, clock)


def _code(value: Any) -> int:
    text = str(value or "0").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0


def _words(error: Mapping[str, Any]) -> str:
    message, detail = (str(error.get(name) or error.get(name.lower()) or "").strip() for name in ("Message", "Detail"))
    return message if not detail or detail == message else f"{message}: {detail}" if message else detail
