"""Dead letters of delivery: one for each REJECTED or HELD intent's record, closed when it goes on.

Stage `deliver`, or `write_back` for what is carried back into the CRM. The letters are kept by store/dead_letters.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy.engine import Connection

from tieout.delivery.judge import Verdict
from tieout.delivery.states import Journal
from tieout.model.errors import Rejection
from tieout.store import dead_letters

STAGES = ("deliver", "write_back")

_RECORDS = """
select intent_id, link, source, source_system, source_entity, source_id, kind, owner, run_id from tieout.intent
where intent_id = any(%(ids)s)
"""


def write(conn: Connection, journal: Journal, failed: Sequence[tuple[int, Verdict]]) -> None:
    """Opens (or counts up) a dead letter for each failed intent's source record."""
    if not failed:
        return
    verdicts = dict(failed)
    groups: dict[tuple[str, str, UUID, str, str | None], list[Rejection]] = defaultdict(list)
    for row in conn.exec_driver_sql(_RECORDS, {"ids": list(verdicts)}):
        verdict = verdicts[row.intent_id]
        stage = "write_back" if row.kind == "write_back" else "deliver"
        groups[row.source, stage, journal.run_id or row.run_id, row.link, row.owner].append(
            Rejection(
                system=row.source_system,
                entity=row.source_entity,
                source_id=row.source_id,
                reason=verdict.reason or verdict.outcome,
                message=verdict.message or "",
                expected=verdict.expected,
                found=verdict.found,
                remedy=verdict.remedy,
            )
        )
    for (source, stage, run_id, link, owner), rejections in sorted(groups.items(), key=lambda item: str(item[0])):
        dead_letters.record(conn, rejections, connection=source, stage=stage, run_id=run_id, link=link, owner=owner)


# A record may have other intents: its letters stay open while one of those is held, or was rejected last.
_MENDED = """
select distinct i.link, i.source, i.source_entity, i.source_id
from tieout.intent i
join tieout.dead_letter d on d.state = 'open' and d.connection = i.source and d.entity = i.source_entity
    and d.source_id = i.source_id and d.stage = any(%(stages)s) and d.link = i.link
where i.intent_id = any(%(ids)s) and not exists (
    select from tieout.intent e
    where e.source = i.source and e.source_object = i.source_object and e.source_id = i.source_id and e.link = i.link
        and (e.state = 'HELD' or e.state = 'REJECTED' and not exists (
            select from tieout.intent later where later.source = e.source and later.source_object = e.source_object
                and later.source_id = e.source_id and later.link = e.link and later.kind = e.kind
                and later.target = e.target and later.revision > e.revision)))
order by 1, 2, 3, 4
"""


def close(conn: Connection, intent_ids: Collection[int]) -> None:
    """Closes the letters of these intents' records, where no other intent of the record has failed."""
    if not intent_ids:
        return
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in conn.exec_driver_sql(_MENDED, {"ids": list(intent_ids), "stages": list(STAGES)}):
        groups[row.link, row.source, row.source_entity].append(row.source_id)
    for (link, source, entity), source_ids in groups.items():
        dead_letters.close_mended(
            conn, connection=source, link=link, entity=entity, stages=STAGES, source_ids=source_ids
        )


def hand_over(conn: Connection, intent_id: int, owner: str) -> None:
    """Gives the open letters of the intent's record to its new owner."""
    conn.exec_driver_sql(
        "update tieout.dead_letter d set owner = %(owner)s from tieout.intent i "
        "where i.intent_id = %(id)s and d.state = 'open' and d.connection = i.source and d.entity = i.source_entity "
        "and d.source_id = i.source_id and d.link = i.link and d.stage = any(%(stages)s)",
        {"owner": owner, "id": intent_id, "stages": list(STAGES)},
    )
