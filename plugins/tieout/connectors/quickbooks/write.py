"""The writing side: one batch for many items, and one answer for each of them, found by its bId.

Updates, voids and deletions need the SyncToken of the document as it is now: it is read in one query just before. If
somebody changes the document in between, Intuit refuses (5010): nothing was applied, and the item comes again.
What a refund names by its code is read the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.answers import all_of, answered, body_object, unsent
from tieout.connectors.base import Answer, Operation, Request
from tieout.connectors.http import Reply
from tieout.connectors.quickbooks import refunds
from tieout.connectors.quickbooks.links import LINKED, with_links
from tieout.connectors.quickbooks.operations import SHAPES, VOIDS, Shape, is_void, key_of
from tieout.connectors.quickbooks.query import among, select
from tieout.connectors.quickbooks.reasons import NOT_FOUND, OTHER, STALE, THROTTLED_WAIT, FaultSeen, fault_in
from tieout.connectors.quickbooks.sign_in import QuickBooksSession
from tieout.model.errors import AuthenticationFailed, PermissionDenied, RateLimited

KEY_LENGTH = 36  # of a requestid: Intuit's most in a batch
#: Seconds until an item goes again whose document was changed under it.
STALE_WAIT = 1.0


def send(session: QuickBooksSession, operation: Operation, requests: Sequence[Request]) -> list[Answer]:
    """See base.Target.send."""
    shape = SHAPES[operation.name]
    answers: dict[str, Answer] = {}
    bodies: dict[str, bytes] = {}
    for request in requests:
        body = body_object(request)
        if body is None or key_of(shape, body) is None:
            text = f"the body must be a JSON object that names its {shape.key}"
            answers[request.doc_uid] = all_of([request], "refused", "body_unreadable", text)[0]
        else:
            bodies[request.doc_uid] = request.body
    asked = [request for request in requests if request.doc_uid in bodies]
    if shape.reads and asked:
        bodies, early = _with_tokens(session, shape, asked) if shape.existing else _completed(session, asked)
        answers.update({answer.doc_uid: answer for answer in early})
    good = [request for request in requests if request.doc_uid in bodies]
    answers.update({answer.doc_uid: answer for answer in _send_good(session, shape, good, bodies)})
    return [answers[request.doc_uid] for request in requests]


def request_key(requests: Sequence[Request], bodies: Mapping[str, bytes], shape: Shape) -> str:
    """The requestid: the same items in the same order, on the same state of their documents, have the same."""
    parts = [request.idempotency_key for request in requests]
    if shape.existing:
        parts += [hashlib.sha256(bodies[request.doc_uid]).hexdigest() for request in requests]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:KEY_LENGTH]


def _with_tokens(
    session: QuickBooksSession, shape: Shape, requests: Sequence[Request]
) -> tuple[dict[str, bytes], list[Answer]]:
    """Bodies with the SyncToken of now by doc_uid; and the answers of items that need not, or cannot, be sent."""
    sent = {request.doc_uid: body_object(request) or {} for request in requests}
    ids = list(dict.fromkeys(str(body["Id"]) for body in sent.values()))
    if not all(id_.isascii() and id_.isalnum() for id_ in ids):
        bad = [one for one in requests if not str(sent[one.doc_uid]["Id"]).isalnum()]
        return {}, all_of(requests, "refused", OTHER, f"Id {sent[bad[0].doc_uid]['Id']!r} is no id of QuickBooks")
    priority = max(request.priority for request in requests)
    found: list[dict[str, Any]] = []

    def ask() -> Reply:
        reply, records = session.once(select(shape.object, [among("Id", ids)]), shape.object, priority)
        found.extend(records)
        return reply

    stopped = unsent(requests, ask, lambda reply: _reading_failed(session, requests, reply))
    if stopped is not None:
        return {}, stopped
    there = {str(record.get("Id")): record for record in found}
    bodies, early = {}, []
    for request in requests:
        body = sent[request.doc_uid]
        record = there.get(str(body["Id"]))
        if record is not None:
            bodies[request.doc_uid] = exact_json.dumps(_existing(shape, body, record))
        elif shape.act == "delete":
            gone = {"Id": str(body["Id"]), "status": "Deleted"}
            early.append(Answer(request.doc_uid, "applied", vendor_id=str(body["Id"]), content=gone))
        else:
            text = f"{shape.object} {body['Id']} is not there"
            early += all_of([request], "refused", NOT_FOUND, text)
    return bodies, early


def _completed(session: QuickBooksSession, requests: Sequence[Request]) -> tuple[dict[str, bytes], list[Answer]]:
    """Refunds as Intuit takes them by doc_uid; and the answers of those that must not be sent (refunds.py)."""
    sent = {request.doc_uid: body_object(request) or {} for request in requests}
    priority = max(request.priority for request in requests)
    found: dict[str, list[dict[str, Any]]] = {}
    for obj, statement in refunds.questions(sent.values()):

        def ask(obj: str = obj, statement: str = statement) -> Reply:
            reply, found[obj] = session.once(statement, obj, priority)
            return reply

        stopped = unsent(requests, ask, lambda reply: _reading_failed(session, requests, reply))
        if stopped is not None:
            return {}, stopped
    bodies, early = {}, []
    for request in requests:
        made, refusal = refunds.completed(sent[request.doc_uid], found)
        if refusal is None:
            bodies[request.doc_uid] = exact_json.dumps(made)
        else:
            early += all_of([request], "refused", refusal.reason, refusal.message)
    return bodies, early


def _existing(shape: Shape, body: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    token = str(record.get("SyncToken"))
    if shape.act == "update":
        return {**body, "sparse": True, "SyncToken": token}
    if shape.object == "Payment":
        return {"Id": str(body["Id"]), "sparse": True, "SyncToken": token}
    return {"Id": str(body["Id"]), "SyncToken": token}


def _reading_failed(session: QuickBooksSession, requests: Sequence[Request], reply: Reply) -> list[Answer] | None:
    """Answers where the SyncTokens could not be read: nothing was sent. None when they were."""
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    seen = fault_in(answer)
    if reply.status < 300 and isinstance(answer, dict) and seen is None:
        return None
    error = session.raw.http.fault(reply)
    if isinstance(error, AuthenticationFailed | PermissionDenied):
        raise error
    wait = error.retry_after if isinstance(error, RateLimited) else THROTTLED_WAIT
    text = f"the documents could not be read before they are changed: {error}"
    return all_of(requests, "throttled", "not_readable", text, reply.status, wait)


def _send_good(
    session: QuickBooksSession, shape: Shape, requests: Sequence[Request], bodies: Mapping[str, bytes]
) -> list[Answer]:
    if not requests:
        return []
    priority = max(request.priority for request in requests)
    key = request_key(requests, bodies, shape)
    if shape.act == "void":
        path, params = VOIDS[shape.object]
        body = bodies[requests[0].doc_uid]
        return answered(
            requests,
            lambda: session.write(path, params, key, body, priority),
            lambda reply: _judge_one(session, shape, requests, reply),
        )
    items = [_item(shape, place, bodies[request.doc_uid]) for place, request in enumerate(requests, start=1)]
    body = b'{"BatchItemRequest":[' + b",".join(items) + b"]}"
    return answered(
        requests,
        lambda: session.write("batch", {}, key, body, priority),
        lambda reply: _judge_batch(session, shape, requests, reply),
    )


def _item(shape: Shape, place: int, body: bytes) -> bytes:
    return b'{"bId":"%d","operation":"%s","%s":%s}' % (place, shape.act.encode(), shape.object.encode(), body)


def _judge_batch(session: QuickBooksSession, shape: Shape, requests: Sequence[Request], reply: Reply) -> list[Answer]:
    answer = _parsed(reply)
    whole = fault_in(answer)
    if reply.status >= 300 or whole is not None:
        return _not_done(session, requests, reply, whole)
    elements = answer.get("BatchItemResponse") if isinstance(answer, dict) else None
    if not isinstance(elements, list):
        text = f"HTTP {reply.status} without a BatchItemResponse"
        return all_of(requests, "uncertain", "unreadable_answer", text, reply.status)
    given: dict[str, list[dict[str, Any]]] = {}
    for element in elements:
        if isinstance(element, dict):
            given.setdefault(str(element.get("bId")), []).append(element)
    answers = []
    for place, request in enumerate(requests, start=1):
        mine = given.get(str(place), [])
        if len(mine) == 1:
            answers.append(_answer(shape, request, mine[0], reply.status))
        else:
            text = f"the answer has {len(mine)} results for it"
            answers += all_of([request], "uncertain", "item_missing", text, reply.status)
    return answers


def _judge_one(session: QuickBooksSession, shape: Shape, requests: Sequence[Request], reply: Reply) -> list[Answer]:
    answer = _parsed(reply)
    seen = fault_in(answer)
    if reply.status >= 300 or (seen is not None and not isinstance(answer, dict)):
        return _not_done(session, requests, reply, seen)
    return [_answer(shape, requests[0], answer if isinstance(answer, dict) else {}, reply.status)]


def _answer(shape: Shape, request: Request, element: Mapping[str, Any], status: int) -> Answer:
    seen = fault_in(element)
    if seen is not None:
        return _refused([request], seen, status)[0]
    record = element.get(shape.object)
    if not isinstance(record, dict) or not record.get("Id"):
        text = f"the answer has no {shape.object} for it"
        return all_of([request], "uncertain", "unreadable_answer", text, status)[0]
    if not _shows(shape, body_object(request) or {}, record):
        text = "the answer does not show what was sent"
        return all_of([request], "uncertain", "unreadable_answer", text, status)[0]
    number = record.get(shape.number) if shape.number else None
    return Answer(
        request.doc_uid,
        "applied",
        vendor_id=str(record["Id"]),
        number=str(number) if number else None,
        # As reading gives it: what has just been written is settled by nothing yet.
        content=with_links(shape.object, [record], lambda _: ())[0] if shape.object in LINKED else record,
        http_status=status,
    )


def _shows(shape: Shape, body: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Another item's result must not be taken for it; a void or deletion is done only when the answer says so."""
    if shape.act == "void":
        return str(record.get("Id")) == str(body.get("Id")) and is_void(record)
    if shape.act == "delete":
        return str(record.get("Id")) == str(body.get("Id")) and str(record.get("status")).lower() == "deleted"
    if shape.object == "Payment":
        return key_of(shape, record) in (None, key_of(shape, body))  # the answer need not repeat the lines
    return key_of(shape, record) == key_of(shape, body)


