"""Bringing records in for tests, demos and CSV loaders: create, update or upsert, associate. No part of delivery.

A record is `{"id"?, "properties": {...}, "associations"?: {object: id or [ids]}, "stage"?: label, "pipeline"?: label}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from tieout.connectors import exact_json
from tieout.connectors.base import Record
from tieout.connectors.hubspot import associations
from tieout.connectors.hubspot.bodies import text
from tieout.connectors.hubspot.objects import OWN_STAGE, PIPED, pipeline_properties
from tieout.connectors.hubspot.operations import BATCH
from tieout.connectors.hubspot.pipelines import Pipeline, Pipelines
from tieout.connectors.hubspot.reasons import error_of, message_of, reason_of
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.connectors.saved import SaveResult
from tieout.model.errors import ConfigurationFault, VendorFault


def save(
    session: HubSpotSession,
    pipelines: Pipelines,
    operation: Literal["create", "update", "upsert"],
    obj: str,
    records: Sequence[Record],
    *,
    unique: str | None = None,
) -> list[SaveResult]:
    """Saves records by batches of 100; a result for each, in order. A batch that is refused goes again one by one.

    Raises:
        Unanswered: nobody knows whether a batch was applied; a create must not simply be repeated.
        ConfigurationFault: no such pipeline or stage.
        Fatal: the call was refused, and not for what a record says.
    """
    path = f"/crm/v3/objects/{obj}/batch/{operation}"
    inputs = [_input(pipelines, obj, one, unique, str(number)) for number, one in enumerate(records)]
    saved: list[SaveResult] = []
    for start in range(0, len(inputs), BATCH):
        saved += _batch(session, path, inputs[start : start + BATCH], operation)
    wanted = {to for record in records for to in record.get("associations") or {}}
    for to in sorted(wanted):
        associations.set_default(session, obj, to, list(_pairs(records, saved, to)))
    return saved


def archive(session: HubSpotSession, obj: str, ids: Sequence[str]) -> None:
    """Archives records. Raises as `save`."""
    for start in range(0, len(ids), BATCH):
        body = exact_json.dumps({"inputs": [{"id": id_} for id_ in ids[start : start + BATCH]]})
        reply = session.write("POST", f"/crm/v3/objects/{obj}/batch/archive", body)
        if reply.status >= 300:
            raise session.raw.http.fault(reply)


def _input(pipelines: Pipelines, obj: str, record: Record, unique: str | None, trace: str) -> dict[str, Any]:
    properties = {str(name): text(value) for name, value in record["properties"].items()}
    if record.get("stage") or record.get("pipeline"):
        properties |= _placed(pipelines, obj, record)
    made: dict[str, Any] = {"properties": properties, "objectWriteTraceId": trace}
    if unique is not None:
        return {**made, "id": properties[unique], "idProperty": unique}
    return {**made, "id": str(record["id"])} if record.get("id") else made


def _placed(pipelines: Pipelines, obj: str, record: Record) -> dict[str, str]:
    """The properties that put a record into a pipeline's stage, both by their labels."""
    if obj not in PIPED:
        return {OWN_STAGE: str(record.get("stage") or "")}
    every = pipelines.of(obj)
    name = record.get("pipeline")
    chosen: Pipeline | None = pipelines.find(obj, str(name)) if name else next(iter(every.values()), None)
    names = pipeline_properties(obj)
    stage = chosen.stage(str(record["stage"])) if chosen and record.get("stage") else None
    if chosen is None or (record.get("stage") and stage is None):
        labels = ", ".join(one.label for one in chosen.stages.values()) if chosen else "no pipeline"
        raise ConfigurationFault(f"HubSpot: {obj}: expected one of the stages {labels}, found {record.get('stage')!r}")
    return {names[0]: chosen.id, **({names[1]: stage.id} if stage else {})}


def _batch(session: HubSpotSession, path: str, inputs: Sequence[dict[str, Any]], operation: str) -> list[SaveResult]:
    reply = session.write("POST", path, exact_json.dumps({"inputs": list(inputs)}))
    if reply.status in (400, 404, 409) and len(inputs) > 1:
        # Nothing was applied, and one record of them is to blame.
        return [result for one in inputs for result in _batch(session, path, [one], operation)]
    answer = error_of(reply)
    if reply.status in (400, 404, 409):
        return [_failed(answer)]
    if reply.status >= 300:
        raise session.raw.http.fault(reply)
    by_trace = {str(one.get("objectWriteTraceId")): one for one in answer.get("results") or []}
    if len(inputs) > 1 and "None" in by_trace:
        raise VendorFault(
            f"{session.name}: results of {path} without an objectWriteTraceId: whose they are is not known"
        )
    errors = answer.get("errors") or []
    made = []
    for one in inputs:
        result = by_trace.get(one["objectWriteTraceId"]) or by_trace.get("None")
        mine = [error for error in errors if one["objectWriteTraceId"] in _traces(error)]
        if result is None:
            made.append(_failed(mine[0] if mine else errors[0] if errors else {"message": "no result for it"}))
        else:
            created = operation == "create" or result.get("new") is True
            made.append(SaveResult(True, str(result["id"]), created, ()))
    return made


def _failed(error: Mapping[str, Any]) -> SaveResult:
    return SaveResult(False, None, False, ((reason_of(error), message_of(error)),))


def _traces(error: Mapping[str, Any]) -> list[str]:
    found = (error.get("context") or {}).get("objectWriteTraceId") or []
    return [str(one) for one in (found if isinstance(found, list) else [found])]


def _pairs(records: Sequence[Record], saved: Sequence[SaveResult], to: str) -> Iterator[tuple[str, str]]:
    for record, result in zip(records, saved, strict=True):
        others = (record.get("associations") or {}).get(to)
        for other in others if isinstance(others, list | tuple) else [others]:
            if other is not None and result.id is not None:
                yield result.id, str(other)
