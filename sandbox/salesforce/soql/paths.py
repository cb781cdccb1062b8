"""Field paths: from `Account.Owner.Name` to a function that reads it from a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce.access import Access
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.fields import Field, SObject
from sandbox.salesforce.org import Org
from sandbox.salesforce.soql.grammar import complaint
from sandbox.salesforce.soql.tree import Path, Query
from sandbox.state import Record

Getter = Callable[[Record], Any]
MAX_LEVELS = 5  # of parents in one path
_HINT = "Please reference your WSDL or the describe call for the appropriate names."


@dataclass(frozen=True, slots=True)
class Scope:
    """Where names are looked up: the object of the FROM, on behalf of whom, and the text for messages."""

    org: Org
    access: Access
    sobject: SObject
    alias: str | None
    text: str

    def local(self, path: Path) -> tuple[str, ...]:
        """The parts without the alias or the object's own name in front."""
        first = path.parts[0].lower()
        own = (self.alias or "").lower(), self.sobject.name.lower()
        is_relationship = first in self.sobject.relationships
        return path.parts[1:] if len(path.parts) > 1 and first in own and not is_relationship else path.parts


@dataclass(frozen=True, slots=True)
class Resolved:
    """A path that exists: references to follow as (field, object's name), the field at its end, and its reader."""

    steps: tuple[tuple[Field, str], ...]
    field: Field
    get: Getter


def scope_of(org: Org, access: Access, query: Query, text: str) -> Scope:
    """The scope of a query. Raises ApiError 400 INVALID_TYPE for an object that is not there or not visible."""
    sobject = org.schema.find(query.source)
    if sobject is None or not access.may("read", sobject):
        message = (
            f"sObject type '{query.source}' is not supported. If you are attempting to use a custom object, be sure to"
            f" append the '__c' after the entity name. {_HINT}"
        )
        raise ApiError(400, "INVALID_TYPE", complaint(text, query.column, message))
    return Scope(org, access, sobject, query.alias, text)


def resolve(scope: Scope, path: Path) -> Resolved:
    """Looks a path up. Raises ApiError 400 INVALID_FIELD."""
    *parents, name = scope.local(path)
    if len(parents) > MAX_LEVELS:
        message = f"A maximum of {MAX_LEVELS} levels of parent relationships is allowed"
        raise ApiError(400, "INVALID_FIELD", complaint(scope.text, path.column, message))
    sobject = scope.sobject
    steps: list[tuple[Field, str]] = []
    for parent in parents:
        reference = sobject.relationships.get(parent.lower())
        if reference is None or not scope.access.sees(sobject, reference):
            message = (
                f"Didn't understand relationship '{parent}' in field path. If you are attempting to use a custom"
                f" relationship, be sure to append the '__r' after the custom relationship name. {_HINT}"
            )
            raise ApiError(400, "INVALID_FIELD", complaint(scope.text, path.column, message))
        sobject = scope.org.schema.objects[reference.reference_to[0]]
        steps.append((reference, sobject.name))
    field = sobject.find(name)
    if field is None or not scope.access.sees(sobject, field):
        message = (
            f"No such column '{name}' on entity '{sobject.name}'. If you are attempting to use a custom field, be sure"
            f" to append the '__c' after the custom field name. {_HINT}"
        )
        raise ApiError(400, "INVALID_FIELD", complaint(scope.text, path.column, message))
    return Resolved(tuple(steps), field, _getter(scope.org, steps, field))


def _getter(org: Org, steps: list[tuple[Field, str]], field: Field) -> Getter:
    read = reader(field)
    hops = [(reference.name, org.table(target)) for reference, target in steps]
    if not hops:
        return read

    def walk(record: Record) -> Any:
        for name, table in hops:
            parent = table.get(record.get(name) or "")
            if parent is None:
                return None
            record = parent
        return read(record)

    return walk


def reader(field: Field) -> Getter:
    """Reads a field's value from a record as it goes out."""
    name = field.name
    if field.type == "boolean":
        return lambda record: record.get(name) or False
    if field.type == "address":
        return lambda record: address(record, name.removesuffix("Address"))
    return lambda record: record.get(name)


def address(record: Record, kind: str) -> dict[str, Any] | None:
    """The compound of the parts of an address; None when all are empty."""
    parts = ("city", "country", "geocodeAccuracy", "latitude", "longitude", "postalCode", "state", "street")
    values = {part: record.get(kind + part[0].upper() + part[1:]) for part in parts}
    return values if any(value is not None for value in values.values()) else None