def _not_done(
    session: QuickBooksSession, requests: Sequence[Request], reply: Reply, seen: FaultSeen | None
) -> list[Answer]:
    error = session.raw.http.fault(reply)
    if isinstance(error, RateLimited):
        session.raw.http.counters.throttled += 1
        return all_of(requests, "throttled", "rate_limited", str(error), reply.status, error.retry_after)
    if isinstance(error, PermissionDenied | AuthenticationFailed):
        raise error
    if seen is not None and len(requests) == 1:
        return _refused(requests, seen, reply.status)
    if seen is not None and seen.uncertain:
        return all_of(requests, "uncertain", "server_error", seen.message, reply.status)
    # Nothing was applied, and which item is at fault is not said: alone, each will be told.
    reason = "batch_refused" if len(requests) > 1 else NOT_FOUND if reply.status == 404 else OTHER
    return all_of(requests, "refused", reason, str(error), reply.status)


def _refused(requests: Sequence[Request], seen: FaultSeen, status: int) -> list[Answer]:
    if seen.throttled:
        return all_of(requests, "throttled", "rate_limited", seen.message, status, THROTTLED_WAIT)
    if seen.uncertain:
        return all_of(requests, "uncertain", "server_error", seen.message, status)
    if seen.reason == STALE:
        return all_of(requests, "throttled", STALE, seen.message, status, STALE_WAIT)
    return all_of(requests, "refused", seen.reason, seen.message, status)


def _parsed(reply: Reply) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None
