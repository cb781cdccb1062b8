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
from typing import Any, NamedTuple

import msgspec

from tieout.model.errors import Rejection
from tieout.model.raw_records import Columns, Path, RawRecords, columns_reader
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
        names: path of a declared column -> its name.
        columns: a list of values for each of `paths`, as they came; numbers and lists not parsed where the record was
            not.
        places: id -> place in `bodies` and in each of `columns`.
        bodies: each record's JSON.
        notes: place -> what had to be replaced in the record so that it can be stored.
        as_they_came: places of bodies that nobody has looked through.
        read: records that came, those that are not kept among them.
        size: bytes of JSON that came.
        rejected: what has no id, with its JSON.
    """

    names: Mapping[Path, str]
    columns: list[list[Any]]
    places: dict[str, int] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)
    as_they_came: set[int] = field(default_factory=set)
    read: int = 0
    size: int = 0
    rejected: list[tuple[Rejection, str]] = field(default_factory=list)

    @classmethod
    def of(cls, entity: StagedEntity) -> Chunk:
        """An empty one."""
        names = {tuple(f.path.split(".")): f.column for f in entity.fields}
        return cls(names, [[] for _ in paths(entity)])

    def clean(self, place: int) -> Row:
        """The record with everything replaced that cannot be stored."""
        if place not in self.as_they_came:
            return Row(self.bodies[place], self.notes.get(place))
        body, replaced = encoding.encode(RawRecords([self.bodies[place]])[0])
        return Row(body, notes_of(replaced, self.names))


class Row(NamedTuple):
    """A record on its way: its JSON, and what had to be replaced in it."""

    body: bytes
    notes: str | None


@dataclass(frozen=True, slots=True)
class _Part:
    """Some records of a page, as a chunk takes them."""

    bodies: Sequence[bytes]
    columns: Columns
    replaced: Mapping[int, Sequence[encoding.Replaced]]
    as_they_came: bool


def paths(entity: StagedEntity) -> list[Path]:
    """Where a chunk's values stand in a record: the declared ones, the modification time or nothing, the id."""
    places = [*(one.path for one in entity.fields), entity.modified or "", entity.key]
    return [tuple(place.split(".")) for place in places]


def chunks(entity: StagedEntity, pages: Iterable[Sequence[Record]]) -> Iterator[Chunk]:
    """The records of all pages; each page is read once and not kept."""
    chunk = Chunk.of(entity)
    take_apart = reader(entity)
    for page in pages:
        for start in range(0, len(page), PART_RECORDS):
            part = take_apart(page[start : start + PART_RECORDS])
            chunk.read += len(part.bodies)
            chunk.size += sum(map(len, part.bodies))
            if part.replaced or not _take_all(chunk, part):
                _take_each(chunk, entity, part)
            if chunk.read >= CHUNK_RECORDS or chunk.size >= CHUNK_BYTES:
                yield chunk
                chunk = Chunk.of(entity)
    if chunk.read:
        yield chunk


def _take_all(chunk: Chunk, part: _Part) -> bool:
    """Takes the part when each record in it has a plain id and none of them came before; says whether it did."""
    ids = part.columns[-1]
    if set(map(type, ids)) != {str}:
        return False
    joined = "".join(ids)
    if not (joined.isascii() and joined.isprintable() and "" not in ids and " " not in joined):
        return False
    if max(map(len, ids)) > MAX_ID_CHARACTERS or len(set(ids)) < len(ids) or not chunk.places.keys().isdisjoint(ids):
        return False
    first = len(chunk.bodies)
    chunk.places.update(zip(ids, count(first)))
    chunk.bodies += part.bodies
    for mine, values in zip(chunk.columns, part.columns, strict=True):
        mine += values
    if part.as_they_came:
        chunk.as_they_came.update(range(first, len(chunk.bodies)))
    return True


def _take_each(chunk: Chunk, entity: StagedEntity, part: _Part) -> None:
    for number, (body, found) in enumerate(zip(part.bodies, zip(*part.columns, strict=True), strict=True)):
        source_id = _source_id(found[-1])
        if source_id is None:
            # Its id is made of its JSON, which is therefore always written by us.
            text = encoding.encode(RawRecords([body])[0])[0] if part.as_they_came else body
            chunk.rejected.append((_without_id(entity, text, found[-1]), text.decode()))
            continue
        place = chunk.places.get(source_id)
        if place is None:
            place = chunk.places[source_id] = len(chunk.bodies)
            chunk.bodies.append(body)
            for mine, value in zip(chunk.columns, found, strict=True):
                mine.append(value)
        elif entity.modified and _is_later(chunk.columns[-2][place], found[-2]):
            continue
        else:
            chunk.bodies[place] = body
            for mine, value in zip(chunk.columns, found, strict=True):
                mine[place] = value
        notes = notes_of(part.replaced.get(number, ()), chunk.names)
        if notes is None:
            chunk.notes.pop(place, None)
        else:
            chunk.notes[place] = notes
        (chunk.as_they_came.add if part.as_they_came else chunk.as_they_came.discard)(place)


def _source_id(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_ID_CHARACTERS:
        return None
    return encoding.clean_text(value)


def reader(entity: StagedEntity) -> Callable[[Sequence[Record]], _Part]:
    """What takes records apart: those that came as bytes without parsing all of them, where that gives the same."""
    steps = paths(entity)
    unparsed = {path for path, one in zip(steps, entity.fields, strict=False) if one.type in ("decimal", "json")}
    # Their values have to be texts and numbers for everybody who reads the same path.
    read = columns_reader(steps, unparsed) if unparsed.isdisjoint(_parsed(entity, steps)) else None

    def take_apart(records: Sequence[Record]) -> _Part:
        if read is not None and isinstance(records, RawRecords) and encoding.is_plain(records.bodies):
            with suppress(msgspec.DecodeError):
                return _Part(records.bodies, read(records), {}, as_they_came=True)
        mappings = list(records)
        bodies, replaced = encoding.encode_all(mappings)
        return _Part(bodies, _values(mappings, steps), replaced, as_they_came=False)

    return take_apart


def _parsed(entity: StagedEntity, steps: Sequence[Path]) -> set[Path]:
    parsed = {path for path, one in zip(steps, entity.fields, strict=False) if one.type not in ("decimal", "json")}
    return parsed | set(steps[-2:])


def _values(records: Sequence[Record], steps: Sequence[Path]) -> Columns:
    return [
        [record.get(path[0]) for record in records] if len(path) == 1 else [_at(record, path) for record in records]
        for path in steps
    ]


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
