"""Bringing records in for tests, demos and CSV loaders: create or upsert, a result for each. No part of delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.base import Record
from tieout.connectors.http import Call, Reply
from tieout.connectors.salesforce import bulk, soql
from tieout.connectors.salesforce.write import BATCH, JSON_BODY, first_error
from tieout.connectors.session import Session
from tieout.model.errors import VendorFault

BULK_FROM = 2000  # records from which Salesforce advises a bulk job


@dataclass(frozen=True, slots=True)
class SaveResult:
    """What became of one record of `insert` or `upsert`. `errors`: (code, message) pairs."""

    success: bool
    id: str | None
    created: bool
    errors: tuple[tuple[str, str], ...]


def save(
    session: Session,
    data: str,
    obj: str,
    records: Sequence[Record],
    external_id: str | None,
    bulk_from: int,
) -> list[SaveResult]:
    """Creates records (or upserts them by `external_id`), by collections of 200 or, from `bulk_from` on, a bulk job.

    Raises:
        Retriable: nobody knows whether a batch was applied; an insert must not simply be repeated.
        Fatal: the call was refused as a whole.
    """
    soql.identifier(obj)
    if external_id is not None:
        soql.identifier(external_id)
    if len(records) >= bulk_from:
        operation = "insert" if external_id is None else "upsert"
        return [_saved(item, external_id) for item in bulk.ingest(session, data, obj, operation, records, external_id)]
    path = f"{data}/composite/sobjects" + (f"/{obj}/{external_id}" if external_id else "")
    results: list[SaveResult] = []
    for start in range(0, len(records), BATCH):
        batch = [{"attributes": {"type": obj}, **record} for record in records[start : start + BATCH]]
        body = exact_json.dumps({"allOrNone": False, "records": batch})
        reply = session.write(Call("PATCH" if external_id else "POST", path, headers=JSON_BODY, body=body))
        if reply.status >= 300:
            raise session.http.fault(reply)
        items = _results(reply)
        if not isinstance(items, list) or len(items) != len(batch):
            raise VendorFault(f"{session.name}: {len(batch)} {obj} records sent, another number of results came back")
        results += [_saved(item, external_id) for item in items]
    return results


def _saved(item: Mapping[str, Any], external_id: str | None) -> SaveResult:
    success = item.get("success") is True
    errors = tuple(first_error([error]) for error in item.get("errors") or [])
    created = bool(item.get("created", external_id is None)) and success
    return SaveResult(success, soql.id_18(str(item["id"])) if success else None, created, errors)


def _results(reply: Reply) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None
