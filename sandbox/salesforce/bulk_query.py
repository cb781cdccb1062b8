"""`/jobs/query`: a query whose answer is fetched as CSV, in parts."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sandbox.salesforce import bulk
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.querying import stale_from
from sandbox.salesforce.soql.render import columns, flatten, renderer
from sandbox.salesforce.soql.run import Options, Plan, records, understand
from sandbox.salesforce.wire import CSV, Call, Reply
from sandbox.state import Record

DEFAULT_PART = 50_000  # records of one part when the caller names no number


def create(call: Call) -> Reply:
    """POST /jobs/query: runs the query at once; the job remembers the ids."""
    body = call.json_object()
    operation = body.get("operation")
    if operation not in ("query", "queryAll") or not isinstance(body.get("query"), str):
        raise ApiError(400, "INVALIDJOB", "operation (query or queryAll) and query have to be specified")
    stale = stale_from(call.org, call.take("stale_read"))
    options = Options(call.version, operation == "queryAll", stale)
    plan = _understand(call, body["query"], options)
    found = [one["Id"] for one in records(plan, options)]
    job = {
        "operation": operation,
        "object": plan.scope.sobject.name,
        **bulk.form(body),
        "state": "JobComplete",
        "query": body["query"],
        "ids": found,
        "include_deleted": options.include_deleted,
    }
    with call.org.state.transaction():
        kept = bulk.create(call, "query", job)
    answer = {key: value for key, value in bulk.shown(kept).items() if key != "query"}
    return Reply(value={**answer, "state": "UploadComplete"})


def state(call: Call, id_: str) -> Reply:
    """GET /jobs/query/id"""
    job = bulk.find(call, "query", id_)
    answer = bulk.polled(call.org, job)
    if answer["state"] == "JobComplete":
        answer |= {"numberRecordsProcessed": len(job["ids"]), "retries": 0, "totalProcessingTime": 1}
    return Reply(value=answer)


def results(call: Call, id_: str) -> Reply:
    """GET /jobs/query/id/results?locator=&maxRecords="""
    job = bulk.find(call, "query", id_)
    if job["state"] != "JobComplete" or job["polls"] > 0:
        raise ApiError(400, "INVALIDJOBSTATE", f"Results are not available while the job is {job['state']}")
    start = _start(call.query.get("locator", ""))
    asked = call.query.get("maxRecords", "")
    count = int(asked) if asked.isdigit() and int(asked) > 0 else DEFAULT_PART
    end = start + count
    part: list[str] = job["ids"][start:end]
    plan = _understand(call, job["query"], Options(call.version, job["include_deleted"]))
    rows = _rows(call, plan, job, part)
    locator = base64.b64encode(str(end).encode()).decode() if end < len(job["ids"]) else "null"
    headers = {"Sforce-Locator": locator, "Sforce-NumberOfRecords": str(len(rows))}
    assert plan.node is not None  # refused when the job was made
    return Reply(headers=headers, raw=bulk.write_csv(job, columns(plan.node), rows), content_type=CSV)


def abort(call: Call, id_: str) -> Reply:
    """PATCH /jobs/query/id"""
    job = bulk.find(call, "query", id_)
    if call.json_object().get("state") != "Aborted":
        raise ApiError(400, "INVALIDJOBSTATE", "a query job can only be set to Aborted")
    return Reply(value=bulk.shown(bulk.save(call.org, job, state="Aborted")))


def remove(call: Call, id_: str) -> Reply:
    """DELETE /jobs/query/id"""
    call.org.table("_job").delete(bulk.find(call, "query", id_)["id"])
    return Reply(204)


def _rows(call: Call, plan: Plan, job: Record, part: list[str]) -> list[list[Any]]:
    assert plan.node is not None
    render, names = renderer(plan.node, call.version), columns(plan.node)
    found = (call.org.get(job["object"], id_) for id_ in part)
    kept = (one for one in found if one is not None and (job["include_deleted"] or not one["IsDeleted"]))
    return [flatten(names, render(one)) for one in kept]


def _understand(call: Call, text: str, options: Options) -> Plan:
    def nested(_: Plan, __: list[Record]) -> Any:
        raise AssertionError("a bulk query has no sub-select")

    plan = understand(call.org, call.access, text, options, nested)
    if plan.node is None or plan.node.children or any(one.type == "address" for one in plan.node.fields.values()):
        message = "Aggregate, nested and compound address fields are not supported in Bulk Query"
        raise ApiError(400, "API_ERROR", message)
    return plan


def _start(locator: str) -> int:
    if not locator:
        return 0
    try:
        return int(base64.b64decode(locator, validate=True))
    except (binascii.Error, ValueError):
        raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator") from None
