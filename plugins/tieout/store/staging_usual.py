"""Records whose declared values are written in the usual way: hashed and converted here, in lists, column by column.

PostgreSQL does the same for every other record (conversion.py, staging_merge.py), and what is here gives exactly its
result, which tests/unit/store/test_staging_usual.py compares. So nothing here has to know what is wrong with a value,
or how a rare spelling is read: whatever is not plainly usual makes its record one of the `others`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import compress
from typing import Any

from tieout.model.staged import ColumnType, StagedEntity
from tieout.store.conversion import DECIMAL_DIGITS_AFTER, DECIMAL_DIGITS_BEFORE
from tieout.store.staging_chunks import Chunk, paths
from tieout.store.staging_merge import Row

_INT64 = 2**63
#: Numbers in range, written without an exponent, a line each.
_PLAIN = re.compile(rf"(?:-?[0-9]{{1,{DECIMAL_DIGITS_BEFORE}}}+(?:\.[0-9]{{1,{DECIMAL_DIGITS_AFTER}}}+)?+\n)*+")
_WHOLE = re.compile(r"-?[0-9]{1,18}(\.0*)?")
_DATE = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    _DATE.pattern + r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):?[0-5][0-9])?"
)
#: An array's text form quotes an element with one of these in it, an empty one, and the word NULL.
_QUOTED = re.compile(r'[ \t\n\r\v\f{},"\\]')
#: A path step that PostgreSQL would take for the place in a list.
_PLACE_IN_LIST = re.compile(r"\s*[+-]?\d+\s*")

Texts = list[str | None]
#: What the hash is made of, and the values for COPY; the positions in it that are not usual.
_Column = tuple[Texts, list[Any], Collection[int]]


@dataclass(frozen=True, slots=True)
class Usual:
    """Rows of a chunk in lists of one length.

    Attributes:
        ids: the records' ids.
        hashes: their content's, as conversion.content_hash has them.
        bodies: their JSON.
        columns: a list for each declared column.
        modified: the modification times.
    """

    ids: list[str]
    hashes: list[str]
    bodies: list[bytes]
    columns: list[list[Any]]
    modified: list[datetime | None]


def split(entity: StagedEntity, chunk: Chunk) -> tuple[Usual, dict[str, Row]]:
    """The rows that are usual, converted, and the others as they came."""
    found = list(zip(*chunk.values, strict=True))
    if not found or any(_PLACE_IN_LIST.fullmatch(step) for path in paths(entity) for step in path[1:]):
        return Usual([], [], [], [[] for _ in entity.fields], []), _others(chunk, range(len(chunk.bodies)))
    odd = set(chunk.notes)
    modified_at = _timestamps(found[-2])
    odd.update(modified_at[2])
    hashed: list[Iterable[str]] = []
    columns: list[list[Any]] = []
    for field, values in zip(entity.fields, found, strict=False):
        again = field.path == entity.modified and field.type == "timestamp"
        texts, converted, unusual = modified_at if again else _READ[field.type](values)
        columns.append(converted)
        odd.update(unusual)
        if not field.echo and field.path != entity.modified:
            hashed.append(_elements(texts, plain=field.type not in ("text", "json")))
    contents = zip(*hashed, strict=True) if hashed else ((),) * len(chunk.bodies)
    usual = Usual(list(chunk.places), [_hash(content) for content in contents], chunk.bodies, columns, modified_at[1])
    if not odd:
        return usual, {}
    return only(usual, [place not in odd for place in range(len(chunk.bodies))]), _others(chunk, odd)


def _others(chunk: Chunk, wanted: Collection[int]) -> dict[str, Row]:
    return {one: Row(chunk.bodies[n], chunk.notes.get(n)) for one, n in chunk.places.items() if n in wanted}


def only(usual: Usual, keep: Sequence[bool]) -> Usual:
    """The rows at whose places `keep` is true."""
    return Usual(
        list(compress(usual.ids, keep)),
        list(compress(usual.hashes, keep)),
        list(compress(usual.bodies, keep)),
        [list(compress(column, keep)) for column in usual.columns],
        list(compress(usual.modified, keep)),
    )


# --- below: the content hash -----------------------------------------------------------------------------------------


def _hash(elements: Sequence[str]) -> str:
    return hashlib.sha256(f"{{{','.join(elements)}}}".encode(errors="replace")).hexdigest()


def _elements(texts: Texts, *, plain: bool) -> Iterable[str]:
    """The texts as elements of PostgreSQL's text form of an array; a `plain` column needs no quotes anywhere."""
    if not plain:
        joined = "".join(filter(None, texts))
        # Asked of the whole column first: mostly there is nothing to quote in it.
        if (not joined.isalnum() and _QUOTED.search(joined)) or "null" in joined.lower():
            return ["NULL" if text is None else _element(text) for text in texts]
    return ["NULL" if text is None else text for text in texts]


