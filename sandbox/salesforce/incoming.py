"""Reading a record out of a request: names to fields, JSON values to typed ones. Nothing is looked up or saved here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.fields import Field, SObject
from sandbox.salesforce.values import bad_value, read, read_text


@dataclass(frozen=True, slots=True)
class Foreign:
    """A reference given by the other record's external id: `"Account": {"Code__c": "A-1"}`."""

    target: str
    field: str
    value: Any


@dataclass(frozen=True, slots=True)
class Incoming:
    """`values` by exact field name, Id among them when it was given; `foreign` by the reference field's name."""

    values: dict[str, Any]
    foreign: dict[str, Foreign] = field(default_factory=dict)


def read_record(sobject: SObject, body: Mapping[str, Any]) -> Incoming:
    """A JSON object as a record. Raises ApiError 400: unknown field, value of the wrong type."""
    values: dict[str, Any] = {}
    foreign: dict[str, Foreign] = {}
    for name, value in body.items():
        found = sobject.fields.get(name) or sobject.find(name)
        if found is not None:
            values[found.name] = read(found, value)
        elif name != "attributes":
            _read_foreign(sobject, name, value, foreign)
    return Incoming(values, foreign)


def read_row(sobject: SObject, row: Mapping[str, str]) -> Incoming:
    """A row of a CSV file: an empty cell is left as it is, `#N/A` empties it. Raises ApiError and Refused."""
    values: dict[str, Any] = {}
    foreign: dict[str, Foreign] = {}
    for name, text in row.items():
        if text == "":
            continue
        found = sobject.find(name)
        if found is not None:
            values[found.name] = None if text == "#N/A" else read_text(found, text)
        elif "." in name:
            relationship, _, external = name.partition(".")
            _read_foreign(sobject, relationship, {external: text}, foreign)
        else:
            raise unknown_field(sobject, name)
    return Incoming(values, foreign)


def unknown_field(sobject: SObject, name: str) -> ApiError:
    """The error for a field that the object does not have."""
    return ApiError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}")


def _read_foreign(sobject: SObject, name: str, value: Any, foreign: dict[str, Foreign]) -> None:
    reference: Field | None = sobject.relationships.get(name.lower())
    if reference is None:
        raise unknown_field(sobject, name)
    if not isinstance(value, dict):
        raise bad_value(reference, value)
    keys = [key for key in value if key != "attributes"]
    if len(keys) != 1:
        raise ApiError(400, "INVALID_FIELD", f"{name}: exactly one external id field is expected")
    foreign[reference.name] = Foreign(reference.reference_to[0], keys[0], value[keys[0]])
