"""Lines of finance's price list that no item has the code of: a slip of the pen would be a price that nobody ever sees.

Told by a dead letter on the code. Nothing is stopped.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from tieout.model.errors import Rejection
from tieout.scenarios.products.catalogue import ENTITY, load_price_list
from tieout.scenarios.services import Services
from tieout.store import dead_letters

STAGE = "transform"
REASON = "code_unknown"


def tell(services: Services, run_id: UUID) -> int:
    """Opens and closes the dead letters. Returns how many codes are concerned."""
    side, mapping = services.ledger, services.ledger.mappings[ENTITY]
    listed = load_price_list(services)
    with services.engine.begin() as conn:
        known = conn.execute(
            text(
                f"select lower({mapping.read['code'].source[0]}) from staging.{mapping.staged_entity().table} "  # noqa: S608
                "where _connection = :connection and not _deleted"
            ),
            {"connection": side.name},
        )
        codes = sorted(set(listed) - set(known.scalars()))
        letters = [
            Rejection(
                side.system, ENTITY, code, REASON, f"the price list has a price for {code}, which is no item's code",
                "the code of an item", code, "correct the code in the price list, or take the line out",
            )
            for code in codes
        ]  # fmt: skip
        before = dead_letters.open_keys(conn, side.name, ENTITY, [STAGE])
        link = services.link.name
        dead_letters.record(conn, letters, link=link, connection=side.name, stage=STAGE, run_id=run_id)
        dead_letters.close_mended(
            conn, connection=side.name, link=link, entity=ENTITY, stages=[STAGE],
            source_ids=sorted(key for key, reason in before.items() if reason == REASON),
            failing=[(code, REASON) for code in codes],
        )  # fmt: skip
    return len(codes)
