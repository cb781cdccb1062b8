"""What both kinds of Bulk API 2.0 jobs share: the record of a job, its states, and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sandbox.salesforce import ids
from sandbox.salesforce.errors import ApiError, not_found
from sandbox.salesforce.org import Org
from sandbox.salesforce.wire import Call
from sandbox.state import Record

DELIMITERS = {"COMMA": ",", "TAB": "\t", "SEMICOLON": ";", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
KEPT = timedelta(days=7)  # Salesforce deletes jobs and their results after that
_HIDDEN = frozenset(("kind", "polls", "ids", "header", "good", "bad", "left", "created_at", "include_deleted"))


def create(call: Call, kind: str, job: Record) -> Record:
    """Keeps a new job; forgets those that are too old."""
    org = call.org
    now = org.now()
    for old in [id_ for id_, one in org.table("_job").items() if one["created_at"] < now - KEPT]:
        org.table("_job").delete(old)
    job = {
        "id": ids.make("750", org.number("750")),
        **job,
        "createdById": call.access.user_id,
        "createdDate": org.stamp_now(),
        "systemModstamp": org.stamp_now(),
        "concurrencyMode": "Parallel",
        "apiVersion": Decimal(call.version[1:]),
        "kind": kind,
        "created_at": now,
        "polls": org.setting("bulk_polls"),
    }
    org.table("_job").put(job["id"], job)
    return job


def find(call: Call, kind: str, id_: str) -> Record:
    """The job. Raises ApiError 404."""
    job = call.org.table("_job").get(ids.normal(id_) or "")
    if job is None or job["kind"] != kind:
        raise not_found()
    return job


def save(org: Org, job: Record, **changes: Any) -> Record:
    """Keeps the job with changes."""
    job = {**job, **changes, "systemModstamp": org.stamp_now()}
    org.table("_job").put(job["id"], job)
    return job


def shown(job: Record) -> dict[str, Any]:
    """The job as it goes out."""
    return {key: value for key, value in job.items() if key not in _HIDDEN}


def polled(org: Org, job: Record) -> dict[str, Any]:
    """The job as somebody sees it who asks how far it is: as often as set, it is not done yet."""
    if job["state"] == "JobComplete" and job["polls"] > 0:
        job = save(org, job, polls=job["polls"] - 1)
        return {**shown(job), "state": "InProgress"}
    return shown(job)


def form(body: dict[str, Any]) -> dict[str, str]:
    """The CSV settings of a new job. Raises ApiError 400."""
    delimiter, ending = body.get("columnDelimiter", "COMMA"), body.get("lineEnding", "LF")
    if delimiter not in DELIMITERS or ending not in LINE_ENDINGS or body.get("contentType", "CSV") != "CSV":
        raise ApiError(400, "INVALIDJOB", "contentType, columnDelimiter or lineEnding is not supported")
    return {"contentType": "CSV", "columnDelimiter": delimiter, "lineEnding": ending}


def write_csv(job: Record, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file: every value in quotes, nothing at all for a missing one."""
    file = io.StringIO()
    end = LINE_ENDINGS[job["lineEnding"]]
    writer = csv.writer(file, delimiter=DELIMITERS[job["columnDelimiter"]], lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue().encode()


def read_csv(job: Record, text: str) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of a CSV file. Raises ApiError 400."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=DELIMITERS[job["columnDelimiter"]]) if row]
    except csv.Error as error:
        raise ApiError(400, "CLIENT_INPUT_ERROR", f"The file is no CSV: {error}") from None
    return (rows[0], rows[1:]) if rows else ([], [])


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.endswith("+0000") and len(value) == 28:
        return value[:-5] + "Z"  # instants are written so in CSV
    return value
