"""Reads what changed in both systems and stages it: a window a run, from the watermark to the database's now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from tieout.connectors.base import Page, Record
from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.errors import Fatal
from tieout.model.raw_records import values_at
from tieout.model.staged import StagedEntity
from tieout.scenarios.services import Services, Side
from tieout.store import staging, watermarks
from tieout.store.staging import Counts

#: `crm` and `ledger` -> the entities that a scenario reads; several scenarios may read the same one, and share its
#: watermark.
Reads = Mapping[str, Collection[str]]

#: How far back each window reaches behind the last one: a row of a long transaction shows up below a saved cursor.
OVERLAP = timedelta(minutes=5)


def extract_side(
    services: Services, side: Side, run_id: UUID, only: Collection[str] | None = None, whole: Collection[str] = ()
) -> dict[str, dict[str, int]]:
    """Stages all entities of one system, or only those named.

    Args:
        whole: entities that are read whole this time, so that what is gone is seen where the system does not tell.

    Returns:
        entity -> read, inserted, updated, unchanged, deleted, rejected.

    Raises:
        Retriable, AuthenticationFailed, PermissionDenied, VendorFault: by the connector; what was staged stays, the
            watermark of the entity that broke off does not move.
        Fatal: a watermark is in the future.
    """
    return {
        entity: _extract(services, side, mapping, run_id, whole=entity in whole)
        for entity, mapping in sorted(side.mappings.items())
        if mapping.is_staged and (only is None or entity in only)
    }


def read_again(services: Services, side: Side, entity: str, ids: Sequence[str], run_id: UUID) -> frozenset[str]:
    """Stages some records as they are in the system at this moment, whenever they changed.

    Returns:
        The ids that the system did not answer with. Nothing is marked as deleted by that: what was created a moment ago
        may not be shown yet.

    Raises:
        Retriable, AuthenticationFailed, PermissionDenied, VendorFault: by the connector.
    """
    if not ids:
        return frozenset()
    declared = side.mappings[entity].staged_entity()
    seen: set[str] = set()

    def noting(pages: Iterator[Page]) -> Iterator[Sequence[Record]]:
        for page in pages:
            seen.update(str(source_id) for (source_id,) in values_at(page.records, [declared.key]))
            yield page.records

    pages = side.connector.fetch(declared, sorted(set(ids)))
    staging.stage(services.engine, declared, side.name, noting(pages), run_id)
    return frozenset(ids) - seen


def _extract(
    services: Services, side: Side, mapping: EntityMapping, run_id: UUID, *, whole: bool = False
) -> dict[str, int]:
    entity = mapping.staged_entity()
    with services.engine.begin() as conn:
        staging.ensure(conn, entity)
        mark = watermarks.read(conn, side.name, entity.entity, "extract")
        upto: datetime = conn.execute(text("select clock_timestamp()")).scalar_one()
    since = mark.at if mark else None
    if since is not None and since > upto:
        # Nothing would be read, and nobody would notice: what changes until then would come late or never.
        raise Fatal(
            f"{side.name}/{entity.entity}: its watermark {since.isoformat()} is in the future "
            f"(the database's clock says {upto.isoformat()}): "
            "correct the clock, or set the watermark back, and run again"
        )
    if entity.modified is None or whole:
        counts = _stage_whole(services, side, entity, upto, run_id)
    else:
        pages = side.connector.changed(entity, since, upto)
        counts = staging.stage(services.engine, entity, side.name, _records(pages), run_id)
        if since is not None:
            gone = side.connector.deleted(entity, since, upto)
            counts += staging.mark_deleted(services.engine, entity, side.name, gone, run_id)
    with services.engine.begin() as conn:
        watermarks.advance(conn, side.name, entity.entity, "extract", at=upto - OVERLAP, run_id=run_id, overlap=OVERLAP)
    return {name: getattr(counts, name) for name in Counts.__dataclass_fields__}


def _records(pages: Iterator[Page]) -> Iterator[Sequence[Record]]:
    for page in pages:
        yield page.records


def _stage_whole(services: Services, side: Side, entity: StagedEntity, upto: datetime, run_id: UUID) -> Counts:
    """An entity that is read whole; what is not there any more is marked."""
    seen: set[str] = set()

    def noting() -> Iterator[Sequence[Record]]:
        for page in side.connector.changed(entity, None, upto):
            seen.update(str(source_id) for (source_id,) in values_at(page.records, [entity.key]))
            yield page.records

    counts = staging.stage(services.engine, entity, side.name, noting(), run_id)
    known = staging.read(services.engine, entity, side.name, columns=[])
    gone = [source_id for source_id in known["_source_id"].tolist() if source_id not in seen]
    return counts + staging.mark_deleted(services.engine, entity, side.name, [gone] if gone else [], run_id)