def _element(text: str) -> str:
    if _QUOTED.search(text) or text.lower() == "null":
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


# --- below: values by type -------------------------------------------------------------------------------------------


def _texts(values: Sequence[Any]) -> _Column:
    odd = _unless(values, str)
    texts = _nulls(values, odd)
    return texts, texts, odd


def _integers(values: Sequence[Any]) -> _Column:
    odd = set(_unless(values, int, Decimal))
    texts: Texts = []
    converted: list[int | None] = []
    for place, value in enumerate(values):
        if value is None or place in odd:
            text, number = None, None
        elif type(value) is int and -_INT64 <= value < _INT64:
            text, number = str(value), value
        elif type(value) is Decimal and _WHOLE.fullmatch(text := str(value)) and not (text[0] == "-" and not value):
            number = int(value)
        else:
            text, number = None, None
            odd.add(place)
        texts.append(text)
        converted.append(number)
    return texts, converted, odd


def _decimals(values: Sequence[Any]) -> _Column:
    odd = set(_unless(values, Decimal, int))
    if int in set(map(type, values)):
        odd.update(place for place, v in enumerate(values) if type(v) is int and not -_INT64 <= v < _INT64)
        values = [Decimal(v) if type(v) is int and place not in odd else v for place, v in enumerate(values)]
    if odd:
        values = [None if place in odd else value for place, value in enumerate(values)]
    texts = [None if value is None else str(value) for value in values]
    lines = "\n".join([*filter(None, texts), ""])
    if "-0" in lines or not _PLAIN.fullmatch(lines):
        for place, text in enumerate(texts):
            # A zero with a sign is one without in PostgreSQL.
            if text and not (_PLAIN.fullmatch(text + "\n") and (text[0] != "-" or values[place])):
                odd.add(place)
    return texts, list(values), odd


def _booleans(values: Sequence[Any]) -> _Column:
    odd = _unless(values, bool)
    texts: Texts = [None if value is None else "true" if value is True else "false" for value in values]
    return texts, list(values), odd


def _dates(values: Sequence[Any]) -> _Column:
    return _read_each(values, _day)


def _timestamps(values: Sequence[Any]) -> _Column:
    return _read_each(values, _instant)


def _nothing(values: Sequence[Any]) -> _Column:
    """For jsonb: only PostgreSQL spells a list or an object as it does."""
    nulls: list[Any] = [None] * len(values)
    return nulls, nulls, [place for place, value in enumerate(values) if value is not None]


_READ: dict[ColumnType, Callable[[Sequence[Any]], _Column]] = {
    "text": _texts, "integer": _integers, "decimal": _decimals, "boolean": _booleans, "date": _dates,
    "timestamp": _timestamps, "json": _nothing,
}  # fmt: skip


def _unless(values: Sequence[Any], *kinds: type) -> list[int]:
    """The places of what is of another type and no null."""
    usual = {*kinds, type(None)}
    if set(map(type, values)) <= usual:
        return []
    return [place for place, value in enumerate(values) if type(value) not in usual]


def _nulls(values: Sequence[Any], odd: Collection[int]) -> list[Any]:
    """A copy in which what is odd is null, and so is an empty text."""
    if odd:
        return [None if place in odd or value == "" else value for place, value in enumerate(values)]
    return [value or None for value in values]


def _read_each(values: Sequence[Any], read: Callable[[str], Any]) -> _Column:
    odd = set(_unless(values, str))
    texts = _nulls(values, odd)
    known = {text: read(text) for text in set(texts) if text is not None}
    converted = [None if text is None else known[text] for text in texts]
    if None in known.values():
        odd.update(place for place, text in enumerate(texts) if text is not None and known[text] is None)
    return texts, converted, odd


def _day(text: str) -> date | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
