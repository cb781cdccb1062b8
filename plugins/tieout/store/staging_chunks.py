"""Pages of records as chunks for one transaction each: their JSON, their ids, their values, the newest of each record.

A part of a page is looked at as a whole first: what is usual is taken over list by list, and only a part with anything
unusual in it (a record twice, an id with odd letters, something that cannot be stored) is gone through one by one.
What becomes of a chunk is in staging.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from operator import itemgetter
from typing import Any

from tieout.model.errors import Rejection
from tieout.model.staged import StagedEntity
from tieout.store import conversion, encoding

Record = Mapping[str, Any]

#: Records, and bytes of JSON, that one transaction takes: memory stays flat, locks stay short.
CHUNK_RECORDS = 10_000
CHUNK_BYTES = 32 * 1024 * 1024
#: Records that are looked at as a whole: a chunk may grow by these above its limits.
PART_RECORDS = 500
#: A B-tree key holds 2,700 bytes; no vendor's id comes near.
MAX_ID_CHARACTERS = 500
_EPOCH = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/")


@dataclass(slots=True)
class Chunk:
    """The newest image of each record, and the records that have no id.

    Attributes:
        places: id -> place in `bodies` and `values`.
        bodies: each record's JSON.
        values: each record's values at `paths`, as they came.
        notes: place -> what had to be replaced in the record so that it can be stored.
        read: records that came, those that are not kept among them.
        size: bytes of JSON that came.
        rejected: what has no id, with its JSON.
    """

    places: dict[str, int] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    values: list[tuple[Any, ...]] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)
    read: int = 0
    size: int = 0
    rejected: list[tuple[Rejection, str]] = field(default_factory=list)


def paths(entity: StagedEntity) -> list[list[str]]:
    """Where a chunk's values stand in a record: the declared ones, the modification time or nothing, the id."""
    places = [*(one.path for one in entity.fields), entity.modified or "", entity.key]
    return [place.split(".") for place in places]


def chunks(entity: StagedEntity, pages: Iterable[Sequence[Record]]) -> Iterator[Chunk]:
    """The records of all pages; each page is read once and not kept."""
    chunk = Chunk()
    read_values = reader(entity)
    for page in pages:
        for start in range(0, len(page), PART_RECORDS):
            part = page[start : start + PART_RECORDS]
            bodies, replaced = encoding.encode_all(part)
            values = read_values(part)
            chunk.read += len(part)
            chunk.size += sum(map(len, bodies))
            if replaced or not _take_all(chunk, bodies, values):
                _take_each(chunk, entity, bodies, values, replaced)
            if chunk.read >= CHUNK_RECORDS or chunk.size >= CHUNK_BYTES:
                yield chunk
                chunk = Chunk()
    if chunk.read:
        yield chunk


def _take_all(chunk: Chunk, bodies: list[bytes], values: list[tuple[Any, ...]]) -> bool:
    """Takes the part when each record in it has a plain id and none of them came before; says whether it did."""
    ids = [found[-1] for found in values]
    if set(map(type, ids)) != {str}:
        return False
    joined = "".join(ids)
    if not (joined.isascii() and joined.isprintable() and "" not in ids and " " not in joined):
        return False
    if max(map(len, ids)) > MAX_ID_CHARACTERS or len(set(ids)) < len(ids) or not chunk.places.keys().isdisjoint(ids):
        return False
    chunk.places.update(zip(ids, count(len(chunk.bodies))))
    chunk.bodies += bodies
    chunk.values += values
    return True


def _take_each(
    chunk: Chunk,
    entity: StagedEntity,
    bodies: list[bytes],
    values: list[tuple[Any, ...]],
    replaced: Mapping[int, Sequence[encoding.Replaced]],
) -> None:
    columns = {tuple(f.path.split(".")): f.column for f in entity.fields}
    for number, (body, found) in enumerate(zip(bodies, values, strict=True)):
        source_id = _source_id(found[-1])
        if source_id is None:
            chunk.rejected.append((_without_id(entity, body, found[-1]), body.decode()))
            continue
        place = chunk.places.get(source_id)
        if place is None:
            place = chunk.places[source_id] = len(chunk.bodies)
            chunk.bodies.append(body)
            chunk.values.append(found)
        elif entity.modified and _is_later(chunk.values[place][-2], found[-2]):
            continue
        else:
            chunk.bodies[place], chunk.values[place] = body, found
        notes = notes_of(replaced.get(number, ()), columns)
        if notes is None:
            chunk.notes.pop(place, None)
        else:
            chunk.notes[place] = notes


def _source_id(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_ID_CHARACTERS:
        return None
    return encoding.clean_text(value)


def reader(entity: StagedEntity) -> Callable[[Sequence[Record]], list[tuple[Any, ...]]]:
    """What reads the values at `paths` of many records: by calls into C alone where none is nested and none missing."""
    steps = paths(entity)
    at_once = itemgetter(*(path[0] for path in steps))
    flat = all(len(path) == 1 for path in steps)

    def one_by_one(record: Record) -> tuple[Any, ...]:
        return tuple([record.get(path[0]) if len(path) == 1 else _at(record, path) for path in steps])

    def read_values(part: Sequence[Record]) -> list[tuple[Any, ...]]:
        if flat:
            with suppress(KeyError):
                return list(map(at_once, part))
        return list(map(one_by_one, part))

    return read_values


def _at(record: Any, path: Sequence[str]) -> Any:
    for part in path:
        if not isinstance(record, Mapping):
            return None
        record = record.get(part)
    return record


def notes_of(replaced: Sequence[encoding.Replaced], columns: Mapping[tuple[str, ...], str]) -> str | None:
    """Problems of declared columns as the text form of an array; what is in no declared column is no problem."""
    lines = [
        f"{column}: held {one.what}{conversion.REPLACED}"
        for one in replaced
        for path, column in columns.items()
        if one.path[: len(path)] == path
    ]
    if not lines:
        return None
    return "{" + ",".join('"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"' for line in lines) + "}"


def _is_later(one: Any, other: Any) -> bool:
    """Two modification times of one record in one chunk: equal or unreadable ones leave it to the order of arrival."""
    first, second = _instant(one), _instant(other)
    return first is not None and second is not None and first > second


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        if epoch := _EPOCH.fullmatch(value):
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(epoch[1]))
        parsed = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _without_id(entity: StagedEntity, body: bytes, found: Any) -> Rejection:
    return Rejection(
        system=entity.system,
        entity=entity.entity,
        # No id of its own: the content's, so that the same record in the next run is the same dead letter.
        source_id="?" + hashlib.sha256(body).hexdigest()[:16],
        reason="record_without_id",
        message=f"A record of {entity.object} came without a usable {entity.key}.",
        expected=f"{entity.key}: a text of 1 to {MAX_ID_CHARACTERS} characters, or a whole number",
        found=encoding.clean_text(repr(found))[:500],
        remedy=f"Find the record in {entity.system} by its other fields, see why it has no id, then run again.",
    )
