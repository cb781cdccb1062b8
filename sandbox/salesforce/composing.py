"""`/composite`, `/composite/batch` and `/composite/tree`: several calls, or a tree of new records, in one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox.salesforce.errors import ApiError, Problem, Refused
from sandbox.salesforce.fields import SObject
from sandbox.salesforce.incoming import Incoming, read_record
from sandbox.salesforce.saving import Unit, insert, unit
from sandbox.salesforce.sobjects import sobject_of
from sandbox.salesforce.wire import Call, Reply, encode

MAX_CALLS = 25
MAX_TREE = 200
Dispatch = Callable[[Call], Reply]
_REFERENCE = re.compile(r"@\{([A-Za-z]\w*)((?:\.\w+(?:\[\d+\])?|\[\d+\])*)\}")
_STEP = re.compile(r"\w+")
_HALTED = "The transaction was rolled back since another operation in the same transaction failed."


class _Undo(Exception):
    """Takes the transaction back."""


class _NoReference(Exception):
    """A reference that names nothing."""


def composite(call: Call, dispatch: Dispatch) -> Reply:
    """POST /composite: calls that can use the answers of those before."""
    body = call.json_object()
    calls = _calls(body.get("compositeRequest"))
    if not body.get("allOrNone"):
        return Reply(value={"compositeResponse": _in_turn(call, calls, dispatch, halt=False)})
    answers: list[dict[str, Any]] = []
    try:
        with call.org.state.transaction():
            answers = _in_turn(call, calls, dispatch, halt=True)
            if any(answer["httpStatusCode"] >= 400 for answer in answers):
                raise _Undo
    except _Undo:
        answers = [answer if answer["httpStatusCode"] >= 400 else _halted(answer) for answer in answers]
        answers += [_halted({"referenceId": one.get("referenceId")}) for one in calls[len(answers) :]]
    return Reply(value={"compositeResponse": answers})


def batch(call: Call, dispatch: Dispatch) -> Reply:
    """POST /composite/batch: calls that know nothing of each other."""
    body = call.json_object()
    results: list[dict[str, Any]] = []
    for one in _calls(body.get("batchRequests")):
        if body.get("haltOnError") and any(result["statusCode"] >= 400 for result in results):
            error = {"errorCode": "BATCH_PROCESSING_HALTED", "message": "Batch processing halted per request"}
            results.append({"statusCode": 412, "result": [error]})
            continue
        inner = _inner(call, one.get("method"), f"/services/data/{one.get('url')}", one.get("richInput"))
        reply = dispatch(inner)
        results.append({"statusCode": reply.status, "result": reply.value})
    return Reply(value={"hasErrors": any(one["statusCode"] >= 400 for one in results), "results": results})


def tree(call: Call, name: str) -> Reply:
    """POST /composite/tree/X: new records with their children; all of them or none."""
    sobject = sobject_of(call, name)
    records = call.json_object().get("records")
    planned = list(_planned(call, sobject, records, None))
    if len(planned) > MAX_TREE:
        raise ApiError(400, "INVALID_INPUT", f"The request cannot contain more than {MAX_TREE} records")
    try:
        with unit(call.org, call.access) as work:
            results = [_grow(work, *one) for one in planned]
    except _TreeFailed as error:
        errors = [problem.as_item() for problem in error.problems]
        results = [{"referenceId": error.reference, "errors": errors}]
        return Reply(400, {"hasErrors": True, "results": results})
    return Reply(201, {"hasErrors": False, "results": results})


class _TreeFailed(Exception):
    def __init__(self, reference: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(reference)
        self.reference = reference
        self.problems = problems


class _Grown:
    """A record of the tree, whose id is known once it is saved."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self.id = ""


_Planned = tuple[_Grown, SObject, Incoming, tuple[str, _Grown] | None]


