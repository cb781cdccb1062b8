"""Where a sandbox keeps what it was told: tables in memory, written through to one SQLite file.

Reads never touch the file. A write is on the file before `put` (or the outermost `transaction()`) returns, so an
answer that went out is never lost: WAL with synchronous=NORMAL hands each commit to the operating system, which keeps
it when the process is killed. Only a crash of the machine itself may lose the last commits; a sandbox can bear that.

What a record means is the vendor app's business, not this module's.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    MutableMapping,
    Sequence,
    ValuesView,
)
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

Record = dict[str, Any]

CLOCK_OFFSET = "clock_offset_seconds"
_SETTINGS = "_settings"
# Keys that no vendor's JSON uses: an object with exactly one of them stands for a value that JSON does not have.
_DECIMAL, _DATETIME, _DATE = "\0decimal", "\0datetime", "\0date"
_OPENING = '{"\\u0000'


def encode(record: Record) -> str:
    """One record as JSON text; Decimal, datetime and date keep their exact value.

    Raises TypeError for other types, ValueError for NaN and for a dict whose first key starts with a NUL character.
    """
    tagged = 0

    def tag(value: object) -> Record:
        nonlocal tagged
        tagged += 1
        if isinstance(value, Decimal):
            return {_DECIMAL: str(value)}
        if isinstance(value, datetime):
            return {_DATETIME: value.isoformat()}
        if isinstance(value, date):
            return {_DATE: value.isoformat()}
        raise TypeError(f"a record cannot hold a {type(value).__name__}")

    text = json.dumps(record, default=tag, separators=(",", ":"), allow_nan=False)
    if text.count(_OPENING) != tagged:
        raise ValueError("a key of a record starts with a NUL character")
    return text


def decode(text: str) -> Record:
    """The record that `encode` made the text from. A float comes back as a Decimal."""
    record: Record = json.loads(text, object_hook=_untag, parse_float=Decimal)
    return record


def _untag(value: Record) -> Any:
    if len(value) != 1:
        return value
    ((key, inner),) = value.items()
    if key == _DECIMAL:
        return Decimal(inner)
    if key == _DATETIME:
        return datetime.fromisoformat(inner)
    if key == _DATE:
        return date.fromisoformat(inner)
    return value


class AnyIndex(Protocol):
    """What a table tells of its records as they come and go."""

    def add(self, id_: str, record: Record) -> None: ...

    def remove(self, id_: str) -> None: ...


class Index:
    """Equality look-up over one table: value -> records, kept by the table as records come and go."""

    def __init__(self, table: Table, key: Callable[[Record], Any]) -> None:
        self._table = table
        self._key = key
        self._ids: dict[Any, dict[str, None]] = {}
        self._value_of: dict[str, Any] = {}
        for id_, record in table.items():
            self.add(id_, record)

    def add(self, id_: str, record: Record) -> None:
        """Called by the table; a record whose key is None is left out."""
        self.remove(id_)
        value = self._key(record)
        if value is not None:
            self._ids.setdefault(value, {})[id_] = None
            self._value_of[id_] = value

    def remove(self, id_: str) -> None:
        """Called by the table."""
        value = self._value_of.pop(id_, None)
        if value is not None:
            ids = self._ids[value]
            del ids[id_]
            if not ids:
                del self._ids[value]

    def __call__(self, value: Any) -> list[Record]:
        """The records whose key equals the value, in the order in which they got it."""
        return [self._table[id_] for id_ in self._ids.get(value, ())]

    def first(self, value: Any) -> Record | None:
        """One record whose key equals the value, or None."""
        for id_ in self._ids.get(value, ()):
            return self._table[id_]
        return None


class Table:
    """Records by id, in order of insertion. Records are values: change one by putting another in its place."""

    def __init__(self, state: State, name: str) -> None:
        self.name = name
        self._state = state
        self._records: dict[str, Record] = {}
        self._indexes: dict[str, AnyIndex] = {}

    def get(self, id_: str) -> Record | None:
        return self._records.get(id_)

    def __getitem__(self, id_: str) -> Record:
        return self._records[id_]

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._records

    def values(self) -> ValuesView[Record]:
        return self._records.values()

    def items(self) -> ItemsView[str, Record]:
        return self._records.items()

    def keys(self) -> KeysView[str]:
        return self._records.keys()

    def put(self, id_: str, record: Record) -> None:
        """Inserts or replaces; on the file at once, or with the transaction that is open."""
        with self._state.transaction():
            self._state.touch(self, id_)
            self.restore(id_, record)

    def delete(self, id_: str) -> None:
        """Removes the record; nothing happens when there is none."""
        if id_ in self._records:
            with self._state.transaction():
                self._state.touch(self, id_)
                self.restore(id_, None)

    def index(self, name: str, key: Callable[[Record], Any] | None = None) -> Index:
        """The equality index of that name: over the field `name`, or over what `key` gives for a record."""
        index = self._indexes.get(name)
        if not isinstance(index, Index):
            index = self._indexes[name] = Index(self, key or (lambda record: record.get(name)))
        return index

    def attach(self, name: str, make: Callable[[], AnyIndex]) -> AnyIndex:
        """Keeps an index of a vendor's own making up to date; made, empty, where there is none of the name yet."""
        if name not in self._indexes:
            index = make()
            for id_, record in self._records.items():
                index.add(id_, record)
            self._indexes[name] = index
        return self._indexes[name]

    def restore(self, id_: str, record: Record | None) -> None:
        """Memory only; for State and for put and delete."""
        if record is None:
            self._records.pop(id_, None)
            for index in self._indexes.values():
                index.remove(id_)
        else:
            self._records[id_] = record
            for index in self._indexes.values():
                index.add(id_, record)

    def forget(self) -> None:
        """Memory only; for State.clear."""
        for id_ in list(self._records):
            self.restore(id_, None)


