"""Inserting, updating, upserting, deleting and merging single records. Raises Refused and then has changed nothing.

Several records are saved inside one `Unit`, which brings the headers of changed lines up to date when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.salesforce import checks
from sandbox.salesforce.access import Access
from sandbox.salesforce.business import PREPARE, check_delete
from sandbox.salesforce.errors import Problem, Refused, refused
from sandbox.salesforce.fields import Field, SObject
from sandbox.salesforce.incoming import Incoming, unknown_field
from sandbox.salesforce.org import Org
from sandbox.salesforce.rollups import PARENT, recompute
from sandbox.state import Record


class ManyMatches(Exception):
    """An external id matches several records; `ids` are theirs."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__("several records match")
        self.ids = ids


class Unit:
    """What one request saves together."""

    def __init__(self, org: Org, access: Access) -> None:
        self.org = org
        self.access = access
        self.headers: dict[tuple[str, str], None] = {}  # (line object, header's id) whose sums may have changed

    def touch(self, sobject: str, record: Record) -> None:
        """Notes the header of a line that was saved or deleted."""
        parent = PARENT.get(sobject)
        if parent is not None:
            self.headers[sobject, record[parent[1]]] = None

    def settle(self) -> None:
        """Brings the headers up to date."""
        headers, self.headers = self.headers, {}
        for line, parent_id in headers:
            recompute(self.org, line, parent_id, self.access.user_id)


@contextmanager
def unit(org: Org, access: Access) -> Iterator[Unit]:
    """One transaction: an exception takes everything back."""
    with org.state.transaction():
        one = Unit(org, access)
        yield one
        one.settle()


