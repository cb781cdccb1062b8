"""Records whose declared values are written in the usual way: hashed and converted here, in lists, column by column.

PostgreSQL does the same for every other record (conversion.py, staging_merge.py), and what is here gives exactly its
result, which tests/unit/store/test_staging_usual.py compares. So nothing here has to know what is wrong with a value,
or how a rare spelling is read: whatever is not plainly usual makes its record one of the `others`.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import compress, repeat
from typing import Any, cast

import psycopg

from tieout.model.raw_records import NULL, Raw
from tieout.model.staged import ColumnType, StagedEntity
from tieout.store import encoding
from tieout.store.conversion import DECIMAL_DIGITS_AFTER, DECIMAL_DIGITS_BEFORE
from tieout.store.staging_chunks import Chunk, Row, paths
from tieout.store.staging_numerics import numerics
from tieout.store.staging_rows import WireList

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

#: A jsonb in binary: its version, then the text.
JSONB = b"\x01"
_INT4, _INT8 = struct.Struct("!i").pack, struct.Struct("!q").pack
#: PostgreSQL counts days and microseconds from here.
_FIRST_DAY, _FIRST_INSTANT = date(2000, 1, 1).toordinal(), datetime(2000, 1, 1, tzinfo=UTC)

Texts = list[str | None]
#: What the hash is made of, and what COPY takes; the positions in it that are not usual.
_Column = tuple[Texts, WireList, Collection[int]]
#: How PostgreSQL writes JSON: each text as the text of its jsonb. Raises psycopg.DataError for what is none.
Spell = Callable[[Sequence[bytes]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Usual:
    """Rows of a chunk in lists of one length.

    Attributes:
        ids: the records' ids.
        hashes: their content's, as conversion.content_hash has them.
        bodies: their JSON.
        columns: a list for each declared column, of values in the binary form of its type.
        modified: the modification times in that form.
    """

    ids: Sequence[str]
    hashes: Sequence[str]
    bodies: Sequence[bytes]
    columns: Sequence[WireList]
    modified: WireList


def split(entity: StagedEntity, chunk: Chunk, spell: Spell) -> tuple[Usual, dict[str, Row]]:
    """The rows that are usual, converted, and the others as they came."""
    found = chunk.columns
    if not chunk.bodies or any(_PLACE_IN_LIST.fullmatch(step) for path in paths(entity) for step in path[1:]):
        return Usual([], [], [], [[] for _ in entity.fields], []), others(chunk)
    odd = set(chunk.notes)
    modified_at = _timestamps(found[-2])
    odd.update(modified_at[2])
    hashed: list[Iterable[str]] = []
    columns: list[WireList] = []
    for field, values in zip(entity.fields, found, strict=False):
        again = field.path == entity.modified and field.type == "timestamp"
        if field.type == "json":
            texts, wire, unusual = _json(values, odd, spell)
        else:
            texts, wire, unusual = modified_at if again else _READ[field.type](values)
        columns.append(wire)
        odd.update(unusual)
        if not field.echo and field.path != entity.modified:
            hashed.append(_elements(texts, plain=field.type not in ("text", "json")))
    contents = map(",".join, zip(*hashed, strict=True)) if hashed else repeat("", len(chunk.bodies))
    usual = Usual(list(chunk.places), list(map(_hash, contents)), chunk.bodies, columns, modified_at[1])
    if not odd:
        return usual, {}
    return only(usual, [place not in odd for place in range(len(chunk.bodies))]), others(chunk, odd)


def others(chunk: Chunk, wanted: Collection[int] | None = None) -> dict[str, Row]:
    """The rows at these places, or all, for PostgreSQL to convert: what it cannot store is replaced in them."""
    return {one: chunk.clean(place) for one, place in chunk.places.items() if wanted is None or place in wanted}


def only(usual: Usual, keep: Sequence[bool]) -> Usual:
    """The rows at whose places `keep` is true."""
    return Usual(
        list(compress(usual.ids, keep)),
        list(compress(usual.hashes, keep)),
        list(compress(usual.bodies, keep)),
        [cast("WireList", list(compress(column, keep))) for column in usual.columns],
        cast("WireList", list(compress(usual.modified, keep))),
    )


# --- below: the content hash -----------------------------------------------------------------------------------------


def _hash(elements: str) -> str:
    return hashlib.sha256(f"{{{elements}}}".encode(errors="replace")).hexdigest()


def _elements(texts: Texts, *, plain: bool) -> Iterable[str]:
    """The texts as elements of PostgreSQL's text form of an array; a `plain` column needs no quotes anywhere."""
    if not plain:
        joined = "".join(filter(None, texts))
        # Asked of the whole column first: mostly there is nothing to quote in it.
        if (not joined.isalnum() and _QUOTED.search(joined)) or "null" in joined.lower():
            return ["NULL" if text is None else _element(text) for text in texts]
    if None not in texts:
        return cast(list[str], texts)
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
    wire: list[bytes | None] = []
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
        wire.append(None if number is None else _INT8(number))
    return texts, wire, odd


