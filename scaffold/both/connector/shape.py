"""How one kind of write is sent and found again, and what delivery is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tieout.connectors.base import Guard, Operation

BATCH = 100  # items of one call, New System's most


@dataclass(frozen=True, slots=True)
class Shape:
    """One operation.

    Attributes:
        object: the resource.
        act: what is done: create, update, upsert, void ...
        key: the fields by which the record is found again; all of them stand in the body.
        guard: what stands in the way of doing it twice, see base.Guard.
        number: the field with the number that people see.
    """

    object: str
    act: str
    key: tuple[str, ...]
    guard: Guard = Guard.DURABLE_KEY
    number: str | None = None

    def key_of(self, record: Mapping[str, Any]) -> str | None:
        """The record's key; None where a part of it is missing."""
        parts = [str(record.get(name) or "").strip() for name in self.key]
        return "/".join(parts) if all(parts) else None


def declared(
    shapes: Mapping[str, Shape], time_out: float, latest_apply: float, look_up_lag: float
) -> dict[str, Operation]:
    """The operations by name; see base.Operation for the three numbers (seconds)."""
    return {
        name: Operation(
            name,
            shape.guard,
            BATCH,
            shape.act == "create",
            time_out,
            latest_apply,
            look_up_lag,
            repeatable=shape.act != "create",
        )
        for name, shape in shapes.items()
    }
