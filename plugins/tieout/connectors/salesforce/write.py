"""The writing side: sObject collections, with one answer for each item, and the look-up that compares.

Loading data, which is no part of delivery, is in load.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.answers import all_of, answered, body_object
from tieout.connectors.base import Answer, Found, Guard, Operation, Record, Request
from tieout.connectors.http import Call, Reply
from tieout.connectors.salesforce import soql
from tieout.connectors.salesforce.read import IDS_AT_ONCE, query_all
from tieout.connectors.salesforce.reasons import ITEM_REASONS, ITEM_WAITS, errors_of
from tieout.connectors.session import Session
from tieout.model.errors import PermissionDenied, RateLimited, Retriable, TieoutError, VendorFault

BATCH = 200  # records of one sObject collection
JSON_BODY = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What an operation writes: the object, and what finds the record.

    Attributes:
        key: the field that names the record: `Id`, or an external id (then it is an upsert).
        makes: it is for records that are not there yet, each of which another document of ours may refer to.
        unique: instead of `key`, the fields of which Salesforce takes each combination once: an insert.
    """

    obj: str
    key: str = "Id"
    makes: bool = False
    unique: tuple[str, ...] = ()


SHAPES = {
    "accounts.write_back": Shape("Account"),
    "orders.write_back": Shape("Order"),
    "opportunities.write_back": Shape("Opportunity"),
    "ledger_invoices.upsert": Shape("Ledger_Invoice__c", "Ledger_Invoice_Id__c"),
    "products.upsert": Shape("Product2", "Tieout_Item_Id__c", makes=True),
    "products.update": Shape("Product2"),
    # A price book entry's product, book and currency can never be changed, and each combination is there once.
    "prices.create": Shape("PricebookEntry", makes=True, unique=("Product2Id", "Pricebook2Id", "CurrencyIsoCode")),
    "prices.update": Shape("PricebookEntry"),
    "quotes.write_back": Shape("Quote"),
    "return_orders.write_back": Shape("ReturnOrder"),
}


def operations(time_out: float, latest_apply: float, look_up_lag: float) -> dict[str, Operation]:
    """The declarations. What sets fields of a record that is there does the same when it is done twice."""
    return {
        name: Operation(
            name, Guard.NATURAL_KEY if shape.unique else Guard.DURABLE_KEY, BATCH, shape.makes, time_out, latest_apply,
            look_up_lag, repeatable=not shape.makes,
        )
        for name, shape in SHAPES.items()
    }  # fmt: skip


def send(session: Session, data: str, operation: Operation, requests: Sequence[Request]) -> list[Answer]:
    """See base.Target.send."""
    shape = SHAPES[operation.name]
    bodies = [_body(shape, request) for request in requests]
    good = [request for request, body in zip(requests, bodies, strict=True) if body is not None]
    answers = {
        request.doc_uid: answer
        for request, answer in zip(good, _send_good(session, data, shape, good, bodies), strict=True)
    }
    message = f"the body must be a JSON object without attributes, for the record that its {shape.key} names"
    for request in requests:
        if request.doc_uid not in answers:
            answers[request.doc_uid] = all_of([request], "refused", "body_unreadable", message)[0]
    in_order = [answers[request.doc_uid] for request in requests]
    if all(answer.reason == "permission_denied" for answer in in_order):
        _require_right(session, data, shape)
    return in_order


def _require_right(session: Session, data: str, shape: Shape) -> None:
    """Tells a user who may change no record of the object from records that he may not change.

    The first is refused record by record too. A person mends it once, so that it is no fault of the records.

    Raises:
        PermissionDenied: the user may not change the object; nothing was applied.
    """
    try:
        described = session.get(f"{data}/sobjects/{shape.obj}/describe")
    except (Retriable, VendorFault):
        return  # not known: what was said of each record stands
    if isinstance(described, dict) and described.get("updateable") is False:
        raise PermissionDenied(
            f"{session.name}: the integration user may not change {shape.obj}; give it the permission set of the README"
        )


def _send_good(
    session: Session, data: str, shape: Shape, requests: Sequence[Request], bodies: Sequence[bytes | None]
) -> list[Answer]:
    if not requests:
        return []
    path = f"{data}/composite/sobjects"
    if shape.key != "Id":
        path += f"/{shape.obj}/{shape.key}"
    records = b",".join(body for body in bodies if body is not None)
    call = Call(
        "POST" if shape.unique else "PATCH",
        path,
        headers=JSON_BODY,
        body=b'{"allOrNone":false,"records":[' + records + b"]}",
    )
    priority = max(request.priority for request in requests)
    return answered(
        requests, lambda: session.write(call, priority), lambda reply: _judge(session, shape, requests, reply)
    )


