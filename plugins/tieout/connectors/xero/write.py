"""The writing side: one request for a batch, and one answer for each item of it, found by its own key.

An element that cannot be assigned for sure is `uncertain`: to take another item's result for it would be worse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tieout.connectors.answers import all_of, answered, body_object
from tieout.connectors.base import Answer, Operation, Request
from tieout.connectors.http import Reply
from tieout.connectors.xero.operations import SHAPES, Shape, document_of, key_of
from tieout.connectors.xero.reasons import messages_of, reason_of, summary
from tieout.connectors.xero.sign_in import XeroSession
from tieout.model.errors import AuthenticationFailed, PermissionDenied, RateLimited

NO_ID = "00000000-0000-0000-0000-000000000000"
_PARAMS = {"summarizeErrors": "false"}


def send(session: XeroSession, operation: Operation, requests: Sequence[Request]) -> list[Answer]:
    """See base.Target.send."""
    shape = SHAPES[operation.name]
    good = [request for request in requests if _sendable(shape, request)]
    answers = {answer.doc_uid: answer for answer in _send_good(session, shape, good)}
    message = f"the body must be a JSON object that names its {shape.key}"
    for request in requests:
        if request.doc_uid not in answers:
            answers[request.doc_uid] = all_of([request], "refused", "body_unreadable", message)[0]
    return [answers[request.doc_uid] for request in requests]


def request_key(requests: Sequence[Request]) -> str:
    """The Idempotency-Key of one request: the same items in the same order have the same."""
    return hashlib.sha256("\x1f".join(request.idempotency_key for request in requests).encode()).hexdigest()


def _sendable(shape: Shape, request: Request) -> bool:
    body = body_object(request)
    if body is None or key_of(shape, body) is None:
        return False
    return not shape.of or document_of(shape, body) is not None


def _send_good(session: XeroSession, shape: Shape, requests: Sequence[Request]) -> list[Answer]:
    if not requests:
        return []
    priority = max(request.priority for request in requests)
    path = shape.path.format(document_of(shape, body_object(requests[0]) or {}))
    listed = b'{"' + shape.answer.encode() + b'":[' + b",".join(request.body for request in requests) + b"]}"
    body = requests[0].body if shape.bare else listed
    params = _PARAMS | ({"unitdp": "4"} if shape.answer in ("Invoices", "CreditNotes") else {})
    return answered(
        requests,
        lambda: session.write(shape.method, path, params, request_key(requests), body, priority),
        lambda reply: _judge(session, shape, requests, reply),
    )


def _judge(session: XeroSession, shape: Shape, requests: Sequence[Request], reply: Reply) -> list[Answer]:
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    if reply.status < 300:
        elements = answer.get(shape.answer) if isinstance(answer, dict) else None
        if not isinstance(elements, list):
            text = f"HTTP {reply.status} without a list of {shape.answer}"
            return all_of(requests, "uncertain", "unreadable_answer", text, reply.status)
        found = assign(shape, requests, [item for item in elements if isinstance(item, dict)])
        return [_answer(shape, request, found.get(request.doc_uid), reply.status) for request in requests]
    return _not_done(session, shape, requests, reply, answer)


def assign(
    shape: Shape, requests: Sequence[Request], elements: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """doc_uid -> its element. By key; by place only for an element without a key while all others stand in order."""
    keys = [key_of(shape, body_object(request) or {}) for request in requests]
    given = [key_of(shape, element) for element in elements]
    in_order = len(given) == len(keys) and all(key is None or key == keys[at] for at, key in enumerate(given))
    found: dict[str, Mapping[str, Any]] = {}
    for at, request in enumerate(requests):
        mine = [element for element, key in zip(elements, given, strict=True) if key is not None and key == keys[at]]
        ids = {str(element.get(shape.id)) for element in mine}
        if mine and keys.count(keys[at]) == 1 and len(ids) == 1:
            found[request.doc_uid] = mine[0]
        elif in_order and (given[at] is None or keys.count(keys[at]) > 1):
            found[request.doc_uid] = elements[at]
    return found


def _answer(shape: Shape, request: Request, element: Mapping[str, Any] | None, status: int) -> Answer:
    if element is None:
        text = f"the answer has no {shape.answer} element for it"
        return all_of([request], "uncertain", "item_missing", text, status)[0]
    vendor_id = _vendor_id(shape, request, element)
    messages = messages_of(element)
    failed = element.get("StatusAttributeString") == "ERROR" or element.get("HasErrors") is True
    if messages or failed or element.get("HasValidationErrors") is True:
        reason = reason_of(messages)
        text = "; ".join(messages) or "refused without a message"
        # The key was used before for other bytes: what became of those is not known.
        outcome = "uncertain" if reason == "idempotency_mismatch" else "refused"
        return all_of([request], outcome, reason, text, status)[0]  # type: ignore[arg-type]  # one of two literals
    if vendor_id is None or not _has_status(request, element):
        text = "the answer's element does not show what was sent"
        return all_of([request], "uncertain", "unreadable_answer", text, status)[0]
    number = element.get(shape.number) if shape.number else None
    return Answer(
        request.doc_uid,
        "applied",
        vendor_id=vendor_id,
        number=str(number) if number else None,
        content=element,
        http_status=status,
    )


def _vendor_id(shape: Shape, request: Request, element: Mapping[str, Any]) -> str | None:
    found = element.get(shape.id)
    if isinstance(found, str) and found and found != NO_ID:
        return found.lower()
    if shape.answer == "Allocations":
        # The specification's answer has no AllocationID: the pair names it as well.
        body = body_object(request) or {}
        return f"{document_of(shape, body)}/{key_of(shape, body)}"
    return None


def _has_status(request: Request, element: Mapping[str, Any]) -> bool:
    """A void is done only when the answer says so."""
    wanted = (body_object(request) or {}).get("Status")
    return wanted not in ("VOIDED", "DELETED") or element.get("Status") == wanted


def _not_done(
    session: XeroSession, shape: Shape, requests: Sequence[Request], reply: Reply, answer: Any
) -> list[Answer]:
    error = session.raw.http.fault(reply)
    if isinstance(error, RateLimited):
        session.raw.http.counters.throttled += 1
        return all_of(requests, "throttled", "rate_limited", str(error), reply.status, error.retry_after)
    if isinstance(error, PermissionDenied | AuthenticationFailed):
        raise error
    elements = answer.get("Elements") if isinstance(answer, dict) else None
    if reply.status == 400 and isinstance(elements, list) and elements:
        return _from_elements(shape, requests, reply, [item for item in elements if isinstance(item, dict)])
    text = summary(answer)[1]
    reason = reason_of([text])
    if reason == "idempotency_mismatch":
        return all_of(requests, "uncertain", reason, text, reply.status)
    if len(requests) > 1:
        # Nothing was applied, and which item is at fault is not said: alone, each will be told.
        return all_of(requests, "refused", "batch_refused", str(error), reply.status)
    if reply.status == 404:
        reason = "not_found"
    return all_of(requests, "refused", reason, str(error), reply.status)


def _from_elements(
    shape: Shape, requests: Sequence[Request], reply: Reply, elements: Sequence[Mapping[str, Any]]
) -> list[Answer]:
    """The 400 of a batch: each element with errors is refused; of the others Xero does not say what became."""
    found = assign(shape, requests, elements)
    if len(requests) == 1 and len(elements) == 1:
        found = {requests[0].doc_uid: elements[0]}
    answers = []
    for request in requests:
        element = found.get(request.doc_uid)
        messages = messages_of(element)
        if messages and reason_of(messages) != "idempotency_mismatch":
            answers += all_of([request], "refused", reason_of(messages), "; ".join(messages), reply.status)
        else:
            text = "; ".join(messages) or "the batch was refused; the answer says nothing of this item"
            answers += all_of([request], "uncertain", "item_missing", text, reply.status)
    return answers
