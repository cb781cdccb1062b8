"""Staged rows as rows of the common model, and rows of the common model as the target's native fields.

The one place where scenarios touch frames: rules work on plain rows (a missing value is None, money is int, numbers
are Decimal).
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tieout.mapping.compile import Note, compile_read, compile_write
from tieout.model.errors import Rejection
from tieout.scenarios.billing import Row
from tieout.scenarios.services import Services, Side
from tieout.store import staging

if TYPE_CHECKING:
    import pandas as pd

#: Records that are judged in one transaction; bounds memory.
CHUNK = 5_000


def chunks(values: Sequence[Any], size: int | None = None) -> Iterator[Sequence[Any]]:
    """Slices of at most `size`; None means CHUNK."""
    size = size or CHUNK
    for start in range(0, len(values), size):
        yield values[start : start + size]


@contextmanager
def many_rows() -> Iterator[None]:
    """Python's search for cycles of dead objects waits; also a decorator.

    Rows by the ten thousand are made and kept for a while, no two of them in a cycle. The search would go through all
    of them, and through all that is imported, again and again: a sixth of the time of a large plan.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def common_rows(
    services: Services,
    side: Side,
    entity: str,
    *,
    ids: Collection[str] | None = None,
    parents: Collection[str] | None = None,
    parent: str = "parent_id",
) -> tuple[list[dict[str, Any]], list[Rejection]]:
    """Current, undeleted rows of an entity in the common model, and those that could not be read into it.

    Args:
        ids: only these records; without ids and parents all are read.
        parents: only lines of these records.
        parent: the common field that names the parent.

    Returns:
        Rows with the mapping's `read` fields, `_source_id` and `_version`.
    """
    mapping = side.mappings[entity]
    column, values = "_source_id", ids
    where, parameters = None, None
    if parents is not None and parent_column(side, entity, parent) == mapping.each:
        # A record that has several parents is a row for each of them.
        where, parameters = f"{mapping.ids_sql(parent)} && %(parents)s::text[]", {"parents": sorted(parents)}
    elif parents is not None:
        column, values = parent_column(side, entity, parent), parents
    frame = staging.read(
        services.engine,
        mapping.staged_entity(),
        side.name,
        column=column,
        values=None if values is None else sorted(values),
        where=where,
        parameters=parameters,
    )
    if frame.empty:
        return [], []
    outcome = compile_read(mapping, services.link)(frame)
    found = rows(outcome.frame)
    if where is not None and parents is not None:
        wanted = set(parents)
        found = [row for row in found if row[parent] in wanted]
    return found, list(outcome.rejections)


def parent_column(side: Side, entity: str, parent: str = "parent_id") -> str:
    """The staged column of a line that names its parent."""
    return side.mappings[entity].read[parent].source[0]


def grouped(lines: Iterable[Row]) -> dict[str, list[Row]]:
    """Lines by their parent's id, in order of position."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for line in lines:
        groups[line["parent_id"]].append(line)
    for group in groups.values():
        group.sort(key=lambda line: (line.get("position") is None, line.get("position"), line["_source_id"]))
    return groups


def native_frame(
    services: Services, side: Side, entity: str, common: Sequence[Row]
) -> tuple[Any, list[Rejection], list[Note]]:
    """The native fields of these rows as the target takes them, with what was refused and what was altered."""
    outcome = compile_write(side.mappings[entity], services.link)(frame_of(common))
    return outcome.frame, outcome.rejections, outcome.notes


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as plain rows; every kind of missing value becomes None."""
    import pandas as pd

    columns = {}
    for name in frame.columns:
        values = frame[name].astype(object)
        columns[name] = values.where(pd.notna(values), None).tolist()
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def frame_of(common: Sequence[Row]) -> pd.DataFrame:
    """Plain rows as a frame of objects; mappings convert by their transforms."""
    from tieout.mapping.columns import object_frame

    return object_frame(common)
