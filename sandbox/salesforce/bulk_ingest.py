"""`/jobs/ingest`: many records sent as CSV, saved in batches, with what went well and what did not as CSV."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.salesforce import bulk, ids
from sandbox.salesforce.errors import ApiError, Refused, refused
from sandbox.salesforce.fields import SObject
from sandbox.salesforce.incoming import Incoming, read_row
from sandbox.salesforce.saving import ManyMatches, Unit, delete, insert, unit, update, upsert
from sandbox.salesforce.sobjects import external_field, sobject_of
from sandbox.salesforce.wire import CSV, Call, Reply
from sandbox.state import Record

BATCH = 10_000  # records that are saved in one transaction
OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
MAX_BYTES = 150_000_000
Save = Callable[[Unit, Incoming], tuple[str, bool]]


def create(call: Call) -> Reply:
    """POST /jobs/ingest"""
    body = call.json_object()
    sobject = sobject_of(call, str(body.get("object")))
    operation = body.get("operation")
    if operation not in OPERATIONS:
        raise ApiError(400, "INVALIDJOB", f"operation: one of {', '.join(OPERATIONS)} is expected")
    external = body.get("externalIdFieldName")
    if (operation == "upsert") != bool(external):
        raise ApiError(400, "INVALIDJOB", "externalIdFieldName belongs to an upsert, and an upsert needs it")
    if external:
        external = external_field(sobject, external).name
    job = {"operation": operation, "object": sobject.name, **bulk.form(body), "state": "Open"}
    job |= {"header": [], "left": [], "good": [], "bad": []}
    if external:
        job["externalIdFieldName"] = external
    with call.org.state.transaction():
        job = bulk.create(call, "ingest", job)
    return Reply(value={**bulk.shown(job), "contentUrl": f"{call.root.lstrip('/')}/jobs/ingest/{job['id']}/batches"})


def put(call: Call, id_: str) -> Reply:
    """PUT /jobs/ingest/id/batches: the CSV file, once."""
    job = bulk.find(call, "ingest", id_)
    if job["state"] != "Open" or job["header"]:
        raise ApiError(400, "INVALIDJOBSTATE", "Data can be uploaded once, while the job is Open")
    if len(call.body) > MAX_BYTES:
        raise ApiError(413, "REQUEST_TOO_LARGE", f"The file is larger than {MAX_BYTES} bytes")
    try:
        header, rows = bulk.read_csv(job, call.body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ApiError(400, "CLIENT_INPUT_ERROR", "The file is not UTF-8") from None
    bulk.save(call.org, job, header=header, left=rows)
    return Reply(201)


def change(call: Call, id_: str) -> Reply:
    """PATCH /jobs/ingest/id: UploadComplete saves the records; Aborted leaves them."""
    job = bulk.find(call, "ingest", id_)
    wanted = call.json_object().get("state")
    if wanted not in ("UploadComplete", "Aborted") or job["state"] != "Open":
        raise ApiError(400, "INVALIDJOBSTATE", f"Job state can't be changed from {job['state']} to {wanted}")
    if wanted == "Aborted":
        return Reply(value=bulk.shown(bulk.save(call.org, job, state="Aborted")))
    _process(call, bulk.save(call.org, job, state="UploadComplete"))
    return Reply(value={**bulk.shown(job), "state": "UploadComplete"})


def state(call: Call, id_: str) -> Reply:
    """GET /jobs/ingest/id"""
    job = bulk.find(call, "ingest", id_)
    answer = bulk.polled(call.org, job)
    counts = {"numberRecordsProcessed": len(job["good"]) + len(job["bad"]), "numberRecordsFailed": len(job["bad"])}
    times = {"retries": 0, "totalProcessingTime": 1, "apiActiveProcessingTime": 1, "apexProcessingTime": 0}
    return Reply(value={**answer, **counts, **times})


def remove(call: Call, id_: str) -> Reply:
    """DELETE /jobs/ingest/id"""
    call.org.table("_job").delete(bulk.find(call, "ingest", id_)["id"])
    return Reply(204)


def successful(call: Call, id_: str) -> Reply:
    """GET /jobs/ingest/id/successfulResults"""
    job = bulk.find(call, "ingest", id_)
    return _file(job, ["sf__Id", "sf__Created", *job["header"]], job["good"])


def failed(call: Call, id_: str) -> Reply:
    """GET /jobs/ingest/id/failedResults"""
    job = bulk.find(call, "ingest", id_)
    return _file(job, ["sf__Id", "sf__Error", *job["header"]], job["bad"])


def unprocessed(call: Call, id_: str) -> Reply:
    """GET /jobs/ingest/id/unprocessedrecords"""
    job = bulk.find(call, "ingest", id_)
    return _file(job, job["header"], job["left"])


def _file(job: Record, header: list[str], rows: list[list[str]]) -> Reply:
    return Reply(raw=bulk.write_csv(job, header, rows), content_type=CSV)


def _process(call: Call, job: Record) -> None:
    sobject = sobject_of(call, job["object"])
    save = _saver(job, sobject)
    while job["left"]:
        good, bad = list(job["good"]), list(job["bad"])
        with unit(call.org, call.access) as work:
            for row in job["left"][:BATCH]:
                try:
                    id_, created = _save(work, sobject, job, row, save)
                    good.append([id_, "true" if created else "false", *row])
                except Refused as error:
                    first = error.problems[0]
                    shown = f"{first.code}:{first.message}:{','.join(first.fields)} --"
                    bad.append(["", shown, *row])
            work.settle()
            job = bulk.save(call.org, job, good=good, bad=bad, left=job["left"][BATCH:])
    bulk.save(call.org, job, state="JobComplete")


def _save(work: Unit, sobject: SObject, job: Record, row: list[str], save: Save) -> tuple[str, bool]:
    if len(row) != len(job["header"]):
        raise refused("INVALID_ROW", "The number of values differs from the number of columns")
    try:
        return save(work, read_row(sobject, dict(zip(job["header"], row, strict=True))))
    except ApiError as error:
        raise refused("InvalidBatch", str(error)) from None
    except ManyMatches as error:
        raise refused("DUPLICATE_EXTERNAL_ID", f"more than one record found: {', '.join(error.ids)}") from None


def _saver(job: Record, sobject: SObject) -> Save:
    def by_id(incoming: Incoming) -> str:
        given: Any = incoming.values.pop("Id", None)
        if given is None:
            raise refused("MISSING_ARGUMENT", "Id not specified")
        if ids.normal(given) is None or given[:3] != sobject.prefix:
            raise refused("MALFORMED_ID", f"{sobject.label} ID: id value of incorrect type: {given}", "Id")
        return str(given)

    def change(work: Unit, incoming: Incoming) -> tuple[str, bool]:
        id_ = by_id(incoming)
        update(work, sobject, id_, incoming)
        return id_, False

    def gone(work: Unit, incoming: Incoming) -> tuple[str, bool]:
        id_ = by_id(incoming)
        delete(work, sobject, id_)
        return id_, False

    def either(work: Unit, incoming: Incoming) -> tuple[str, bool]:
        field = sobject.fields[job["externalIdFieldName"]]
        return upsert(work, sobject, field, incoming.values.get(field.name), incoming)

    savers: dict[str, Save] = {
        "insert": lambda work, incoming: (insert(work, sobject, incoming), True),
        "update": change,
        "upsert": either,
        "delete": gone,
        "hardDelete": gone,
    }
    return savers[job["operation"]]