def _body(shape: Shape, request: Request) -> bytes | None:
    """The frozen bytes with type and id put in front; None when they cannot be sent."""
    fields = body_object(request)
    if not fields or "attributes" in fields:
        return None
    front = b'{"attributes":{"type":"' + shape.obj.encode() + b'"},'
    if shape.unique:
        return front + request.body.lstrip()[1:] if _combination(shape, fields) else None
    try:
        key = _key(shape, request, fields)
    except ValueError:
        return None
    if shape.key not in fields:
        front += exact_json.dumps(shape.key) + b":" + exact_json.dumps(key) + b","
    return front + request.body.lstrip()[1:]


def _key(shape: Shape, request: Request, fields: Mapping[str, Any] | None) -> str:
    """What names the record: the body's own key field, else the natural key."""
    found = (fields or {}).get(shape.key, request.natural_key)
    if shape.key == "Id":
        return soql.id_18(str(found))
    if not isinstance(found, str) or not found:
        raise ValueError(f"{shape.key} is empty")
    return found


def _judge(session: Session, shape: Shape, requests: Sequence[Request], reply: Reply) -> list[Answer]:
    if reply.status >= 300:
        return _refused(session, requests, reply)
    try:
        results = reply.json()
    except ValueError:
        results = None
    if not isinstance(results, list) or not all(isinstance(item, dict) for item in results):
        return all_of(requests, "uncertain", "unreadable_answer", "HTTP 200 without a list of results", reply.status)
    complete = len(results) == len(requests)
    ids = [str(item["id"])[:15] for item in results if item.get("success") and item.get("id")]
    answers = []
    for number, request in enumerate(requests):
        item = results[number] if complete else None
        if shape.key == "Id" and not shape.unique:
            item = _of_record(_key(shape, request, body_object(request)), results, item)
        elif item is not None and item.get("success") and ids.count(str(item.get("id"))[:15]) != 1:
            item = None  # one id for two items: somebody's result is missing
        answers.append(_answer(request, item, reply.status))
    return answers


def _of_record(key: str, results: Sequence[Mapping[str, Any]], at_place: Mapping[str, Any] | None) -> Any:
    """The result that is surely this record's: the one with its id, else a failure at its place."""
    for item in results:
        if str(item.get("id") or "")[:15] == key[:15]:
            return item
    return at_place if at_place is not None and not at_place.get("success") and not at_place.get("id") else None


def _answer(request: Request, item: Mapping[str, Any] | None, status: int) -> Answer:
    if item is None:
        return all_of([request], "uncertain", "item_missing", "the answer has no result for it", status)[0]
    if item.get("success") is True and soql.is_id(str(item.get("id"))):
        vendor_id = soql.id_18(str(item["id"]))
        return Answer(request.doc_uid, "applied", vendor_id=vendor_id, content=dict(item), http_status=status)
    errors = item.get("errors") or []
    code, message = first_error(errors)
    if not code:
        return all_of([request], "uncertain", "unreadable_answer", "a result without success and errors", status)[0]
    if code in ITEM_WAITS:
        return all_of([request], "throttled", code.lower(), message, status, ITEM_WAITS[code])[0]
    return all_of([request], "refused", ITEM_REASONS.get(code, code.lower()), f"{code}: {message}", status)[0]


def first_error(errors: Any) -> tuple[str, str]:
    for error in errors if isinstance(errors, list) else [errors]:
        if isinstance(error, dict):
            code = str(error.get("statusCode") or error.get("errorCode") or "")
            fields = ", ".join(str(name) for name in error.get("fields") or [])
            return code, str(error.get("message", ""))[:400] + (f" ({fields})" if fields else "")
    return "", ""


def _refused(session: Session, requests: Sequence[Request], reply: Reply) -> list[Answer]:
    error: TieoutError = session.http.fault(reply)
    if isinstance(error, RateLimited):
        session.http.counters.throttled += 1
        return all_of(requests, "throttled", "rate_limited", str(error), reply.status, error.retry_after)
    if isinstance(error, PermissionDenied):
        raise error
    pairs = errors_of(reply)
    reason = ITEM_REASONS.get(pairs[0][0], "batch_refused") if len(requests) == 1 and pairs else "batch_refused"
    return all_of(requests, "refused", reason, str(error), reply.status)


