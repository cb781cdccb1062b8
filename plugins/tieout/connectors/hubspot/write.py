"""The writing side: batches of 100 with a result or an error for each item, found by its own trace; and the look-up.

A mixed answer is HTTP 207. What neither a result nor an error can be assigned to is `uncertain`. Associations follow in
a call of their own: batches that update or upsert take none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.answers import NOT_SENT_WAIT, all_of, answered
from tieout.connectors.base import UNREACHABLE, Answer, Found, Operation, Request
from tieout.connectors.http import Reply
from tieout.connectors.hubspot import associations, prices
from tieout.connectors.hubspot.bodies import Item, Unusable, differences, item_of, price_of
from tieout.connectors.hubspot.operations import BATCH, SHAPES, Shape
from tieout.connectors.hubspot.reasons import error_of, message_of, reason_of
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.model.errors import PermissionDenied, RateLimited, Retriable, VendorFault

NEXT_BATCH_WAIT = 1.0  # seconds


@dataclass(slots=True)
class Writer:
    """What writing needs."""

    session: HubSpotSession
    _company: str | None = None

    def items(self, shape: Shape, requests: Sequence[Request]) -> tuple[list[Item], list[Answer]]:
        """Those that can be sent, and the refusals of the others. Raises Retriable: the portal cannot be asked."""
        if shape.price and self._company is None:
            self._company = prices.company_currency(self.session)
        made: list[Item] = []
        refused: list[Answer] = []
        for request in requests:
            try:
                made.append(price_of(request, self._company or "") if shape.price else item_of(shape, request))
            except Unusable as error:
                refused += all_of([request], "refused", "body_unreadable", f"the body: {error}")
        return made, refused


def send(writer: Writer, operation: Operation, requests: Sequence[Request]) -> list[Answer]:
    """See base.Target.send."""
    shape = SHAPES[operation.name]
    try:
        items, known = writer.items(shape, requests)
    except Retriable as error:
        wait = error.retry_after if isinstance(error, RateLimited) else NOT_SENT_WAIT
        return all_of(requests, "throttled", UNREACHABLE, str(error), retry_after=wait)
    # A batch is of one object: what belongs to another one goes with the next.
    own = [item for item in items if item.object == items[0].object]
    known += _later(
        [item for item in items if item not in own], "other_object", "the batch before it is of another object"
    )
    inputs, later = _inputs(own)
    known += _later(later, "same_record", "an item before it in the batch writes the same field of the same record")
    known += _send(writer.session, replace(shape, object=own[0].object) if own else shape, inputs)
    answers = {answer.doc_uid: answer for answer in known}
    return [answers[request.doc_uid] for request in requests]


def _later(items: Sequence[Item], reason: str, text: str) -> list[Answer]:
    return all_of([item.request for item in items], "throttled", reason, text, None, NEXT_BATCH_WAIT)


def _inputs(items: Sequence[Item]) -> tuple[list[list[Item]], list[Item]]:
    """Items of one record together, since HubSpot takes each record once; and those that would write over another."""
    by_key: dict[str, list[Item]] = {}
    later: list[Item] = []
    for item in items:
        mine = by_key.setdefault(item.key, [])
        if any(other.properties.keys() & item.properties.keys() for other in mine):
            later.append(item)
        else:
            mine.append(item)
    return list(by_key.values()), later


def _send(session: HubSpotSession, shape: Shape, inputs: Sequence[Sequence[Item]]) -> list[Answer]:
    items = [item for group in inputs for item in group]
    if not items:
        return []
    requests = [item.request for item in items]
    path = f"/crm/v3/objects/{shape.object}/batch/{'upsert' if shape.unique else 'update'}"
    body = exact_json.dumps({"inputs": [_input(shape, group) for group in inputs]})
    priority = max(request.priority for request in requests)
    answers = answered(
        requests,
        lambda: session.write("POST", path, body, priority),
        lambda reply: _judge(session, shape, inputs, reply),
    )
    return _associated(session, shape, items, answers, priority)


def _input(shape: Shape, group: Sequence[Item]) -> dict[str, Any]:
    made: dict[str, Any] = {"id": group[0].key}
    if shape.unique:
        made["idProperty"] = shape.unique
    made["properties"] = {name: value for item in group for name, value in item.properties.items()}
    return {**made, "objectWriteTraceId": group[0].request.doc_uid}


def _judge(session: HubSpotSession, shape: Shape, inputs: Sequence[Sequence[Item]], reply: Reply) -> list[Answer]:
    requests = [item.request for group in inputs for item in group]
    if reply.status >= 300:
        return _refused(session, requests, reply)
    answer = error_of(reply)
    results, errors = answer.get("results"), answer.get("errors") or []
    if not isinstance(results, list) or not isinstance(errors, list):
        text = f"HTTP {reply.status} without a list of results"
        return all_of(requests, "uncertain", "unreadable_answer", text, reply.status)
    results = [one for one in results if isinstance(one, dict)]
    errors = [one for one in errors if isinstance(one, dict)]
    of_results = [_named(shape, one, inputs) for one in results]
    of_errors = [_blamed(one, inputs) for one in errors]
    left = [at for at in range(len(inputs)) if at not in of_results and not any(at in them for them in of_errors)]
    if len(left) == 1 and of_errors.count(frozenset()) == 1:
        # One item without a word, one error without a name.
        of_errors[of_errors.index(frozenset())] = frozenset(left)
    answers: list[Answer] = []
    for at, group in enumerate(inputs):
        mine = [one for one, of in zip(results, of_results, strict=True) if of == at]
        faults = [one for one, of in zip(errors, of_errors, strict=True) if at in of]
        answers += [_answer(item, mine, faults, reply.status) for item in group]
    return answers


def _named(shape: Shape, result: Mapping[str, Any], inputs: Sequence[Sequence[Item]]) -> int | None:
    """The place of the input that a result is of: by its trace, else by what names the record."""
    trace = result.get("objectWriteTraceId")
    key = (result.get("properties") or {}).get(shape.unique) if shape.unique else result.get("id")
    for at, group in enumerate(inputs):
        if trace is not None and trace == group[0].request.doc_uid:
            return at
        if trace is None and key is not None and str(key) == group[0].key:
            return at
    return None


def _blamed(error: Mapping[str, Any], inputs: Sequence[Sequence[Item]]) -> frozenset[int]:
    """The places of the inputs that an error names: by their traces, else by their ids."""
    context = error.get("context") if isinstance(error.get("context"), dict) else {}
    traces = {str(one) for one in _listed(error.get("objectWriteTraceId"), (context or {}).get("objectWriteTraceId"))}
    ids = {str(one) for one in _listed((context or {}).get("ids"), (context or {}).get("id"), error.get("id"))}
    found = {at for at, group in enumerate(inputs) if group[0].request.doc_uid in traces}
    return frozenset(found or {at for at, group in enumerate(inputs) if group[0].key in ids})


def _listed(*values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from value
        elif value is not None:
            yield value


def _answer(
    item: Item, results: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]], status: int
) -> Answer:
    if errors and not results:
        return all_of([item.request], "refused", reason_of(errors[0]), message_of(errors[0]), status)[0]
    if len(results) != 1 or errors or not results[0].get("id"):
        text = "the answer has a result and an error for it" if errors else "the answer has not one result for it"
        return all_of([item.request], "uncertain", "item_missing", text, status)[0]
    vendor_id = item.vendor_id or str(results[0]["id"])
    return Answer(item.request.doc_uid, "applied", vendor_id=vendor_id, content=results[0], http_status=status)


def _refused(session: HubSpotSession, requests: Sequence[Request], reply: Reply) -> list[Answer]:
    error, reason = session.raw.http.fault(reply), reason_of(error_of(reply))
    if isinstance(error, RateLimited):
        session.raw.http.counters.throttled += 1
        return all_of(requests, "throttled", "rate_limited", str(error), reply.status, error.retry_after)
    # No such object, or no right to it: nothing was applied, and a person mends it once for all records.
    named = reason in ("record_not_found", "unknown_field") and reply.status != 403 and _names_record(reply)
    if isinstance(error, PermissionDenied) and not named:
        raise error
    reason = reason if len(requests) == 1 else "batch_refused"
    return all_of(requests, "refused", reason, str(error), reply.status)


def _names_record(reply: Reply) -> bool:
    return reply.status == 400 or str(error_of(reply).get("category")) == "OBJECT_NOT_FOUND"


def _associated(
    session: HubSpotSession, shape: Shape, items: Sequence[Item], answers: list[Answer], priority: int
) -> list[Answer]:
    """The answers after the associations of those that were applied have been set as well."""
    by_uid = {answer.doc_uid: answer for answer in answers}
    for to in sorted({to for item in items for to in item.links}):
        linked = [item for item in items if to in item.links and by_uid[item.request.doc_uid].outcome == "applied"]
        if not linked:
            continue
        pairs = [(str(by_uid[item.request.doc_uid].vendor_id), item.links[to]) for item in linked]
        for answer in _linked(session, shape, to, linked, pairs, priority):
            if answer.outcome != "applied":
                by_uid[answer.doc_uid] = answer
    return [by_uid[answer.doc_uid] for answer in answers]


def _linked(
    session: HubSpotSession,
    shape: Shape,
    to: str,
    items: Sequence[Item],
    pairs: Sequence[tuple[str, str]],
    priority: int,
) -> list[Answer]:
    requests = [item.request for item in items]
    text = f"the record was written; its association with {to} was not"

    def judge(reply: Reply) -> list[Answer]:
        if reply.status in (200, 201) and not error_of(reply).get("errors"):
            return [Answer(request.doc_uid, "applied") for request in requests]
        if reply.status >= 400 and len(requests) == 1:
            error = error_of(reply)
            return all_of(requests, "refused", reason_of(error), f"{text}: {message_of(error)}", reply.status)
        return all_of(requests, "uncertain", "association_missing", text, reply.status)

    try:
        return answered(requests, lambda: associations.write_default(session, shape.object, to, pairs, priority), judge)
    except PermissionDenied as error:
        # The records are written: to raise would say that nothing was.
        return all_of(requests, "refused", "permission_denied", f"{text}: {error}")


def look_up(writer: Writer, operation: Operation, requests: Sequence[Request]) -> dict[str, list[Found]]:
    """See base.Target.look_up: each record as it is now, with what differs from the sent. Gone: an empty list."""
    items, _ = writer.items(SHAPES[operation.name], requests)
    found: dict[str, list[Found]] = {request.doc_uid: [] for request in requests}
    for name in sorted({item.object for item in items}):
        shape = replace(SHAPES[operation.name], object=name)
        found |= _look_up(writer.session, shape, [item for item in items if item.object == name])
    return found


def _look_up(session: HubSpotSession, shape: Shape, items: Sequence[Item]) -> dict[str, list[Found]]:
    """The look-up of items of one object; those that are gone are missing."""
    there = _there(session, shape, items)
    ids = [str(record["id"]) for record in there.values()]
    links = {
        to: associations.others(session, shape.object, to, ids)
        for to in sorted({to for item in items for to in item.links})
    }
    found: dict[str, list[Found]] = {}
    for item in items:
        record = there.get(item.key)
        if record is None:
            continue
        properties = record.get("properties") or {}
        if shape.price and shape.makes and not any(properties.get(name) for name in item.properties):
            continue  # the product is there, and has no such price
        own = _own_links(item, links, str(record["id"]))
        vendor_id = item.vendor_id or str(record["id"])
        found[item.request.doc_uid] = [Found(vendor_id, None, record, tuple(differences(item, properties, own)))]
    return found


def _own_links(
    item: Item, links: Mapping[str, Mapping[str, Sequence[associations.Other]]], id_: str
) -> dict[str, str | None]:
    """Of each association that was sent: the sent id where it is among those that are there."""
    own: dict[str, str | None] = {}
    for to, sent in item.links.items():
        others = links[to].get(id_, [])
        own[to] = sent if any(other == sent for other, _ in others) else associations.only(others)
    return own


def _there(session: HubSpotSession, shape: Shape, items: Sequence[Item]) -> dict[str, Mapping[str, Any]]:
    """Key -> its record. Raises Retriable when it cannot be known."""
    wanted = list(dict.fromkeys(item.key for item in items))
    names = sorted({name for item in items for name in item.properties} | ({shape.unique} if shape.unique else set()))
    there: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        body: dict[str, Any] = {
            "inputs": [{"id": key} for key in some],
            "properties": names,
            "propertiesWithHistory": [],
        }
        if shape.unique:
            body["idProperty"] = shape.unique
        results = session.ask(f"/crm/v3/objects/{shape.object}/batch/read", body).get("results")
        if not isinstance(results, list):
            raise VendorFault(f"{session.name}: the answer for {shape.object} has no results")
        for record in results:
            key = (record.get("properties") or {}).get(shape.unique) if shape.unique else record.get("id")
            same = [one for one in some if one == key] or [one for one in some if one.lower() == str(key).lower()]
            if same:
                there[same[0]] = record
    return there
