"""Which live documents carry the natural keys of some items, many keys to a call, and how they differ from the sent.

A voided document is not live. A customer that is not active is still there: it is given, with that as a difference, so
that a person decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tieout.connectors.answers import body_object
from tieout.connectors.base import Found, Operation, Record, Request
from tieout.connectors.comparing import Difference
from tieout.connectors.quickbooks import refunds
from tieout.connectors.quickbooks.compare import differences
from tieout.connectors.quickbooks.operations import SHAPES, Shape, is_void, key_of
from tieout.connectors.quickbooks.query import PAGE_SIZE, among, select
from tieout.connectors.quickbooks.read import by_ids, finished
from tieout.connectors.quickbooks.sign_in import QuickBooksSession
from tieout.connectors.wire import chunks

#: How our mark in PrivateNote begins.
MARK = "tieout:"


def look_up(session: QuickBooksSession, operation: Operation, requests: Sequence[Request]) -> dict[str, list[Found]]:
    """See base.Target.look_up."""
    shape = SHAPES[operation.name]
    bodies = {request.doc_uid: body_object(request) or {} for request in requests}
    # The body's own key is what Intuit was given; the request's natural key stands in where the body has none.
    keys = {
        request.doc_uid: key_of(shape, bodies[request.doc_uid]) or request.natural_key.strip() for request in requests
    }
    if shape.object == "Purchase":
        asked = refunds.questions(bodies.values())
        known = {obj: list(session.query(statement, obj)) for obj, statement in asked}
        # What is there is compared as it was sent; whether it could be sent now is not the question.
        bodies = {uid: refunds.completed(body, known)[0] for uid, body in bodies.items()}
    candidates = _candidates(session, shape, list(bodies.values()), list(dict.fromkeys(keys.values())))
    live = [one for one in candidates if key_of(shape, one) is not None and (shape.existing or not is_void(one))]
    there: dict[str, list[Record]] = {}
    # As reading gives them: what is found is staged, and counted in the books, as what was answered is.
    for record in finished(session, shape.object, live):
        there.setdefault(str(key_of(shape, record)), []).append(record)
    return {uid: _found(shape, keys[uid], bodies[uid], there.get(keys[uid], [])) for uid in keys}


def _candidates(
    session: QuickBooksSession, shape: Shape, bodies: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> Iterable[Record]:
    if shape.existing:
        yield from by_ids(session, shape.object, keys)
        return
    field = shape.key
    values = [str(body[field]).strip() for body in bodies if isinstance(body.get(field), str)] or list(keys)
    if shape.key == "Line":
        # By customer: a Payment cannot be asked for by what it links.
        field = "CustomerRef"
        values = [str((body.get("CustomerRef") or {}).get("value") or "") for body in bodies]
    for some in chunks([value for value in dict.fromkeys(values) if value], 10):
        yield from _every(session, shape.object, [among(field, some)])


def _every(session: QuickBooksSession, obj: str, conditions: Sequence[str]) -> Iterable[Record]:
    start = 1
    while True:
        page = session.query(select(obj, conditions, order="Id", start=start), obj)
        yield from page
        if len(page) < PAGE_SIZE:
            return
        start += PAGE_SIZE


def _found(shape: Shape, key: str, sent: Mapping[str, Any], records: Sequence[Record]) -> list[Found]:
    if shape.act == "delete" and not records:
        # What Intuit does not know any more is deleted: nothing else takes a credit memo away.
        return [Found(key, None, {"Id": key, "status": "Deleted"}, ())]
    if shape.object in ("Payment", "Purchase"):
        records = _marked(sent, records)
    return [_one(shape, sent, record) for record in records]


def _one(shape: Shape, sent: Mapping[str, Any], record: Record) -> Found:
    differing: tuple[Difference, ...]
    if shape.act == "void":
        differing = () if is_void(record) else (("standing", "void", "open"),)
    elif shape.act == "delete":
        differing = (("standing", "deleted", "open"),)
    else:
        differing = differences(sent, record)
    if shape.object == "Customer" and "Active" not in sent and record.get("Active") is False:
        differing = (*differing, ("Active", "true", "false"))
    number = record.get(shape.number) if shape.number else None
    return Found(str(record.get("Id")), str(number) if number else None, record, differing)


def _marked(sent: Mapping[str, Any], records: Sequence[Record]) -> Sequence[Record]:
    """Of Payments that link the same two documents, Purchases of one number: the one with our mark; without one, those
    that bear no mark."""
    mark = str(sent.get("PrivateNote") or "").strip()
    mine = [one for one in records if mark and str(one.get("PrivateNote") or "").strip() == mark]
    return mine or [one for one in records if not str(one.get("PrivateNote") or "").startswith(MARK)]