def insert(work: Unit, sobject: SObject, incoming: Incoming) -> str:
    """Saves a new record and returns its id."""
    org = work.org
    if not sobject.createable:
        message = f"entity type {sobject.name} does not support create"
        raise refused("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message)
    work.access.require("create", sobject)
    if incoming.values.get("Id") is not None:
        raise refused("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", "Id")
    new: Record = dict(_template(org, sobject))
    given = _given(work, sobject, incoming, new, creating=True)
    now = org.stamp_now()
    user = work.access.user_id
    new["IsDeleted"] = False
    new.update(CreatedDate=now, CreatedById=user, LastModifiedDate=now, LastModifiedById=user, SystemModstamp=now)
    if "OwnerId" in sobject.fields and new.get("OwnerId") is None:
        new["OwnerId"] = user
    _check(org, sobject, given, None, new)
    new = {"Id": org.new_id(sobject), **new}
    number_it(org, sobject, new)
    org.table(sobject.name).put(new["Id"], new)
    work.touch(sobject.name, new)
    return str(new["Id"])


def update(work: Unit, sobject: SObject, id_: str, incoming: Incoming) -> None:
    """Changes a living record."""
    org = work.org
    old = living(org, sobject, id_)
    work.access.require("update", sobject)
    _lock(org, id_)
    new = dict(old)
    given = _given(work, sobject, incoming, new, creating=False)
    now = org.stamp_now()
    new["LastModifiedDate"] = new["SystemModstamp"] = now
    new["LastModifiedById"] = work.access.user_id
    _check(org, sobject, given, old, new)
    org.table(sobject.name).put(id_, new)
    work.touch(sobject.name, new)


def upsert(work: Unit, sobject: SObject, field: Field, value: Any, incoming: Incoming) -> tuple[str, bool]:
    """Updates the record with that external id, or makes one: (id, created). Raises ManyMatches."""
    if field.name == "Id":
        if value is None:
            return insert(work, sobject, incoming), True
        incoming.values.pop("Id", None)
        update(work, sobject, value, incoming)
        return value, False
    if value is None:
        raise refused("MISSING_ARGUMENT", f"{field.name} not specified")
    found = checks.matches(work.org, sobject, field, value)
    if len(found) > 1:
        raise ManyMatches([one["Id"] for one in found])
    if found:
        incoming.values.pop(field.name, None)
        update(work, sobject, found[0]["Id"], incoming)
        return found[0]["Id"], False
    incoming.values[field.name] = value
    return insert(work, sobject, incoming), True


def delete(work: Unit, sobject: SObject, id_: str) -> None:
    """Puts a record, and what belongs to it, into the recycle bin."""
    org = work.org
    old = living(org, sobject, id_)
    if not sobject.deletable:
        raise refused("INSUFFICIENT_ACCESS_OR_READONLY", f"entity type cannot be deleted: {sobject.name}")
    work.access.require("delete", sobject)
    _lock(org, id_)
    check_delete(org, sobject.name, old)
    _bin(work, sobject, old, {})


def merge(work: Unit, sobject: SObject, master: str, losers: list[str]) -> None:
    """Moves what hangs on the losers to the master; the losers are deleted and say who the master is."""
    org = work.org
    living(org, sobject, master)
    now = org.stamp_now()
    for loser in losers:
        old = living(org, sobject, loser)
        for child, field in org.schema.children[sobject.name].values():
            for record in org.children(child, field.name, loser):
                moved = {field.name: master, "SystemModstamp": now, "LastModifiedDate": now}
                org.table(child).put(record["Id"], {**record, **moved})
        _bin(work, sobject, old, {"MasterRecordId": master})
    kept = living(org, sobject, master)
    org.table(sobject.name).put(master, {**kept, "SystemModstamp": now, "LastModifiedDate": now})


def living(org: Org, sobject: SObject, id_: str) -> Record:
    """The record, not deleted. Raises Refused 404."""
    record = org.get(sobject.name, id_)
    if record is None:
        raise refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", status=404)
    if record["IsDeleted"]:
        raise refused("ENTITY_IS_DELETED", "entity is deleted", status=404)
    return record


def _lock(org: Org, id_: str) -> None:
    """Refuses while somebody else is said to hold the record: as often as the door `lock` was told."""
    locks: dict[str, int] = org.memory.get("locks", {})
    if locks.get(id_, 0) > 0:
        locks[id_] -= 1
        message = f"unable to obtain exclusive access to this record or 1 records: {id_}"
        raise refused("UNABLE_TO_LOCK_ROW", message)


def _bin(work: Unit, sobject: SObject, old: Record, more: Record) -> None:
    org = work.org
    now = org.stamp_now()
    gone = {**old, **more, "IsDeleted": True, "SystemModstamp": now, "LastModifiedDate": now}
    org.table(sobject.name).put(old["Id"], {**gone, "LastModifiedById": work.access.user_id})
    for child, field in org.schema.children[sobject.name].values():
        if field.cascade:
            for record in org.children(child, field.name, old["Id"]):
                _bin(work, org.schema.objects[child], record, {})
    work.touch(sobject.name, old)


def _template(org: Org, sobject: SObject) -> Record:
    """What a new record of the object starts with; made once for each schema."""
    templates: dict[int, tuple[SObject, Record]] = org.memory.setdefault("templates", {})
    known = templates.get(id(sobject))
    if known is None or known[0] is not sobject:
        record = {one.name: one.default for one in sobject.fields.values() if one.default is not None}
        if "CurrencyIsoCode" in sobject.fields:
            record["CurrencyIsoCode"] = org.setting("corporate_currency")
        known = templates[id(sobject)] = (sobject, record)
    return known[1]


def _given(work: Unit, sobject: SObject, incoming: Incoming, new: Record, *, creating: bool) -> list[str]:
    """Puts the given values into `new`; the names of the fields that were given."""
    values = incoming.values
    if work.access.hidden:
        for name in values:
            if not work.access.sees(sobject, sobject.fields[name]):
                raise unknown_field(sobject, name)
    new.update(values)
    names = [*values, *incoming.foreign]
    problems = list(checks.writable(sobject, names, creating=creating))
    if problems:
        raise Refused(problems)
    for name, foreign in incoming.foreign.items():
        new[name] = checks.resolve(work.org, name, foreign)
    return names


def _check(org: Org, sobject: SObject, given: list[str], old: Record | None, new: Record) -> None:
    problems: list[Problem] = list(checks.required(sobject, new))
    own_id = None if old is None else old["Id"]
    for name in given:
        field = sobject.fields[name]
        problems.extend(checks.value(org, field, new))
        if field.unique:
            problems.extend(checks.unique(org, sobject, field, new, own_id))
    if problems:
        raise Refused(problems)
    prepare = PREPARE.get(sobject.name)
    if prepare is not None:
        prepare(org, old, new)
    problems.extend(checks.rules(org, sobject, old, new))
    if problems:
        raise Refused(problems)


def number_it(org: Org, sobject: SObject, new: Record) -> None:
    """Fills the automatic numbers that are not there yet."""
    for field in sobject.fields.values():
        if field.auto_number is not None and new.get(field.name) is None:
            number = org.number(f"{sobject.name}.{field.name}")
            head, _, tail = field.auto_number.partition("{")
            zeros, _, end = tail.partition("}")
            new[field.name] = f"{head}{number:0{len(zeros)}d}{end}"