def _decimals(values: Sequence[Any]) -> _Column:
    """Numbers as they stand in the JSON, or Decimal and int."""
    texts: Texts
    if set(map(type, values)) == {Raw}:
        odd: set[int] = set()
        texts = [None if text == "null" else text for text in [str(value, "utf-8") for value in values]]
    else:
        odd = set(_unless(values, Decimal, int))
        texts = [None if value is None or place in odd else str(value) for place, value in enumerate(values)]
    lines = "\n".join([*filter(None, texts), ""])
    if "-0" in lines or not _PLAIN.fullmatch(lines):
        for place, text in enumerate(texts):
            # A zero with a sign is one without in PostgreSQL.
            if text and (not _PLAIN.fullmatch(text + "\n") or (text[0] == "-" and not text.strip("-0."))):
                odd.add(place)
                texts[place] = None
    once = [text for text in set(texts) if text is not None]
    known: dict[str | None, bytes | None] = dict(zip(once, numerics(once), strict=True))
    known[None] = None
    return texts, list(map(known.__getitem__, texts)), odd


def _booleans(values: Sequence[Any]) -> _Column:
    odd = _unless(values, bool)
    texts: Texts = [None if value is None else "true" if value is True else "false" for value in values]
    return texts, [None if value is None else b"\x01" if value is True else b"\x00" for value in values], odd


def _dates(values: Sequence[Any]) -> _Column:
    return _read_each(values, _day)


def _timestamps(values: Sequence[Any]) -> _Column:
    return _read_each(values, _instant)


_READ: dict[ColumnType, Callable[[Sequence[Any]], _Column]] = {
    "text": _texts, "integer": _integers, "decimal": _decimals, "boolean": _booleans, "date": _dates,
    "timestamp": _timestamps,
}  # fmt: skip


def _json(values: Sequence[Any], noted: Collection[int], spell: Spell) -> _Column:
    """Lists and objects. Only PostgreSQL spells them as it does, so it is asked, for all of them at once."""
    odd: set[int] = set()
    found: dict[int, bytes] = {}
    for place, value in enumerate(values):
        if value is None or value == NULL:
            continue
        body = None
        if type(value) is Raw:
            body = bytes(value)
        elif type(value) in (list, dict) and place not in noted:
            body = encoding.plain(value)
        if body is None or body[:1] not in (b"[", b"{"):
            odd.add(place)
        else:
            found[place] = body
    texts: Texts = [None] * len(values)
    wire: list[bytes | None] = [None] * len(values)
    try:
        spelled = spell(list(found.values())) if found else []
    except psycopg.DataError:
        return texts, wire, {*odd, *found}
    for (place, body), text in zip(found.items(), spelled, strict=True):
        texts[place], wire[place] = text, JSONB + body
    return texts, wire, odd


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


def _read_each(values: Sequence[Any], read: Callable[[str], bytes | None]) -> _Column:
    odd = set(_unless(values, str))
    texts = _nulls(values, odd)
    known: dict[str | None, bytes | None] = {text: read(text) for text in set(texts) if text is not None}
    if None in known.values():
        odd.update(place for place, text in enumerate(texts) if text is not None and known[text] is None)
    known[None] = None
    return texts, list(map(known.__getitem__, texts)), odd


def _day(text: str) -> bytes | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return _INT4(date.fromisoformat(text).toordinal() - _FIRST_DAY)
    except ValueError:
        return None


def _instant(text: str) -> bytes | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return timestamp(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def timestamp(instant: datetime) -> bytes:
    """The binary form of a timestamptz."""
    since = instant - _FIRST_INSTANT
    return _INT8((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
