"""Facts that go back to the CRM with each confirmation, in its transaction (S17): what scenarios does, made small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from tieout.delivery import intents
from tieout.delivery.settle import OnConfirmed, Outcome
from tieout.delivery.simulation.rows import read
from tieout.delivery.simulation.world import World
from tieout.model import identity


def teller(world: World) -> OnConfirmed:
    """`on_confirmed` of a delivery: an intent for each document that it confirms."""

    def tell(conn: Connection, confirmed: Sequence[Outcome]) -> None:
        facts = [_fact(world, each.claimed.doc_uid, each.claimed.source_id) for each in confirmed]
        intents.add(conn, facts, world.next_run(), "worker", world.clock)

    return tell


def told(world: World) -> Sequence[Any]:
    """The facts that are committed."""
    return read(world.watch, world.crm).intents


def _fact(world: World, doc_uid: str, source_id: str) -> intents.NewIntent:
    uid = identity.doc_uid("acme", "crm", "Order", doc_uid, "write_back", 1)
    return intents.NewIntent(
        link=world.link, target=world.crm, doc_uid=uid, kind="write_back", operation="orders.write_back", revision=1,
        source=world.crm, source_object="Order", source_id=source_id, natural_key=doc_uid, idempotency_key=uid,
        body=b"{}", entity="order",
    )  # fmt: skip
