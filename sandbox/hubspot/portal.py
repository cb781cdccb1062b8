"""One portal's tables: object types, properties, records, pipelines; look-ups by index, ids, time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from sandbox.hubspot.catalog import STANDARD, ObjectType
from sandbox.hubspot.errors import Problem, not_found
from sandbox.hubspot.settings import setting
from sandbox.hubspot.wire import millis
from sandbox.state import Record, State, Table

FIRST_ID = 9_000_000_001
_BY_NAME = {name: kind for kind in STANDARD for name in (kind.id, kind.name, kind.singular)}


class Ordered:
    """The ids of a table by a key that can be ordered; records whose key is None are left out."""

    def __init__(self, key: Callable[[Record], Any]) -> None:
        self.keys: list[tuple[Any, int]] = []
        self.version = 0  # changes with the table
        self._key = key
        self._value_of: dict[str, Any] = {}

    def add(self, id_: str, record: Record) -> None:
        self.remove(id_)
        value = self._key(record)
        if value is not None:
            self._value_of[id_] = value
            insort(self.keys, (value, int(id_)))

    def remove(self, id_: str) -> None:
        self.version += 1
        value = self._value_of.pop(id_, None)
        if value is not None:
            del self.keys[bisect_left(self.keys, (value, int(id_)))]


class Portal:
    """Reads are from memory. Whoever writes holds the state's lock and a transaction."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.events: list[Record] = []  # webhooks of the call that runs

    def setting(self, name: str) -> Any:
        return setting(self.state, name)

    def now(self) -> datetime:
        """To the millisecond, as HubSpot keeps times."""
        now = self.state.clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def new_id(self) -> str:
        """The next id of the portal: ids of records of all types grow in order of creation."""
        counters = self.state.table("counters")
        next_ = (counters.get("id") or {"next": FIRST_ID})["next"]
        counters.put("id", {"next": next_ + 1})
        return str(next_)

    # Object types

    def kind(self, name: str) -> ObjectType:
        """By plural, singular, type id, custom name, p_<name> or fully qualified name. Raises Problem."""
        found = self.find_kind(name)
        if found is None:
            raise Problem(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")
        return found

    def find_kind(self, name: str) -> ObjectType | None:
        standard = _BY_NAME.get(name.lower())
        if standard is not None:
            return standard
        schema = self.state.table("schemas").get(name) or self._schema_named(name)
        return None if schema is None or schema["archived"] else self._custom(schema)

    def kinds(self) -> Iterator[ObjectType]:
        yield from STANDARD
        yield from (self._custom(schema) for schema in self.state.table("schemas").values() if not schema["archived"])

    def full_name(self, kind: ObjectType) -> str:
        return f"p{self.setting('portal_id')}_{kind.name}" if kind.custom else kind.name

    def _schema_named(self, name: str) -> Record | None:
        own = name.removeprefix(f"p{self.setting('portal_id')}_").removeprefix("p_").lower()
        return self.state.table("schemas").index("named", lambda schema: schema["name"].lower()).first(own)

    def _custom(self, schema: Record) -> ObjectType:
        name = schema["name"]
        shown = tuple(p for p in (schema["primaryDisplayProperty"], *schema["secondaryDisplayProperties"]) if p)
        kind = ObjectType(schema["objectTypeId"], name, name, name.upper(), f"{name}_information", shown, custom=True)
        return replace(kind, required=tuple(schema["requiredProperties"]))

    # Properties and records

    def properties(self, kind: ObjectType) -> Table:
        return self.state.table(f"properties/{kind.id}")

    def records(self, kind: ObjectType) -> Table:
        return self.state.table(f"records/{kind.id}")

    def by_modified(self, kind: ObjectType) -> Ordered:
        """(milliseconds, id) of the records that are not archived."""
        return self._ordered(kind, "by modified", lambda r: None if r["archived"] else millis(r["updated"]))

    def by_id(self, kind: ObjectType, archived: bool) -> Ordered:
        """((), id): ids in order of number."""
        return self._ordered(kind, f"by id {archived}", lambda r: 0 if r["archived"] is archived else None)

    def _ordered(self, kind: ObjectType, name: str, key: Callable[[Record], Any]) -> Ordered:
        found = self.records(kind).attach(name, lambda: Ordered(key))
        assert isinstance(found, Ordered)
        return found

    def by_value(self, kind: ObjectType, name: str, value: str) -> Record | None:
        """The record, not archived, that has this value of a unique property; case does not count."""

        def key(record: Record) -> Any:
            kept = None if record["archived"] else record["properties"].get(name)
            return None if kept is None else kept.lower()

        return self.records(kind).index(f"unique {name}", key).first(value.lower())

    def record(self, kind: ObjectType, id_: str, archived: bool = False) -> Record:
        """Follows merges. Raises Problem (404)."""
        found = self.find_record(kind, id_, archived)
        if found is None:
            raise not_found()
        return found

    def find_record(self, kind: ObjectType, id_: str, archived: bool = False) -> Record | None:
        moved = self.state.table(f"merged/{kind.id}").get(id_)
        found = self.records(kind).get(moved["to"] if moved else id_)
        return found if found is not None and found["archived"] is archived else None

    # Pipelines

    def pipelines(self, kind: ObjectType) -> Table:
        return self.state.table(f"pipelines/{kind.id}")

    def stage(self, kind: ObjectType, pipeline: str, stage: str) -> Record | None:
        found = self.pipelines(kind).get(pipeline)
        return next((s for s in found["stages"] if s["id"] == stage), None) if found else None
