"""Answers that hold for all items of one request, and the reading of frozen bodies; shared by the vendors' writers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from tieout.connectors import exact_json
from tieout.connectors.base import UNREACHABLE, Answer, Request
from tieout.connectors.http import NotSent, Reply, Unanswered
from tieout.model.errors import RateLimited

NOT_SENT_WAIT = 15.0  # seconds until a host that gave no connection is worth another try


def all_of(
    requests: Sequence[Request],
    outcome: Literal["refused", "uncertain", "throttled"],
    reason: str,
    message: str,
    status: int | None = None,
    retry_after: float | None = None,
) -> list[Answer]:
    """The same answer for each item."""
    return [
        Answer(
            request.doc_uid,
            outcome,
            reason=reason,
            message=message[:500],
            http_status=status,
            retry_after=retry_after,
        )
        for request in requests
    ]


def answered(
    requests: Sequence[Request], send: Callable[[], Reply], judge: Callable[[Reply], list[Answer]]
) -> list[Answer]:
    """Sends once; an answer is judged, and what happened on the wire becomes an answer for each item.

    Raises:
        AuthenticationFailed, PermissionDenied: nothing was applied.
    """
    try:
        reply = send()
    except NotSent as error:
        return all_of(requests, "throttled", UNREACHABLE, str(error), retry_after=NOT_SENT_WAIT)
    except RateLimited as error:
        # Waiting longer would use up the sender's lease; nothing was sent, so it is safe to come back.
        return all_of(requests, "throttled", "rate_limited", str(error), retry_after=error.retry_after)
    except Unanswered as error:
        return all_of(requests, "uncertain", "no_answer", str(error))
    if reply.status == 408 or reply.status >= 500:
        return all_of(requests, "uncertain", "server_error", f"HTTP {reply.status}", reply.status)
    return judge(reply)


def body_object(request: Request) -> dict[str, Any] | None:
    """The frozen body as a JSON object with exact numbers; None when it is none."""
    try:
        value = exact_json.loads(request.body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def unsent(
    requests: Sequence[Request], ask: Callable[[], Reply], judge: Callable[[Reply], list[Answer] | None]
) -> list[Answer] | None:
    """Answers where a question that has to be asked before a write got no answer: nothing was sent. None: it did.

    Raises:
        AuthenticationFailed, PermissionDenied: nothing was applied.
    """
    try:
        return judge(ask())
    except RateLimited as error:
        return all_of(requests, "throttled", "rate_limited", str(error), retry_after=error.retry_after)
    except (NotSent, Unanswered) as error:
        return all_of(requests, "throttled", UNREACHABLE, str(error), retry_after=NOT_SENT_WAIT)
