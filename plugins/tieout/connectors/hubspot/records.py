"""Records as answers hold them, and records by their ids: what reading, searching and writing share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tieout.connectors.base import Record
from tieout.connectors.hubspot.objects import Kind, Wanted
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.model.errors import VendorFault

PAGE = 100  # records of a list page and of a batch read
MS = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def by_ids(session: HubSpotSession, kind: Kind, want: Wanted, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The records with these ids, as they are now, in their order, each once; ids that are gone are missing.

    The id of a record that was merged into another brings that other one, which was not asked for: it is left out, and
    comes by its own id.
    """
    found: dict[str, dict[str, Any]] = {}
    place = {id_: at for at, id_ in enumerate(ids)}
    for start in range(0, len(ids), PAGE):
        inputs = [{"id": id_} for id_ in ids[start : start + PAGE]]
        body = {"inputs": inputs, "properties": list(want.properties), "propertiesWithHistory": []}
        for record in results(session, kind, session.ask(f"/crm/v3/objects/{kind.object}/batch/read", body)):
            if record["id"] in place:
                found[record["id"]] = record
    # Results come in any order.
    return sorted(found.values(), key=lambda record: place[record["id"]])


def results(session: HubSpotSession, kind: Kind, answer: Record) -> list[dict[str, Any]]:
    """The records of an answer. Raises VendorFault when it has none."""
    found = answer.get("results")
    if not isinstance(found, list) or not all(isinstance(one, dict) and is_id(str(one.get("id"))) for one in found):
        raise VendorFault(f"{session.name}: the answer for {kind.object} has no results with ids")
    return [{**one, "id": str(one["id"])} for one in found]


def is_id(text: str) -> bool:
    """Whether the text has the form of one of HubSpot's ids."""
    return text.isascii() and text.isdigit() and len(text) <= 20


def moment(record: Record, name: str) -> datetime:
    """The value of a date or time of a record; a date is its midnight in UTC. Raises VendorFault."""
    found = (record.get("properties") or {}).get(name)
    if found in (None, "") and name in ("hs_lastmodifieddate", "lastmodifieddate"):
        found = record.get("updatedAt")
    text = str(found)
    try:
        if text.isascii() and text.isdigit():
            return EPOCH + int(text) * MS
        read = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise VendorFault(f"HubSpot: record {record.get('id')}: {name} is no time: {text[:40]!r}") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)
