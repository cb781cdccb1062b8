"""Loading keyed records into a CRM through its API, so that loading twice changes nothing.

Each record carries a key of ours (or is known by its natural key where the object has no custom fields), and names
other records by their keys. Not here: where the records come from (demo_data.py, load_csv.py), and the CRMs that are
not Salesforce (crm_loaders.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.connectors.saved import SaveResult
from tieout.model.staged import StagedEntity, StagedField

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


#: Objects of Salesforce that cannot carry `Source_Key__c`: the fields that make one of them the same record.
NATURAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "CurrencyType": ("IsoCode",),
    "DatedConversionRate": ("IsoCode", "StartDate"),
    "PricebookEntry": ("Pricebook2Id", "Product2Id", "CurrencyIsoCode"),
}


@dataclass(frozen=True, slots=True)
class Keys:
    """How records of a CRM are told apart.

    Attributes:
        id: the field with the CRM's own id.
        ours: the field that carries our key.
        natural: object that cannot carry it -> the fields that make one of them the same record.
    """

    id: str
    ours: str
    natural: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


#: System -> its keys.
KEYS = {"salesforce": Keys("Id", KEY_FIELD, NATURAL_KEYS), "hubspot": Keys("id", "tieout_source_key")}


class Crm(Protocol):
    """What loading needs of a CRM."""

    keys: Keys

    def standing(self) -> Mapping[str, str]:
        """Our key -> id of what every organisation has and records refer to."""
        ...

    def rows(self, object_name: str, fields: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """These fields of all records of an object."""
        ...

    def insert(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> Sequence[Saved]:
        """Creates records; one answer each, in order."""
        ...

    def update(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> Sequence[Saved]:
        """Changes records by their id; one answer each, in order."""
        ...


class ConnectorCrm:
    """A Crm over the Salesforce connector."""

    keys = KEYS["salesforce"]

    def __init__(self, connector: SalesforceConnector) -> None:
        self._connector = connector

    def standing(self) -> Mapping[str, str]:
        """The standard price book."""
        books = self.rows("Pricebook2", ["IsStandard"])
        return {STANDARD_PRICE_BOOK: next(str(row["Id"]) for row in books if row["IsStandard"])}

    def rows(self, object_name: str, fields: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """See Crm."""
        staged = tuple(StagedField(name.lower(), name, "text") for name in ("Id", *fields))
        entity = StagedEntity("salesforce", object_name.lower(), object_name, "Id", None, staged)
        for page in self._connector.changed(entity, None, datetime.now(UTC)):
            yield from page.records

    def insert(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> Sequence[Saved]:
        """See Crm."""
        return [_saved(result) for result in self._connector.insert(object_name, records)]

    def update(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> Sequence[Saved]:
        """See Crm."""
        return [_saved(result) for result in self._connector.upsert(object_name, "Id", records)]


def _saved(result: SaveResult) -> Saved:
    return Saved(result.id, "; ".join(f"{code}: {message}" for code, message in result.errors))


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


def load(crm: Crm, records: Mapping[str, Sequence[CrmRecord]]) -> Loaded:
    """Inserts the records that are not there yet, object by object in the order of `records`.

    Whatever is there stays as it is. A record that refers to a refused one is refused as well.
    """
    ids = dict(crm.standing())
    created: dict[str, int] = {}
    unchanged: dict[str, int] = {}
    refused: list[tuple[str, str]] = []
    for name, wanted in records.items():
        identity = _identity(crm.keys, name)
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


def set_where_different(crm: Crm, name: str, ids: Iterable[str], fields: Mapping[str, Any]) -> tuple[int, list[Saved]]:
    """Sets fields on those of `ids` that do not have the values yet: (how many were set, refusals with their ids)."""
    wanted = set(ids)
    id_field = crm.keys.id
    done = {row[id_field] for row in crm.rows(name, list(fields)) if all(row[key] == fields[key] for key in fields)}
    todo = sorted(wanted - done)
    answers = crm.update(name, [{id_field: id_, **fields} for id_ in todo]) if todo else []
    failed = [Saved(id_, answer.error) for id_, answer in zip(todo, answers, strict=True) if answer.id is None]
    return len(todo) - len(failed), failed


def _identity(keys: Keys, name: str) -> Callable[[CrmRecord, Mapping[str, Any]], tuple[str, ...]]:
    natural = keys.natural.get(name)
    if natural is None:
        return lambda record, fields: (record.key,)
    return lambda record, fields: tuple(str(fields[one]) for one in natural)


def _existing(crm: Crm, name: str, wanted: Sequence[CrmRecord]) -> dict[tuple[str, ...], str]:
    """Identity -> id of what is there."""
    natural = crm.keys.natural.get(name, (crm.keys.ours,))
    if not wanted:
        return {}
    return {tuple(str(row[one]) for one in natural): str(row[crm.keys.id]) for row in crm.rows(name, natural)}