def _planned(call: Call, sobject: SObject, records: Any, parent: tuple[str, _Grown] | None) -> Iterator[_Planned]:
    children = call.org.schema.children[sobject.name]
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise ApiError(400, "JSON_PARSER_ERROR", "records: a list of sObjects is expected")
    for one in records:
        attributes = one.get("attributes")
        grown = _Grown(str(attributes.get("referenceId") if isinstance(attributes, dict) else None))
        nested = {key: value for key, value in one.items() if isinstance(value, dict) and "records" in value}
        plain = {key: value for key, value in one.items() if key not in nested}
        yield grown, sobject, read_record(sobject, plain), parent
        for key, value in nested.items():
            if key.lower() not in children:
                raise ApiError(400, "INVALID_FIELD", f"No such relationship '{key}' on sobject of type {sobject.name}")
            child, field = children[key.lower()]
            yield from _planned(call, call.org.schema.objects[child], value["records"], (field.name, grown))


def _grow(work: Unit, grown: _Grown, sobject: SObject, incoming: Incoming, parent: Any) -> dict[str, Any]:
    if parent is not None:
        incoming.values[parent[0]] = parent[1].id
    try:
        grown.id = insert(work, sobject, incoming)
    except Refused as error:
        raise _TreeFailed(grown.reference, error.problems) from None
    return {"referenceId": grown.reference, "id": grown.id}


def _calls(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise ApiError(400, "JSON_PARSER_ERROR", "a list of subrequests is expected")
    if len(given) > MAX_CALLS:
        message = f"Limit reached: {len(given)} subrequests, at most {MAX_CALLS} are allowed"
        raise ApiError(400, "LIMIT_EXCEEDED", message)
    return given


def _in_turn(call: Call, calls: list[dict[str, Any]], dispatch: Dispatch, *, halt: bool) -> list[dict[str, Any]]:
    known: dict[str, Any] = {}
    answers: list[dict[str, Any]] = []
    for one in calls:
        reference = one.get("referenceId")
        try:
            url = _filled(str(one.get("url")), known)
            reply = dispatch(_inner(call, one.get("method"), url, _filled(one.get("body"), known)))
        except _NoReference as error:
            reply = Reply(400, [{"errorCode": "PROCESSING_HALTED", "message": f"Invalid reference specified. {error}"}])
        answer = {"body": reply.value, "httpHeaders": dict(reply.headers), "httpStatusCode": reply.status}
        answers.append({**answer, "referenceId": reference})
        if reply.status < 400:
            known[str(reference)] = reply.value
        elif halt:
            break
    return answers


def _halted(answer: dict[str, Any]) -> dict[str, Any]:
    body = [{"errorCode": "PROCESSING_HALTED", "message": _HALTED}]
    return {"body": body, "httpHeaders": {}, "httpStatusCode": 400, "referenceId": answer["referenceId"]}


def _inner(call: Call, method: Any, url: str, body: Any) -> Call:
    parts = urlsplit(url)
    root, _, rest = parts.path.partition("/services/data/")
    version, _, path = rest.partition("/")
    if root or version != call.version:
        raise ApiError(400, "INVALID_INPUT", f"the url of a subrequest has to begin with {call.root}")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    content = b"" if body is None else encode(body)
    return replace(call, method=str(method).upper(), path=path.strip("/"), query=query, body=content)


def _filled(value: Any, known: dict[str, Any]) -> Any:
    """The value with each `@{reference.field}` replaced."""
    if isinstance(value, dict):
        return {key: _filled(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, known) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _look_up(whole, known)
    return _REFERENCE.sub(lambda match: str(_look_up(match, known)), value)


def _look_up(match: re.Match[str], known: dict[str, Any]) -> Any:
    name = match[1]
    value: Any = known.get(name)
    if value is None:
        raise _NoReference(f"No value for {name}")
    for step in _STEP.findall(match[2]):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, TypeError, ValueError):
            raise _NoReference(f"No value for {match[0][2:-1]} found in {name}") from None
    return value
