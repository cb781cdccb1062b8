"""Records of an answer as the bytes in which they came: parsed where somebody looks into them, and only there.

To make a mapping of each record and JSON of each mapping again costs several times what reading a few values does, so
staging takes the bytes (store/staging_chunks.py) and the values at the declared paths. Numbers are exact either way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, overload

import msgspec
from msgspec.structs import astuple

#: A part of a record as it stands in the JSON, not parsed.
Raw = msgspec.Raw
#: What stands for a value that is missing where `Raw` is asked for.
NULL = Raw(b"null")

Path = tuple[str, ...]
#: A list of values for each path, in the order of the records.
Columns = list[Sequence[Any]]

_record = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class RawRecords(Sequence[Mapping[str, Any]]):
    """A sequence of records that keeps their JSON; a record that is asked for is parsed each time.

    Attributes:
        bodies: a JSON object each, in UTF-8, without half of a surrogate pair (connectors/exact_json.py sees to it).
    """

    __slots__ = ("bodies",)

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self.bodies = bodies

    def __len__(self) -> int:
        return len(self.bodies)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> RawRecords: ...

    def __getitem__(self, place: int | slice) -> Mapping[str, Any] | RawRecords:
        if isinstance(place, slice):
            return RawRecords(self.bodies[place])
        found: dict[str, Any] = _record.decode(self.bodies[place])
        return found


def columns_reader(paths: Sequence[Path], unparsed: Collection[Path] = ()) -> Callable[[RawRecords], Columns] | None:
    """What reads the values at these paths, and nothing else of the records.

    Args:
        paths: steps from object to object.
        unparsed: those of the paths whose values come as `Raw`, `NULL` where nothing stands.

    Returns:
        None when the paths cannot be read together: one leads through another's value, or a name holds what a field of
        a msgspec.Struct must not. The reader raises msgspec.DecodeError when a path leads through something that is
        neither an object nor null.
    """
    if any(char in '\\"' or char < " " for path in paths for step in path for char in step):
        return None
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
            if not isinstance(node, dict):
                return None
        if isinstance(node.setdefault(path[-1], None), dict):
            return None
    names, kind = _struct(tree, (), unparsed)
    decoder = msgspec.json.Decoder(list[kind], float_hook=Decimal)  # type: ignore[valid-type]
    places = [names.index(path) for path in paths]

    def read(records: RawRecords) -> Columns:
        found = _columns(decoder.decode(b"[" + b",".join(records.bodies) + b"]"), tree, kind)
        return [found[place] for place in places]

    return read


def _struct(tree: Mapping[str, Any], above: Path, unparsed: Collection[Path]) -> tuple[list[Path], Any]:
    """The paths of the leaves in the order of `_columns`, and a type that holds them."""
    names: list[Path] = []
    fields: list[tuple[str, Any, Any]] = []
    for number, (step, below) in enumerate(tree.items()):
        path = (*above, step)
        if below is not None:
            inner, kind = _struct(below, path, unparsed)
            names += inner
            fields.append((f"f{number}", kind | None, None))
        else:
            names.append(path)
            fields.append((f"f{number}", Raw, NULL) if path in unparsed else (f"f{number}", Any, None))
    rename = {f"f{number}": step for number, step in enumerate(tree)}
    return names, msgspec.defstruct("Values", fields, rename=rename, gc=False)


def _columns(structs: list[Any], tree: Mapping[str, Any], kind: Any) -> Columns:
    rows = list(zip(*map(astuple, structs), strict=True))
    columns: Columns = []
    for number, below in enumerate(tree.values()):
        column: Sequence[Any] = rows[number] if rows else ()
        if below is None:
            columns.append(column)
            continue
        inner = kind.__annotations__[f"f{number}"].__args__[0]
        nothing = inner()
        columns += _columns([nothing if one is None else one for one in column], below, inner)
    return columns


def values_at(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """The values at these paths (`Id`, `MetaData.LastUpdatedTime`) in each record; None where a record has none."""
    paths = [tuple(name.split(".")) for name in names]
    if isinstance(records, RawRecords) and len(records):
        read = columns_reader(paths)
        # A path that leads through a text or a number in one of them: that one has no value there.
        with suppress(msgspec.DecodeError):
            if read is not None:
                return list(zip(*read(records), strict=True))
    return [tuple([_at(record, path) for path in paths]) for record in records]


def _at(record: Any, path: Path) -> Any:
    for step in path:
        record = record.get(step) if isinstance(record, dict) else None
    return record
