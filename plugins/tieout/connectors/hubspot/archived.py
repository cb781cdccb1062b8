"""What is gone: archived records by their list, the losers of merges by the winner's `hs_merged_object_ids`, and what
left the pipeline that is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tieout.connectors.hubspot.objects import UNMERGED, Wanted, kind_of, modified_property
from tieout.connectors.hubspot.read import Reader, in_pipeline
from tieout.connectors.hubspot.records import PAGE, by_ids, is_id, results
from tieout.connectors.hubspot.search import Filter, Hit, found
from tieout.model.errors import Fatal, VendorFault
from tieout.model.staged import StagedEntity

ARCHIVED_DAYS = 90  # how long an archived record can be restored, and is listed
MERGED_IDS = "hs_merged_object_ids"


def deleted(reader: Reader, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
    """See base.Source.deleted. Archived records cannot be searched: all of the last 90 days are listed each time."""
    session, kind = reader.session, kind_of(entity.object)
    oldest = session.clock.now() - timedelta(days=ARCHIVED_DAYS)
    if since < oldest:
        raise Fatal(
            f"{session.name}: {entity.object}: archived records from before {oldest:%Y-%m-%d} are not kept (asked"
            f" since {since:%Y-%m-%d}); read the object whole once and compare"
        )
    params = {"limit": str(PAGE), "archived": "true", "properties": "hs_object_id"}
    while True:
        answer = session.get(f"/crm/v3/objects/{kind.object}", params)
        gone = [str(one["id"]) for one in results(session, kind, answer) if since <= _archived_at(one) < upto]
        if gone:
            yield gone
        after = ((answer.get("paging") or {}).get("next") or {}).get("after")
        if not after:
            break
        params["after"] = str(after)
    if kind.object not in UNMERGED:
        yield from _merged(reader, entity, since, upto)
    if kind.pipeline is not None:
        # Changed, and in another pipeline: those that never were in this one do no harm.
        for hits in _found(reader, entity, since, upto, in_pipeline(reader, kind, "NEQ")):
            yield [id_ for _, id_ in hits]


def _merged(reader: Reader, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
    """The losers of each winner that changed in the window: those of long ago come again, which does no harm."""
    kind, want = kind_of(entity.object), Wanted((MERGED_IDS,), (), stage=False)
    own = [*in_pipeline(reader, kind), {"propertyName": MERGED_IDS, "operator": "HAS_PROPERTY"}]
    for hits in _found(reader, entity, since, upto, own):
        for record in by_ids(reader.session, kind, want, [id_ for _, id_ in hits]):
            text = str((record.get("properties") or {}).get(MERGED_IDS) or "")
            losers = [one.strip() for one in text.replace(",", ";").split(";")]
            gone = [one for one in losers if is_id(one) and one != record["id"]]
            if gone:
                yield gone


def _found(
    reader: Reader, entity: StagedEntity, since: datetime, upto: datetime, own: Sequence[Filter]
) -> Iterator[list[Hit]]:
    """Those that changed in the window of `read.changed`."""
    kind = kind_of(entity.object)
    end = min(upto, reader.session.clock.now() - reader.lag)
    return found(reader.session, kind, modified_property(entity, kind), since - reader.look_back, end, own)


def _archived_at(record: dict[str, object]) -> datetime:
    text = str(record.get("archivedAt"))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise VendorFault(
            f"HubSpot: archived record {record.get('id')}: archivedAt is no time: {text[:40]!r}"
        ) from None
