"""/crm/v3/objects/{type}/batch: at most 100 inputs. 207 when some of them failed.

Writes whose inputs all have an objectWriteTraceId end each on its own; without one, the first refusal refuses all.
Records that are not there are always an error of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.hubspot import records
from sandbox.hubspot.associations import read_id
from sandbox.hubspot.call import Call, names
from sandbox.hubspot.catalog import ObjectType
from sandbox.hubspot.errors import Problem, invalid
from sandbox.hubspot.objects import by_property
from sandbox.state import Record

Input = dict[str, Any]


def read(call: Call) -> Any:
    kind, sent, inputs = call.kind(), call.object(), call.inputs()
    wanted, id_property = names(sent.get("properties"), "properties"), sent.get("idProperty")
    archived, hidden = call.flag("archived"), call.hidden_since()
    found, missing = {}, []
    for one in inputs:
        record = _look_up(call, kind, one.get("id"), id_property, archived)
        if record is None or (hidden is not None and record["created"] >= hidden):
            missing.append(str(one.get("id")))
        else:
            found[record["id"]] = records.view(call.portal, kind, record, wanted)
    errors = []
    if missing:
        message = (
            f"Could not get some {kind.label} objects, they may be deleted or not exist. Check that ids are valid."
        )
        errors.append(Problem(404, "OBJECT_NOT_FOUND", message, context={"ids": missing}).item(None))
    return _answer(call, 200, list(found.values()), errors, len(missing))


def create(call: Call) -> Any:
    kind = call.kind()

    def make(one: Input) -> Input:
        record = records.create(call.portal, kind, one.get("properties"), one.get("associations"))
        return records.written(call.portal, kind, record)

    return _each(call, 201, call.inputs(), make)


def update(call: Call) -> Any:
    kind, inputs = call.kind(), call.inputs()
    _refuse_repeats(inputs)

    def change(one: Input) -> Input:
        record = _look_up(call, kind, one.get("id"), one.get("idProperty"), False)
        if record is None:
            id_ = str(one.get("id"))
            raise Problem(404, "OBJECT_NOT_FOUND", f"{kind.label} object {id_} was not found.", context={"ids": [id_]})
        changed = records.update(call.portal, kind, record, one.get("properties"))
        return records.written(call.portal, kind, changed)

    return _each(call, 200, inputs, change)


def upsert(call: Call) -> Any:
    """By a unique property: found records change, others are made; `new` says which."""
    kind, inputs = call.kind(), call.inputs()
    _refuse_repeats(inputs)

    def save(one: Input) -> Input:
        name, id_ = one.get("idProperty"), one.get("id")
        if not isinstance(name, str) or id_ is None:
            raise invalid("Some required fields were not set: [id, idProperty]")
        record = _look_up(call, kind, id_, name, False)
        sent = one.get("properties")
        if record is not None:
            changed = records.update(call.portal, kind, record, sent)
            return records.written(call.portal, kind, changed) | {"new": False}
        if name == "hs_object_id":
            raise Problem(404, "OBJECT_NOT_FOUND", f"{kind.label} object {id_} was not found.",
                          context={"ids": [str(id_)]})  # fmt: skip
        if isinstance(sent, dict):
            sent = {name: id_} | sent
        return records.written(call.portal, kind, records.create(call.portal, kind, sent)) | {"new": True}

    return _each(call, 200, inputs, save)


def archive(call: Call) -> Any:
    """204, also for ids that are not there."""
    kind = call.kind()
    for id_ in [read_id(one.get("id")) for one in call.inputs()]:
        record = call.portal.find_record(kind, id_)
        if record is not None:
            records.archive(call.portal, kind, record)
    return 204, None


def _look_up(call: Call, kind: ObjectType, id_: Any, name: Any, archived: bool) -> Record | None:
    if name is None or name == "hs_object_id":
        return call.portal.find_record(kind, read_id(id_), archived)
    if not isinstance(name, str):
        raise invalid("idProperty: a text is required")
    return by_property(call, kind, name, id_)


def _refuse_repeats(inputs: list[Input]) -> None:
    ids = [str(one.get("id")) for one in inputs]
    repeated = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if repeated:
        raise invalid(f"Duplicate IDs found in batch input: [{', '.join(repeated)}]. IDs must be unique", ids=repeated)


def _each(call: Call, status: int, inputs: list[Input], write: Callable[[Input], Input]) -> Any:
    traces = [one.get("objectWriteTraceId") for one in inputs]
    if any(trace is not None and not isinstance(trace, str) for trace in traces):
        raise invalid("objectWriteTraceId: a text is required")
    alone = all(traces)
    results, errors = [], []
    for one, trace in zip(inputs, traces, strict=True):
        try:
            results.append(write(one) | ({"objectWriteTraceId": trace} if trace else {}))
        except Problem as problem:
            if not alone and problem.status != 404:
                raise
            errors.append(problem.item(trace))
    return _answer(call, status, results, errors, len(errors))


def _answer(call: Call, status: int, results: list[Input], errors: list[Input], count: int) -> Any:
    if call.portal.setting("reverse_results"):
        results.reverse()
    missing = call.faults.take("item_missing", call.method, call.path)
    if missing is not None and results:
        del results[int(missing.get("index", -1)) % len(results)]
    now = call.portal.now()
    answer: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
    if errors:
        return 207, answer | {"numErrors": count, "errors": errors}
    return status, answer
