"""Reads the documents of a period anew, by the day that they are dated, from both systems.

They are staged as everything is, and the watermarks of what changed do not move: the next run of quote-to-cash reads
what it would have read anyway. What is staged with a day of the period and does not come is asked for by its id: it was
moved to another day, or it is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import sqlalchemy as sa

from tieout.connectors.base import Page, Record
from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.calendar import Period
from tieout.model.raw_records import values_at
from tieout.scenarios.services import Services, Side
from tieout.scenarios.subjects import Subject, parts_of
from tieout.store import period_plans, staging
from tieout.store.period_plans import Dated
from tieout.store.staging import Counts

#: The ledger's documents that are read by their day.
LEDGER = ("invoice", "credit_memo", "payment")
#: The common field that has the day of a document of the CRM, and of the ledger.
CRM_DAY, LEDGER_DAY = "order_date", "date"


@dataclass(frozen=True, slots=True)
class _Part:
    """Records of one entity that are chosen by a day: their own, or that of the record above them."""

    side: Side
    mapping: EntityMapping
    path: str
    parent: str | None = None


def where(services: Services, subject: Subject) -> Dated:
    """Where the link's records and invoices are staged with their days."""
    head, invoice = services.crm.mappings[subject.entity], services.ledger.mappings["invoice"]
    number = head.read.get("number")
    return Dated(
        link=services.link.name, source=services.crm.name, target=services.ledger.name, source_object=head.object,
        parts=parts_of(services, subject), day=head.read[CRM_DAY].source[0],
        number=number.source[0] if number else "_source_id",
        invoices=invoice.staged_entity().table, invoice_day=invoice.read[LEDGER_DAY].source[0],
    )  # fmt: skip


def reread(services: Services, subject: Subject, period: Period, run_id: UUID) -> dict[str, dict[str, dict[str, int]]]:
    """Stages what both systems have dated in the period, and the records whose invoice is.

    Returns:
        connection -> entity -> read, inserted, updated, unchanged, deleted, rejected.

    Raises:
        Retriable, AuthenticationFailed, PermissionDenied, VendorFault: by the connector; what was staged stays.
    """
    first, last = period.first, period.last
    ledger = {
        entity: _documents(services, _own(services.ledger, entity, LEDGER_DAY), first, last, run_id)
        for entity in LEDGER
    }
    head = _own(services.crm, subject.entity, CRM_DAY)
    lines = _below(services.crm, subject, head)
    crm = {subject.entity: _documents(services, head, first, last, run_id),
           subject.lines: _lines(services, subject, lines, first, last, run_id)}  # fmt: skip
    for day in _other_days(services, subject, period, run_id):
        # The invoice is dated in the period and its record on another day: its lines are read by that day.
        crm[subject.lines] += _lines(services, subject, lines, day, day, run_id)
    return {
        side.name: {entity: {name: getattr(one, name) for name in Counts.__dataclass_fields__}
                    for entity, one in found.items()}
        for side, found in ((services.crm, crm), (services.ledger, ledger))
    }  # fmt: skip


def _own(side: Side, entity: str, field: str) -> _Part:
    mapping = side.mappings[entity]
    return _Part(side, mapping, mapping.path_of(field))


def _below(side: Side, subject: Subject, head: _Part) -> _Part:
    mapping = side.mappings[subject.lines]
    return _Part(side, mapping, head.path, mapping.path_of("parent_id"))


def _documents(services: Services, part: _Part, first: date, last: date, run_id: UUID) -> Counts:
    column = part.mapping.read[LEDGER_DAY if part.side is services.ledger else CRM_DAY].source[0]
    return _stage(services, part, first, last, run_id, f"{column} between :first and :last", {})


def _lines(services: Services, subject: Subject, part: _Part, first: date, last: date, run_id: UUID) -> Counts:
    parts = parts_of(services, subject)
    day = services.crm.mappings[subject.entity].read[CRM_DAY].source[0]
    chosen = (
        f"{parts.parent_column} in (select _source_id from staging.{parts.head} "  # noqa: S608 - of StagedEntity
        f"where _connection = :connection and {day} between :first and :last)"
    )
    return _stage(services, part, first, last, run_id, chosen, {})


def _stage(
    services: Services, part: _Part, first: date, last: date, run_id: UUID, chosen: str, more: dict[str, object]
) -> Counts:
    """Stages the records of these days, and asks by id for those staged ones (`chosen`) that did not come."""
    side, entity = part.side, part.mapping.staged_entity()
    with services.engine.begin() as conn:
        staging.ensure(conn, entity)
    seen: set[str] = set()

    def noting(pages: Iterator[Page]) -> Iterator[Sequence[Record]]:
        for page in pages:
            seen.update(str(key) for (key,) in values_at(page.records, [entity.key]))
            yield page.records

    def stage(pages: Iterator[Page]) -> Counts:
        return staging.stage(services.engine, entity, side.name, noting(pages), run_id)

    counts = stage(side.connector.dated(entity, part.path, first, last, part.parent))
    with services.engine.connect() as conn:
        known = conn.execute(
            sa.text(
                f"select _source_id from staging.{entity.table} "  # noqa: S608 - of StagedEntity
                f"where _connection = :connection and not _deleted and {chosen} order by 1"
            ),
            {"connection": side.name, "first": first, "last": last, **more},
        )
        missing = [row._source_id for row in known if row._source_id not in seen]
    if missing:
        counts += stage(side.connector.fetch(entity, missing))
        gone = [one for one in missing if one not in seen]
        counts += staging.mark_deleted(services.engine, entity, side.name, [gone] if gone else [], run_id)
    return counts


def _other_days(services: Services, subject: Subject, period: Period, run_id: UUID) -> list[date]:
    """The days, outside of the period, of the records whose invoice is dated in it; those are read by their ids."""
    place = where(services, subject)
    with services.engine.connect() as conn:
        ids = sorted(period_plans.in_period(conn, place, period.first, period.last))
        query = sa.text(
            f"select _source_id, {place.day} as day from staging.{place.parts.head} "  # noqa: S608 - of StagedEntity
            f"where _connection = :connection and _source_id = any(:ids) and not _deleted "
            f"and ({place.day} is null or {place.day} not between :first and :last)"
        )
        values = {"connection": services.crm.name, "ids": ids, "first": period.first, "last": period.last}
        others = [row._source_id for row in conn.execute(query, values)]
    if not others:
        return []
    entity = services.crm.mappings[subject.entity].staged_entity()
    pages = services.crm.connector.fetch(entity, others)
    staging.stage(services.engine, entity, services.crm.name, (page.records for page in pages), run_id)
    with services.engine.connect() as conn:
        return sorted({row.day for row in conn.execute(query, {**values, "ids": others}) if row.day is not None})
