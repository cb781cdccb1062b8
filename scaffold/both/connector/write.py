"""The writing side: one batch for many items, and one answer for each of them, found by its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scaffold.both.connector.read import JSON
from scaffold.both.connector.reasons import OTHER, refusal
from scaffold.both.connector.shape import Shape
from tieout.connectors import exact_json
from tieout.connectors.answers import all_of, answered, body_object
from tieout.connectors.base import Answer, Request
from tieout.connectors.http import Call, Reply
from tieout.connectors.session import Session
from tieout.model.errors import AuthenticationFailed, PermissionDenied, RateLimited


def send(session: Session, shape: Shape, requests: Sequence[Request]) -> list[Answer]:
    """See base.Target.send. The frozen bytes of a body go out as they are."""
    answers: dict[str, Answer] = {}
    good: list[Request] = []
    for request in requests:
        body = body_object(request)
        if body is None or shape.key_of(body) is None:
            text = f"the body must be a JSON object that names its {', '.join(shape.key)}"
            answers[request.doc_uid] = all_of([request], "refused", "body_unreadable", text)[0]
        else:
            good.append(request)
    if good:
        call = Call("POST", f"/api/{shape.object}/batch", {}, JSON, _batch(shape, good))
        priority = max(request.priority for request in good)
        found = answered(
            good, lambda: session.write(call, priority), lambda reply: _judged(session, shape, good, reply)
        )
        answers.update({answer.doc_uid: answer for answer in found})
    return [answers[request.doc_uid] for request in requests]


def _batch(shape: Shape, requests: Sequence[Request]) -> bytes:
    act = exact_json.dumps(shape.act)
    items = [
        b'{"key":%s,"act":%s,"record":%s}' % (exact_json.dumps(request.idempotency_key), act, request.body)
        for request in requests
    ]
    return b'{"items":[' + b",".join(items) + b"]}"


def _judged(session: Session, shape: Shape, requests: Sequence[Request], reply: Reply) -> list[Answer]:
    if reply.status >= 300:
        return _not_done(session, requests, reply)
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list):
        text = f"HTTP {reply.status} without results"
        return all_of(requests, "uncertain", "unreadable_answer", text, reply.status)
    by_key = {str(one.get("key")): one for one in results if isinstance(one, dict)}
    return [_answer(shape, one, by_key.get(one.idempotency_key), reply.status) for one in requests]


def _answer(shape: Shape, request: Request, result: Mapping[str, Any] | None, status: int) -> Answer:
    if result is None:
        return all_of([request], "uncertain", "item_missing", "the answer has no result for it", status)[0]
    if "error" in result:
        return all_of([request], "refused", *refusal(result["error"]), status)[0]
    record = result.get("record")
    # Another item's record must not be taken for it.
    if not isinstance(record, dict) or shape.key_of(record) != shape.key_of(body_object(request) or {}):
        text = "the answer does not show what was sent"
        return all_of([request], "uncertain", "unreadable_answer", text, status)[0]
    number = record.get(shape.number) if shape.number else None
    return Answer(request.doc_uid, "applied", str(record["id"]), number, record, http_status=status)


def _not_done(session: Session, requests: Sequence[Request], reply: Reply) -> list[Answer]:
    """A definite no to the whole call: nothing was applied."""
    error = session.http.fault(reply)
    if isinstance(error, PermissionDenied | AuthenticationFailed):
        raise error
    if isinstance(error, RateLimited):
        session.http.counters.throttled += 1
        return all_of(requests, "throttled", "rate_limited", str(error), reply.status, error.retry_after)
    # Which item is at fault is not said: alone, each will be told.
    reason = "batch_refused" if len(requests) > 1 else OTHER
    return all_of(requests, "refused", reason, str(error), reply.status)