class Settings(MutableMapping[str, Any]):
    """Settings that survive a restart; values are whatever a record may hold."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getitem__(self, key: str) -> Any:
        return self._table[key]["value"]

    def __setitem__(self, key: str, value: Any) -> None:
        self._table.put(key, {"value": value})

    def __delitem__(self, key: str) -> None:
        if key not in self._table:
            raise KeyError(key)
        self._table.delete(key)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._table.keys()))

    def __len__(self) -> int:
        return len(self._table)


class State:
    """All that one sandbox system remembers. Apps hold `lock` while they work on a request."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file and reads all of it into memory."""
        self.path = path
        self.lock = threading.RLock()
        self.on_clear: list[Callable[[], None]] = []  # for what an app remembers outside of its tables
        #: Told after each commit which records it put or removed, as (table, id); under the lock, so be quick.
        self.on_commit: list[Callable[[Sequence[tuple[str, str]]], None]] = []
        self._tables: dict[str, Table] = {}
        self._touched: dict[tuple[str, str], None] = {}
        self._depth = 0
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=16)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=NORMAL")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, tbl TEXT NOT NULL, id TEXT NOT NULL,"
            " body TEXT NOT NULL, UNIQUE (tbl, id))"
        )
        for tbl, id_, body in self._file.execute("SELECT tbl, id, body FROM record ORDER BY seq"):
            self.table(tbl).restore(id_, decode(body))
        self.settings = Settings(self.table(_SETTINGS))

    def table(self, name: str) -> Table:
        """The table of that name, empty when nothing was put into it."""
        if name not in self._tables:
            self._tables[name] = Table(self, name)
        return self._tables[name]

    def tables(self) -> Mapping[str, Table]:
        """All tables apart from the settings."""
        return {name: table for name, table in self._tables.items() if name != _SETTINGS}

    def clock(self) -> datetime:
        """Now, in UTC, moved by the setting `clock_offset_seconds`."""
        now = datetime.now(UTC)
        offset = self.settings.get(CLOCK_OFFSET)
        return now + timedelta(seconds=float(offset)) if offset else now

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All puts and deletes inside become one commit; an exception takes them back in memory and on the file.

        An inner transaction joins the outer one.
        """
        with self.lock:
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._write()
                    touched = list(self._touched)
                    for told in self.on_commit if touched else ():
                        told(touched)
            except BaseException:
                if self._depth == 1:
                    self._take_back()
                raise
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._touched.clear()

    def touch(self, table: Table, id_: str) -> None:
        """Notes that a record is about to change; for Table."""
        self._touched[(table.name, id_)] = None

    def clear(self) -> None:
        """Forgets every record and every setting."""
        with self.lock:
            if self._depth:
                raise RuntimeError("a transaction is open")
            self._file.execute("DELETE FROM record")
            for table in self._tables.values():
                table.forget()
            for forget in self.on_clear:
                forget()

    def close(self) -> None:
        """Closes the file; the state cannot be used after."""
        with self.lock:
            self._file.close()

    def _write(self) -> None:
        kept, gone = [], []
        for name, id_ in self._touched:
            record = self._tables[name].get(id_)
            if record is None:
                gone.append((name, id_))
            else:
                kept.append((name, id_, encode(record)))
        if not kept and not gone:
            return
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._execute_many("DELETE FROM record WHERE tbl = ? AND id = ?", gone)
            self._execute_many(
                "INSERT INTO record (tbl, id, body) VALUES (?, ?, ?)"
                " ON CONFLICT (tbl, id) DO UPDATE SET body = excluded.body",
                kept,
            )
            self._file.execute("COMMIT")
        except BaseException:
            self._file.execute("ROLLBACK")
            raise

    def _execute_many(self, statement: str, rows: Iterable[tuple[str, ...]]) -> None:
        self._file.executemany(statement, rows)

    def _take_back(self) -> None:
        # From the file, not from an undo log: right even where a caller changed a record in place.
        for name, id_ in self._touched:
            row = self._file.execute("SELECT body FROM record WHERE tbl = ? AND id = ?", (name, id_)).fetchone()
            self._tables[name].restore(id_, decode(row[0]) if row else None)
