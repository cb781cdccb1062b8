"""Bulk API 2.0: a query's result as records like those of the REST API, and ingest with a result for each record.

A job is made, watched with a bounded number of looks, and its CSV read exactly.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.base import Page, Record
from tieout.connectors.http import Call, Reply
from tieout.connectors.session import Session
from tieout.model.errors import Retriable, TieoutError, VendorFault
from tieout.model.staged import ColumnType, StagedEntity

PAGE = 50_000  # records of one result page
LOOKS = 720  # at most so many looks at one job
FIRST_LOOK, LONGEST_LOOK = 0.5, 10.0  # seconds between looks; together at most two hours
MOST_CSV_BYTES = 90_000_000  # of one ingest job: 150 MB in base64, which Salesforce counts with
_OPEN = {"Open", "UploadComplete", "InProgress"}
csv.field_size_limit(16 * 1024 * 1024)  # long text areas hold up to 131,072 characters; rich text more


def query(session: Session, data: str, soql: str, entity: StagedEntity) -> Iterator[Page]:
    """The result of a query by a job, in pages. Raises as HttpClient.read, VendorFault when the job fails."""
    body = exact_json.dumps({"operation": "query", "query": soql})
    headers = {"Content-Type": "application/json"}
    # Making a query job twice costs a job and changes no record: it may be repeated like a read.
    _, job = session.read(Call("POST", f"{data}/jobs/query", headers=headers, body=body))
    path = f"{data}/jobs/query/{_job_id(job)}"
    _wait(session, path)
    types = {field.path.lower(): field.type for field in entity.fields}
    locator = ""
    while True:
        params = {"maxRecords": str(PAGE), **({"locator": locator} if locator else {})}
        call = Call("GET", f"{path}/results", params, {"Accept": "text/csv"})
        reply, _ = session.read(call, parse=None)
        yield Page([_record(row, types) for row in _rows(reply)])
        locator = reply.headers.get("sforce-locator", "null")
        if locator == "null":
            return


def ingest(
    session: Session, data: str, obj: str, operation: str, records: Sequence[Record], external_id: str | None
) -> list[dict[str, Any]]:
    """Creates or upserts records by one job; for each, in order, `{id, success, created, errors}`.

    Raises:
        VendorFault: the job failed as a whole, or a record is in none of the three result files.
        Retriable: the job did not end in time, or nobody knows whether the upload arrived.
    """
    names = list(dict.fromkeys(name for record in records for name in record))
    rows = [tuple(_cell(record.get(name)) for name in names) for record in records]
    wanted = {"object": obj, "operation": operation, "contentType": "CSV", "lineEnding": "LF"}
    if external_id:
        wanted["externalIdFieldName"] = external_id
    job = _written(session, Call("POST", f"{data}/jobs/ingest", body=exact_json.dumps(wanted)), "application/json")
    path = f"{data}/jobs/ingest/{_job_id(job.json())}"
    text = _csv([tuple(names), *rows])
    if len(text) > MOST_CSV_BYTES:
        raise VendorFault(f"{session.name}: {len(text)} bytes for one ingest job; at most {MOST_CSV_BYTES}")
    _written(session, Call("PUT", f"{path}/batches", body=text), "text/csv; charset=UTF-8")
    _written(session, Call("PATCH", path, body=b'{"state":"UploadComplete"}'), "application/json")
    _wait(session, path, ending=("JobComplete", "Failed"))
    return _results(session, path, names, rows)


def _results(session: Session, path: str, names: list[str], rows: list[tuple[str, ...]]) -> list[dict[str, Any]]:
    # The files keep no order and no number: a record is found again by its content. Equal contents are exchangeable.
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for kind in ("successfulResults", "failedResults", "unprocessedrecords"):
        reply, _ = session.read(Call("GET", f"{path}/{kind}", headers={"Accept": "text/csv"}), parse=None)
        for row in _rows(reply):
            error = row.get("sf__Error") or ("UNPROCESSED" if kind == "unprocessedrecords" else "")
            result = {
                "id": row.get("sf__Id") or None,
                "success": kind == "successfulResults",
                "created": row.get("sf__Created") == "true",
                "errors": [_error(error)] if error else [],
            }
            found.setdefault(tuple(row.get(name, "") for name in names), []).append(result)
    results = []
    for number, row_sent in enumerate(rows):
        left = found.get(row_sent)
        if not left:
            raise VendorFault(f"{session.name}: record {number} of an ingest job is in none of its result files")
        results.append(left.pop())
    return results


def _error(text: str) -> dict[str, Any]:
    code, _, rest = text.partition(":")
    return {"statusCode": code, "message": rest, "fields": []}


def _written(session: Session, call: Call, content_type: str) -> Reply:
    reply = session.write(Call(call.method, call.url, headers={"Content-Type": content_type}, body=call.body))
    if reply.status >= 300:
        error: TieoutError = session.http.fault(reply)
        raise error
    return reply


def _job_id(job: Any) -> str:
    found = job.get("id") if isinstance(job, dict) else None
    if not isinstance(found, str) or not found.isalnum():
        raise VendorFault("Salesforce made a job without an id")
    return found


def _wait(session: Session, path: str, ending: tuple[str, ...] = ("JobComplete",)) -> None:
    pause = FIRST_LOOK
    for _ in range(LOOKS):
        job = session.get(path)
        state = job.get("state") if isinstance(job, dict) else None
        if state in ending:
            return
        if state not in _OPEN:
            message = str(job.get("errorMessage", ""))[:300] if isinstance(job, dict) else ""
            raise VendorFault(f"{session.name}: a bulk job ended as {state}: {message}")
        session.http.wait(pause)
        pause = min(LONGEST_LOOK, pause * 1.5)
    raise Retriable(f"{session.name}: a bulk job did not end within {LOOKS} looks")


def _rows(reply: Reply) -> Iterator[dict[str, str]]:
    try:
        text = reply.body.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = next(reader, [])
        for row in reader:
            if row:
                yield dict(zip(names, row, strict=True))
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise VendorFault(f"Salesforce's bulk result is not the CSV it should be: {error}") from error


def _record(row: Mapping[str, str], types: Mapping[str, ColumnType]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, text in row.items():
        value = _value(text, types.get(name.lower(), "text"))
        *parents, last = name.split(".")
        place = record
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return {name: _or_none(value) for name, value in record.items()}


def _or_none(value: Any) -> Any:
    # REST answers null for a parent that is not there; CSV has an empty cell for each of its fields.
    if isinstance(value, dict):
        inner = {name: _or_none(item) for name, item in value.items()}
        return None if all(item is None for item in inner.values()) else inner
    return value


def _value(text: str, kind: ColumnType) -> Any:
    if text == "":
        return None
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind in ("decimal", "integer"):
        try:
            number = Decimal(text)
        except InvalidOperation:
            return text  # staging says what is wrong with it
        return int(text) if text.lstrip("-").isdigit() and text.isascii() else number
    return text


def _cell(value: Any) -> str:
    if value is None:
        return "#N/A"  # an empty cell would leave the field as it is
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int | str):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written into a bulk job")


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()
