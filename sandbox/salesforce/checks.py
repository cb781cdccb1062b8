"""Checks of one record before it is saved: required, lengths, ranges, picklists, references, unique values, rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from sandbox.salesforce import formula, ids
from sandbox.salesforce.errors import Problem, Refused
from sandbox.salesforce.fields import NUMBER_TYPES, TEXT_TYPES, Field, SObject
from sandbox.salesforce.incoming import Foreign
from sandbox.salesforce.org import Org
from sandbox.salesforce.values import canonical, read, round_half_up
from sandbox.state import Record

MAX_INT = 2**31


def writable(sobject: SObject, names: list[str], *, creating: bool) -> Iterator[Problem]:
    """Complains of fields that cannot be set."""
    fields = sobject.fields
    wrong = [name for name in names if not (fields[name].createable if creating else fields[name].updateable)]
    if wrong:
        yield Problem(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Unable to create/update fields: {', '.join(wrong)}. Please check the security settings of this field and"
            " verify that it is read/write for your profile or permission set.",
            tuple(wrong),
        )


def required(sobject: SObject, new: Record) -> Iterator[Problem]:
    """Complains of required fields that are empty."""
    missing = [one.name for one in sobject.fields.values() if one.required and new.get(one.name) is None]
    if missing:
        yield Problem("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", tuple(missing))


def value(org: Org, field: Field, new: Record) -> Iterator[Problem]:
    """Checks one given value in its place in the new record, rounding numbers to their places."""
    given = new[field.name]
    if given is None:
        return
    if field.type in TEXT_TYPES:
        yield from _text(org, field, given)
    elif field.type in NUMBER_TYPES:
        yield from _number(org, field, new, given)
    elif field.type == "int" and abs(given) >= MAX_INT:
        yield _out_of_range(field, given)
    elif field.type == "reference":
        yield from _reference(org, field, given)


def _text(org: Org, field: Field, given: str) -> Iterator[Problem]:
    if len(given) > field.length > 0:
        shown = given[:80]
        message = f"{field.label}: data value too large: {shown} (max length={field.length})"
        yield Problem("STRING_TOO_LONG", message, (field.name,))
    elif field.restricted:
        if field.name == "CurrencyIsoCode":
            known = any(one["IsoCode"] == given and one["IsActive"] for one in org.table("CurrencyType").values())
        else:
            known = given in field.values
        if not known:
            message = f"{field.label}: bad value for restricted picklist field: {given}"
            yield Problem("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.name,))


def _number(org: Org, field: Field, new: Record, given: Decimal) -> Iterator[Problem]:
    places = org.decimals(new.get("CurrencyIsoCode")) if field.currency_scale else field.scale
    rounded = round_half_up(given, places)
    new[field.name] = rounded
    whole = field.precision - (field.scale if not field.currency_scale else 2)
    if abs(rounded) >= Decimal(10) ** whole:
        yield _out_of_range(field, canonical(given))


def _out_of_range(field: Field, given: Any) -> Problem:
    message = f"{field.label}: value outside of valid range on numeric field: {given}"
    return Problem("NUMBER_OUTSIDE_VALID_RANGE", message, (field.name,))


def _reference(org: Org, field: Field, given: str) -> Iterator[Problem]:
    if ids.normal(given) is None:
        yield Problem("MALFORMED_ID", f"{field.label}: id value of incorrect type: {given}", (field.name,))
        return
    targets = [org.get(target, given) for target in field.reference_to]
    found = next((one for one in targets if one is not None), None)
    if found is None:
        prefixes = {org.schema.objects[target].prefix for target in field.reference_to}
        if given[:3] in prefixes:
            yield Problem("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (field.name,))
        else:
            message = f"{field.label}: id value of incorrect type: {given}"
            yield Problem("FIELD_INTEGRITY_EXCEPTION", message, (field.name,))
    elif found["IsDeleted"]:
        yield Problem("ENTITY_IS_DELETED", "entity is deleted", (field.name,))


def unique(org: Org, sobject: SObject, field: Field, new: Record, own_id: str | None) -> Iterator[Problem]:
    """Complains when another living record has the value of a unique field."""
    for other in matches(org, sobject, field, new[field.name]):
        if other["Id"] != own_id:
            message = f"duplicate value found: {field.name} duplicates value on record with id: {other['Id'][:15]}"
            yield Problem("DUPLICATE_VALUE", message, (field.name,))
            return


def matches(org: Org, sobject: SObject, field: Field, value: Any) -> list[Record]:
    """The living records with that value in an indexed field."""
    if value is None:
        return []
    folded = value.casefold() if isinstance(value, str) and not (field.case_sensitive or field.reference_to) else value
    return [one for one in org.index(sobject, field)(folded) if not one["IsDeleted"]]


def resolve(org: Org, reference: str, foreign: Foreign) -> str:
    """The id of the record that an external id names. Raises Refused."""
    sobject = org.schema.objects[foreign.target]
    field = sobject.find(foreign.field)
    if field is None or not (field.external_id or field.name == "Id"):
        message = f"Field name provided, {foreign.field} is not an External ID or indexed field for {sobject.name}"
        raise Refused([Problem("INVALID_FIELD", message, (reference,))])
    wanted = read(field, foreign.value)
    if field.name == "Id":
        return str(wanted)
    found = matches(org, sobject, field, wanted)
    if len(found) == 1:
        return str(found[0]["Id"])
    what = "not found" if not found else "more than one record found"
    message = f"Foreign key external ID: {foreign.value} {what} for field {field.name} in entity {sobject.name}"
    raise Refused([Problem("INVALID_FIELD", message, (reference,))])


def rules(org: Org, sobject: SObject, old: Record | None, new: Record) -> Iterator[Problem]:
    """Complains of each active validation rule whose formula holds, or whose tests all do."""
    for rule in org.schema.rules.get(sobject.name, ()):
        if not rule.active:
            continue
        if rule.formula is not None:
            applies = formula.holds(rule.formula, org, sobject, old, new)
        else:
            applies = all(_holds(org, sobject, test, old, new) for test in rule.when)
        if applies:
            fields = (rule.error_field,) if rule.error_field else ()
            yield Problem("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.message, fields)


def _holds(org: Org, sobject: SObject, test: Mapping[str, Any], old: Record | None, new: Record) -> bool:
    if "childCount" in test:
        wanted = test["childCount"]
        child, reference = org.schema.children[sobject.name][wanted["relationship"].lower()]
        count = len(org.children(child, reference.name, new["Id"])) if "Id" in new else 0
        return bool(count == wanted["equals"])
    value = new.get(test["field"])
    held: Mapping[str, Callable[[Any], bool]] = {
        "equals": lambda wanted: value == wanted,
        "notEquals": lambda wanted: value != wanted,
        "in": lambda wanted: value in wanted,
        "blank": lambda wanted: (value in (None, "")) is wanted,
        "greaterThan": lambda wanted: value is not None and value > wanted,
        "lessThan": lambda wanted: value is not None and value < wanted,
        "changed": lambda wanted: (old is None or old.get(test["field"]) != value) is wanted,
    }
    return all(held[name](wanted) for name, wanted in test.items() if name != "field")
