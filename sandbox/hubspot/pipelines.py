"""/crm/v3/pipelines/{type}: pipelines and their stages."""

from __future__ import annotations

from typing import Any

from sandbox.hubspot.call import Call
from sandbox.hubspot.errors import invalid, not_found
from sandbox.state import Record

METADATA = {"probability", "isClosed", "ticketState"}


def listing(call: Call) -> Any:
    return {"results": list(call.portal.pipelines(call.kind()).values())}


def read(call: Call) -> Any:
    found = call.portal.pipelines(call.kind()).get(call.args["pipeline"])
    if found is None:
        raise not_found(f"Pipeline {call.args['pipeline'][:100]} does not exist")
    return found


def stages(call: Call) -> Any:
    return {"results": read(call)["stages"]}


def create(call: Call) -> Any:
    """{label, displayOrder, stages: [{label, displayOrder, metadata}]}; an id may be given (M)."""
    portal, kind, sent = call.portal, call.kind(), call.object()
    rows = sent.get("stages")
    if not kind.pipeline:
        raise invalid(f"{kind.name} have no pipelines")
    if not isinstance(sent.get("label"), str) or not isinstance(rows, list) or not rows:
        raise invalid("Some required fields were not set: [label, stages]")
    made = [_stage(call, place, row) for place, row in enumerate(rows)]
    id_ = _id(call, sent)
    if id_ in portal.pipelines(kind):
        raise invalid(f"A pipeline with the id {id_} exists already")
    pipeline = pipeline_of(id_, sent["label"], made, portal.now(), len(portal.pipelines(kind)))
    portal.pipelines(kind).put(id_, pipeline)
    return 201, pipeline


def add_stage(call: Call) -> Any:
    """{label, displayOrder, metadata}: behind those that are there."""
    found = read(call)
    made = _stage(call, len(found["stages"]), call.object())
    stages_ = [*found["stages"], made]
    call.portal.pipelines(call.kind()).put(found["id"], found | {"stages": stages_, "updatedAt": call.portal.now()})
    return 201, made


def _stage(call: Call, place: int, row: Any) -> Record:
    metadata = row.get("metadata", {}) if isinstance(row, dict) else None
    if not isinstance(metadata, dict) or not isinstance(row.get("label"), str):
        raise invalid("stages: a list of {label, displayOrder, metadata} is required")
    if not set(metadata) <= METADATA or not all(isinstance(value, str) for value in metadata.values()):
        raise invalid(f"metadata: texts for {', '.join(sorted(METADATA))} are allowed")
    if "probability" in metadata and metadata["probability"] not in [f"{n / 10:.1f}" for n in range(11)]:
        raise invalid("probability must be one of 0.0, 0.1 ... 1.0")
    if "probability" in metadata:
        closed = metadata["probability"] in ("0.0", "1.0")
        metadata = {"isClosed": "true" if closed else "false"} | metadata
    return stage_of(_id(call, row), row["label"], place, metadata, call.portal.now())


def _id(call: Call, sent: Record) -> str:
    given = next((sent[key] for key in ("pipelineId", "stageId", "id") if isinstance(sent.get(key), str)), None)
    return given or call.portal.new_id()


def pipeline_of(id_: str, label: str, stages: list[Record], now: Any, place: int = 0) -> Record:
    frame = {"id": id_, "label": label, "displayOrder": place, "stages": stages}
    return frame | {"createdAt": now, "updatedAt": now, "archived": False}


def stage_of(id_: str, label: str, place: int, metadata: dict[str, str], now: Any) -> Record:
    frame = {"id": id_, "label": label, "displayOrder": place, "metadata": metadata, "writePermissions": "CRM_WRITE"}
    return frame | {"createdAt": now, "updatedAt": now, "archived": False}