def look_up(session: Session, data: str, operation: Operation, requests: Sequence[Request]) -> dict[str, list[Found]]:
    """See base.Target.look_up: each record as it is now, with the sent fields that differ. Gone: an empty list."""
    shape = SHAPES[operation.name]
    sent = {request.doc_uid: body_object(request) or {} for request in requests}
    if shape.unique:
        return _look_up_combinations(session, data, shape, sent)
    keys = {request.doc_uid: _key_or_none(shape, request, sent[request.doc_uid]) for request in requests}
    there: dict[str, Record] = {}
    wanted = list(dict.fromkeys(key for key in keys.values() if key is not None))
    for start in range(0, len(wanted), IDS_AT_ONCE):
        some = set(wanted[start : start + IDS_AT_ONCE])
        fields = [name for uid, body in sent.items() if keys[uid] in some for name in body]
        names = list({name.lower(): name for name in ["Id", shape.key, *fields]}.values())
        for record in query_all(session, data, soql.select(names, shape.obj, [soql.among(shape.key, sorted(some))])):
            there[_found_key(shape, record)] = record
    found: dict[str, list[Found]] = {}
    for uid, key in keys.items():
        match = there.get(key if shape.key == "Id" else key.lower()) if key is not None else None
        found[uid] = [] if match is None else [_found(match, sent[uid])]
    return found


def _look_up_combinations(
    session: Session, data: str, shape: Shape, sent: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[Found]]:
    """The records that are inserted, by the fields that make them unique; the first of these narrows the query."""
    wanted = {uid: _combination(shape, fields) for uid, fields in sent.items()}
    there: dict[tuple[str, ...], list[Record]] = {}
    firsts = sorted({each[0] for each in wanted.values() if each})
    for start in range(0, len(firsts), IDS_AT_ONCE):
        some = firsts[start : start + IDS_AT_ONCE]
        fields = [name for uid, body in sent.items() if (of := wanted[uid]) and of[0] in some for name in body]
        names = list({name.lower(): name for name in ["Id", *shape.unique, *fields]}.values())
        for record in query_all(session, data, soql.select(names, shape.obj, [soql.among(shape.unique[0], some)])):
            there.setdefault(_combination(shape, record) or (), []).append(record)
    return {
        uid: [_found(record, sent[uid]) for record in there.get(each, ())] if each else []
        for uid, each in wanted.items()
    }


def _combination(shape: Shape, fields: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The values that make the record unique, ids in their long form; None where one is missing."""
    values = [fields.get(name) for name in shape.unique]
    if not all(isinstance(value, str) and value for value in values):
        return None
    return tuple(soql.id_18(str(value)) if soql.is_id(str(value)) else str(value) for value in values)


def _key_or_none(shape: Shape, request: Request, fields: Mapping[str, Any]) -> str | None:
    try:
        return _key(shape, request, fields)
    except ValueError:
        return None  # such an item is refused before it is sent: there is nothing of it


def _found_key(shape: Shape, record: Record) -> str:
    # An external id that is not case-sensitive is found whatever its case.
    return soql.given_id(record.get("Id")) if shape.key == "Id" else str(record[shape.key]).lower()


def _found(record: Record, sent: Mapping[str, Any]) -> Found:
    by_name = {name.lower(): value for name, value in record.items()}
    differences = tuple(
        (name, _shown(value), _shown(by_name.get(name.lower())))
        for name, value in sent.items()
        if name != "Id" and not same(value, by_name.get(name.lower()))
    )
    return Found(soql.given_id(record.get("Id")), None, record, differences)


def same(sent: Any, found: Any) -> bool:
    """Whether Salesforce holds what was sent: numbers by value, texts without blanks at their ends, "" as null."""
    if isinstance(sent, str):
        sent = sent.strip() or None
    if isinstance(found, str):
        found = found.strip() or None
    if sent is None or found is None:
        return sent is found
    if isinstance(sent, bool) or isinstance(found, bool):
        return sent is found
    if sent == found:
        return True
    if isinstance(found, int | Decimal):
        try:
            return Decimal(str(sent)) == found
        except InvalidOperation:
            return False
    return _instant(sent) is not None and _instant(sent) == _instant(found)


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _shown(value: Any) -> str:
    return "" if value is None else str(value)[:200]
