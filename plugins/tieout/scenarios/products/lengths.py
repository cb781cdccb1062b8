"""The other direction: products of the CRM that the ledger could not tell apart if somebody made items of them.

The ledger has 30 characters for a code and 50 for a name. Two products that are the same up to there would become one
item, or an item that is refused: it is told before that happens, by a dead letter on each of them. Nothing is stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import text

from tieout.model.errors import Rejection
from tieout.scenarios.products.catalogue import ENTITY
from tieout.scenarios.products.rules import CODE_LENGTH, NAME_LENGTH
from tieout.scenarios.services import Services
from tieout.store import dead_letters

STAGE = "transform"


def tell(services: Services, run_id: UUID) -> int:
    """Opens and closes the dead letters. Returns how many products are concerned."""
    letters = [*_shared(services, "code", CODE_LENGTH), *_shared(services, "name", NAME_LENGTH)]
    failing = [(letter.source_id, letter.reason) for letter in letters]
    crm, link = services.crm.name, services.link.name
    with services.engine.begin() as conn:
        before = dead_letters.open_keys(conn, crm, ENTITY, [STAGE])
        dead_letters.record(conn, letters, link=link, connection=crm, stage=STAGE, run_id=run_id)
        dead_letters.close_mended(
            conn, connection=crm, link=link, entity=ENTITY, stages=[STAGE], source_ids=sorted(before), failing=failing
        )
    return len({source_id for source_id, _ in failing})


def _shared(services: Services, what: str, most: int) -> Iterator[Rejection]:
    """Active products whose code or name is another's when it is cut, and was not before."""
    mapping = services.crm.mappings[ENTITY]
    column, active = mapping.read[what].source[0], mapping.read["active"].source[0]
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                f"""
                select array_agg(_source_id order by _source_id) as ids,
                    array_agg({column} order by _source_id) as texts
                from staging.{mapping.staged_entity().table}
                where _connection = :connection and not _deleted and {active} and {column} is not null
                group by lower(left({column}, {most}))
                having count(distinct lower({column})) > 1 and max(char_length({column})) > {most}
                """  # noqa: S608 - names from the mapping
            ),
            {"connection": services.crm.name},
        ).all()
    for row in rows:
        for source_id, found in zip(row.ids, row.texts, strict=True):
            yield Rejection(
                services.crm.system, ENTITY, source_id, f"{what}_cut_shared",
                f"{len(row.ids)} products have the same {what} in all {most} characters that the ledger holds",
                f"{what}s that differ in their first {most} characters", found,
                f"change the {what} of one of them before finance makes items of them",
            )  # fmt: skip
