"""Loading keyed records into a Salesforce through its API, so that loading twice changes nothing.

Each record carries a key of ours in `Source_Key__c` (or is known by its natural key where the object has no custom
fields), and names other records by their keys. Not here: where the records come from (demo_data.py, load_csv.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

#: The custom field (External ID, Unique) that carries our key.
KEY_FIELD = "Source_Key__c"
#: The key of the price book that every organisation has.
STANDARD_PRICE_BOOK = "standard-price-book"


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands for the id of another record until that record is loaded and its id known."""

    key: str


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """One CRM record.

    Attributes:
        object: Salesforce's object, `OrderItem`.
        key: unique over all objects; stored in `Source_Key__c` where the object has it.
        fields: what goes in through the API; a `Ref` is replaced by the id of the record it names.
        raw: what only an old record can hold (the API refuses it); set afterwards by the sandbox's own door.
    """

    object: str
    key: str
    fields: Mapping[str, Any]
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Saved:
    """The API's answer for one record: its id, or why it was refused."""

    id: str | None
    error: str = ""


class Crm(Protocol):
    """What loading needs of a Salesforce; connectors/salesforce has it."""

    def query(self, soql: str) -> Iterable[Mapping[str, Any]]: ...

    def insert(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> Sequence[Saved]: ...

    def update(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> Sequence[Saved]: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the records: `created` and `unchanged` per object, `refused` (key, reason) pairs, all `ids`."""

    created: Mapping[str, int]
    unchanged: Mapping[str, int]
    refused: tuple[tuple[str, str], ...]
    ids: Mapping[str, str]

    @property
    def wrote(self) -> bool:
        return any(self.created.values())


#: Objects that cannot carry `Source_Key__c`: the fields that make one of them the same record.
NATURAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "CurrencyType": ("IsoCode",),
    "DatedConversionRate": ("IsoCode", "StartDate"),
    "PricebookEntry": ("Pricebook2Id", "Product2Id", "CurrencyIsoCode"),
}


def load(crm: Crm, records: Mapping[str, Sequence[CrmRecord]]) -> Loaded:
    """Inserts the records that are not there yet, object by object in the order of `records`.

    Whatever is there stays as it is. A record that refers to a refused one is refused as well.
    """
    ids = {STANDARD_PRICE_BOOK: _standard_price_book(crm)}
    created: dict[str, int] = {}
    unchanged: dict[str, int] = {}
    refused: list[tuple[str, str]] = []
    for name, wanted in records.items():
        identity = _identity(name, ids)
        there = _existing(crm, name, wanted)
        missing: list[tuple[CrmRecord, dict[str, Any]]] = []
        for record in wanted:
            unknown = sorted({value.key for value in record.fields.values() if isinstance(value, Ref)} - ids.keys())
            if unknown:
                refused.append((record.key, f"it refers to {unknown[0]}, which was not loaded"))
                continue
            fields = {k: ids[v.key] if isinstance(v, Ref) else v for k, v in record.fields.items() if v is not None}
            known = there.get(identity(record, fields))
            if known is None:
                missing.append((record, fields))
            else:
                ids[record.key] = known
        unchanged[name] = sum(1 for record in wanted if record.key in ids)
        saved = crm.insert(name, [fields for _, fields in missing]) if missing else []
        for (record, _), answer in zip(missing, saved, strict=True):
            if answer.id is None:
                refused.append((record.key, answer.error))
            else:
                ids[record.key] = answer.id
        created[name] = sum(1 for answer in saved if answer.id is not None)
    return Loaded(created, unchanged, tuple(refused), ids)


def set_where_different(crm: Crm, name: str, ids: Iterable[str], fields: Mapping[str, str]) -> tuple[int, list[Saved]]:
    """Sets text fields on those of `ids` that do not have the values yet: (how many were set, refusals)."""
    wanted = set(ids)
    test = " AND ".join(f"{field} = {quoted(value)}" for field, value in fields.items())
    done = {row["Id"] for row in crm.query(f"SELECT Id FROM {name} WHERE {test}")}  # noqa: S608 -- SOQL, quoted
    todo = sorted(wanted - done)
    answers = crm.update(name, [{"Id": id_, **fields} for id_ in todo]) if todo else []
    failed = [Saved(id_, answer.error) for id_, answer in zip(todo, answers, strict=True) if answer.id is None]
    return len(todo) - len(failed), failed


def quoted(text: str) -> str:
    """A SOQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _standard_price_book(crm: Crm) -> str:
    rows = list(crm.query("SELECT Id FROM Pricebook2 WHERE IsStandard = true"))
    return str(rows[0]["Id"])


def _identity(name: str, ids: Mapping[str, str]) -> Callable[[CrmRecord, Mapping[str, Any]], tuple[str, ...]]:
    natural = NATURAL_KEYS.get(name)
    if natural is None:
        return lambda record, fields: (record.key,)
    return lambda record, fields: tuple(str(fields[one]) for one in natural)


def _existing(crm: Crm, name: str, wanted: Sequence[CrmRecord]) -> dict[tuple[str, ...], str]:
    """Identity -> id of what is there. All keys of one load start alike, up to the first colon."""
    natural = NATURAL_KEYS.get(name, (KEY_FIELD,))
    soql = f"SELECT Id, {', '.join(natural)} FROM {name}"  # noqa: S608 -- SOQL of constants
    if name not in NATURAL_KEYS and wanted:
        soql += f" WHERE {KEY_FIELD} LIKE {quoted(wanted[0].key.partition(':')[0] + ':%')}"
    return {tuple(str(row[one]) for one in natural): str(row["Id"]) for row in _rows(crm, soql, wanted)}


def _rows(crm: Crm, soql: str, wanted: Sequence[CrmRecord]) -> Iterator[Mapping[str, Any]]:
    if wanted:
        yield from crm.query(soql)
