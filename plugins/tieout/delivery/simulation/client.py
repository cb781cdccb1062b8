"""The ledger as one worker speaks to it: each send is checked before a byte leaves, everything is in the timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tieout.connectors.base import Answer, Found, Operation, Request
from tieout.delivery.simulation import invariants
from tieout.delivery.simulation.world import World


@dataclass(frozen=True, slots=True)
class Client:
    """`Target` for one worker."""

    world: World
    worker: str

    def operation(self, name: str) -> Operation:
        return self.world.ledger.operation(name)

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        world = self.world
        invariants.committed_before_send(world.watch, world.target, operation, requests, world.clock.now)
        world.happens(self.worker, "send", f"{operation.name}: {', '.join(r.natural_key for r in requests)}")
        return world.ledger.send(operation, requests, self.worker)

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        world = self.world
        found = world.ledger.look_up(operation, requests, self.worker)
        for each in found.values():
            world.met["found", _shown(each), operation.name] += 1
        seen = ", ".join(f"{r.natural_key} {len(found[r.doc_uid])}" for r in requests)
        world.happens(self.worker, "look_up", f"{operation.name}: {seen}")
        return found


def _shown(found: Sequence[Found]) -> str:
    if len(found) > 1:
        return "many"
    if not found:
        return "none"
    return "different" if found[0].differences else "equal"
