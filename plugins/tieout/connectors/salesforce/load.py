"""Bringing records in for tests, demos and CSV loaders: create or upsert, a result for each. No part of delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tieout.connectors import exact_json
from tieout.connectors.base import Record
from tieout.connectors.http import Call, Reply
from tieout.connectors.salesforce import bulk, soql
from tieout.connectors.salesforce.write import BATCH, JSON_BODY, first_error
from tieout.connectors.saved import SaveResult
from tieout.connectors.session import Session
from tieout.model.errors import VendorFault

BULK_FROM = 2000  # records from which Salesforce advises a bulk job


def save(
    session: Session,
    data: str,
    operation: Literal["insert", "update", "upsert"],
    obj: str,
    records: Sequence[Record],
    *,
    external_id: str | None = None,
    bulk_from: int = BULK_FROM,
) -> list[SaveResult]:
    """Saves records by collections of 200 or, from `bulk_from` on, by a bulk job; a result for each, in order.

    Raises:
        Retriable: nobody knows whether a batch was applied; an insert must not simply be repeated.
        Fatal: the call was refused as a whole.
    """
    soql.identifier(obj)
    if external_id is not None:
        soql.identifier(external_id)
    if len(records) >= bulk_from:
        results = bulk.ingest(session, data, obj, operation, records, external_id)
        return [_saved(item, operation) for item in results]
    path = f"{data}/composite/sobjects" + (f"/{obj}/{external_id}" if external_id else "")
    saved: list[SaveResult] = []
    for start in range(0, len(records), BATCH):
        batch = [{"attributes": {"type": obj}, **record} for record in records[start : start + BATCH]]
        body = exact_json.dumps({"allOrNone": False, "records": batch})
        reply = session.write(Call("POST" if operation == "insert" else "PATCH", path, headers=JSON_BODY, body=body))
        if reply.status >= 300:
            raise session.http.fault(reply)
        items = _results(reply)
        if not isinstance(items, list) or len(items) != len(batch):
            raise VendorFault(f"{session.name}: {len(batch)} {obj} records sent, another number of results came back")
        saved += [_saved(item, operation) for item in items]
    return saved


def _saved(item: Mapping[str, Any], operation: str) -> SaveResult:
    success = item.get("success") is True
    errors = tuple(first_error([error]) for error in item.get("errors") or [])
    created = success and (operation == "insert" or item.get("created") is True)
    return SaveResult(success, soql.given_id(item.get("id")) if success else None, created, errors)


def _results(reply: Reply) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None
