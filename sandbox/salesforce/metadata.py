"""The organisation's own objects, fields and validation rules, told to it while it runs.

One document, merged into what was told before (a field told again replaces the field of that name):

    {"objects": [{"name": "Invoice__c", "label": "Invoice", "nameField": {"type": "AutoNumber", "format": "I-{0000}"},
                  "fields": [...]}],
     "fields": {"Account": [{"name": "Tax_Id__c", "type": "Text", "length": 40}]},
     "rules": [{"object": "Order", "name": "Needs_PO", "when": [{"field": "PoNumber", "blank": true}],
                "message": "...", "errorField": "PoNumber"},
               {"object": "Order", "name": "Large", "formula": "TotalAmount > 1000", "active": true, "message": "..."}]}

A rule has tests, or a formula in Salesforce's own language (formula.py); `validation_rule` takes it from the XML file
of the Metadata API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

from sandbox.salesforce.fields import Field, SObject, build, label_of
from sandbox.salesforce.formula import BadFormula, Node, parse
from sandbox.salesforce.standard import standard_objects, system_fields

Json = dict[str, Any]

TYPES = {  # the words of the Metadata API, and those of describe, -> describe's type
    "text": "string",
    "textarea": "textarea",
    "longtextarea": "textarea",
    "checkbox": "boolean",
    "number": "double",
    "lookup": "reference",
    "masterdetail": "reference",
    "autonumber": "string",
    **{
        name: name
        for name in ("string", "boolean", "double", "int", "currency", "percent", "date", "datetime", "picklist")
    },
    **{name: name for name in ("email", "phone", "url", "reference")},
}
_PLAIN_KEYS = ("name", "type", "label", "length", "precision", "scale", "required", "default", "format")
_KEY_KEYS = ("externalId", "unique", "caseSensitive", "referenceTo", "relationshipName", "childRelationshipName")
_FIELD_KEYS = frozenset((*_PLAIN_KEYS, *_KEY_KEYS, "cascade", "values", "restricted"))
_LENGTHS = {"string": 255, "textarea": 255, "email": 80, "phone": 40, "url": 255, "picklist": 255}
TESTS = frozenset(("equals", "notEquals", "in", "blank", "greaterThan", "lessThan", "changed", "childCount"))


class BadMetadata(ValueError):
    """The document cannot be taken in; the message says where."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A validation rule: refused with `message` when all tests of `when`, or the formula, hold for the record about to
    be saved. One that is not active is kept and does nothing."""

    object: str
    name: str
    when: tuple[Mapping[str, Any], ...]
    message: str
    error_field: str | None
    formula: Node | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class Schema:
    """All objects of the organisation, its validation rules, and who is child of whom."""

    objects: Mapping[str, SObject]
    rules: Mapping[str, tuple[Rule, ...]]
    lower: Mapping[str, str]
    children: Mapping[str, Mapping[str, tuple[str, Field]]]  # parent -> lower relationship -> (child, its field)

    def find(self, name: str) -> SObject | None:
        """The object of that name, whatever its case."""
        proper = self.lower.get(name.lower())
        return self.objects[proper] if proper else None


def schema(documents: Iterable[Mapping[str, Any]]) -> Schema:
    """The standard objects with all documents merged in, in order. Raises BadMetadata."""
    objects = standard_objects()
    rules: dict[tuple[str, str], Rule] = {}
    for document in documents:
        unknown = set(document) - {"objects", "fields", "rules"}
        if unknown:
            raise BadMetadata(f"unknown key {sorted(unknown)[0]!r}; known are objects, fields, rules")
        for one in document.get("objects", ()):
            objects[one["name"]] = _custom_object(objects, one)
        for name, fields in document.get("fields", {}).items():
            if name not in objects:
                raise BadMetadata(f"fields: no object {name!r}")
            objects[name] = _with_fields(objects[name], [_custom_field(name, one) for one in fields])
        for one in document.get("rules", ()):
            rule = _rule(objects, one)
            rules[rule.object, rule.name] = rule
    _check_references(objects)
    by_object: dict[str, tuple[Rule, ...]] = {}
    for rule in rules.values():
        by_object[rule.object] = (*by_object.get(rule.object, ()), rule)
    return Schema(objects, by_object, {name.lower(): name for name in objects}, _children(objects))


def _custom_object(objects: Mapping[str, SObject], given: Mapping[str, Any]) -> SObject:
    name = given["name"]
    if not name.endswith("__c"):
        raise BadMetadata(f"object {name!r}: a custom object's name ends in __c")
    before = objects.get(name)
    taken = sum(1 for one in objects.values() if one.custom)
    prefix = given.get("keyPrefix") or (before.prefix if before else f"a{taken:02d}")
    label = given.get("label") or label_of(name)
    key = Field("Id", "id", "Record ID", length=18, createable=False, updateable=False)
    number = dict(given.get("nameField", {}))
    title = Field("Name", "string", number.get("label", f"{label} Name"), length=80, required=True)
    if number.get("type", "Text").lower() == "autonumber":
        form = number.get("format", "{0000}")
        title = replace(title, required=False, createable=False, updateable=False, auto_number=form)
    fields = [key, title, *system_fields(owner=True, currency=True)]
    fields += [_custom_field(name, one) for one in given.get("fields", ())]
    return build(name, label, given.get("pluralLabel", f"{label}s"), prefix, fields, custom=True)


def _with_fields(sobject: SObject, fields: list[Field]) -> SObject:
    merged = {**sobject.fields, **{one.name: one for one in fields}}
    rest = {key: getattr(sobject, key) for key in ("name_field", "custom", "createable", "deletable")}
    return build(sobject.name, sobject.label, sobject.label_plural, sobject.prefix, merged.values(), **rest)


def _custom_field(owner: str, given: Mapping[str, Any]) -> Field:
    where = f"{owner}.{given.get('name')}"
    unknown = set(given) - _FIELD_KEYS
    if unknown:
        raise BadMetadata(f"{where}: unknown key {sorted(unknown)[0]!r}; known are {', '.join(sorted(_FIELD_KEYS))}")
    word = str(given.get("type", "")).lower()
    if word not in TYPES or not str(given.get("name", "")).endswith("__c"):
        raise BadMetadata(f"{where}: needs a name that ends in __c and a type of {', '.join(sorted(TYPES))}")
    kind = TYPES[word]
    targets = given.get("referenceTo", ())
    targets = (targets,) if isinstance(targets, str) else tuple(targets)
    if (kind == "reference") != bool(targets):
        raise BadMetadata(f"{where}: referenceTo belongs to a lookup, and a lookup needs it")
    automatic = word == "autonumber"
    number = kind in ("double", "currency", "percent")
    return Field(
        name=given["name"],
        type=kind,
        label=given.get("label") or label_of(given["name"]),
        length=18 if targets else 0 if number else int(given.get("length", _LENGTHS.get(kind, 0))),
        precision=int(given.get("precision", given.get("length", 18))) if number else 0,
        scale=int(given.get("scale", 2 if kind == "currency" else 0)) if number else 0,
        required=bool(given.get("required")),
        createable=not automatic,
        updateable=not automatic,
        custom=True,
        external_id=bool(given.get("externalId")),
        unique=bool(given.get("unique")),
        case_sensitive=bool(given.get("caseSensitive")),
        values=tuple(given.get("values", ())),
        restricted=bool(given.get("restricted")),
        default=given.get("default", False if kind == "boolean" else None),
        reference_to=targets,
        relationship=given.get("relationshipName", given["name"].removesuffix("__c") + "__r") if targets else None,
        children=given.get("childRelationshipName", f"{owner.removesuffix('__c')}s__r") if targets else None,
        cascade=word == "masterdetail" or bool(given.get("cascade")),
        auto_number=given.get("format", "{0000}") if automatic else None,
    )


def _rule(objects: Mapping[str, SObject], given: Mapping[str, Any]) -> Rule:
    where = f"rule {given.get('name')!r}"
    sobject = objects.get(str(given.get("object")))
    if sobject is None:
        raise BadMetadata(f"{where}: no object {given.get('object')!r}")
    when = tuple(given.get("when", ()))
    for test in when:
        unknown = set(test) - TESTS - {"field"}
        if unknown:
            raise BadMetadata(f"{where}: unknown test {sorted(unknown)[0]!r}; known are {', '.join(sorted(TESTS))}")
        if "childCount" not in test and test.get("field") not in sobject.fields:
            raise BadMetadata(f"{where}: no field {test.get('field')!r} on {sobject.name}")
    text = given.get("formula")
    if bool(when) == bool(text) or not given.get("message"):
        raise BadMetadata(f"{where}: needs 'when' with at least one test or 'formula', and 'message'")
    error_field = given.get("errorField")
    if error_field and sobject.find(str(error_field)) is None:
        raise BadMetadata(f"{where}: no field {error_field!r} on {sobject.name}")
    try:
        formula = parse(str(text), objects, sobject) if text else None
    except BadFormula as error:
        raise BadMetadata(f"{where}: {error}") from error
    active = given.get("active", True) is True
    return Rule(sobject.name, str(given["name"]), when, str(given["message"]), error_field, formula, active)


def validation_rule(sobject: str, xml: bytes) -> Json:
    """The document of one rule from a `.validationRule-meta.xml` of the Metadata API. Raises BadMetadata."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise BadMetadata(f"the rule is no XML: {error}") from error
    space = "{http://soap.sforce.com/2006/04/metadata}"
    if root.tag != f"{space}ValidationRule":
        raise BadMetadata(f"expected a ValidationRule of the Metadata API, found {root.tag}")
    said = {str(part.tag).removeprefix(space): (part.text or "").strip() for part in root}
    missing = {"fullName", "active", "errorConditionFormula", "errorMessage"} - set(said)
    if missing:
        raise BadMetadata(f"Required field is missing: {sorted(missing)[0]}")
    rule = {"object": sobject, "name": said["fullName"], "active": said["active"] == "true",
            "formula": said["errorConditionFormula"], "message": said["errorMessage"]}  # fmt: skip
    if said.get("errorDisplayField"):
        rule["errorField"] = said["errorDisplayField"]
    return {"rules": [rule]}


def _check_references(objects: Mapping[str, SObject]) -> None:
    for sobject in objects.values():
        for field in sobject.fields.values():
            for target in field.reference_to:
                if target not in objects:
                    raise BadMetadata(f"{sobject.name}.{field.name}: no object {target!r} to refer to")


def _children(objects: Mapping[str, SObject]) -> dict[str, dict[str, tuple[str, Field]]]:
    found: dict[str, dict[str, tuple[str, Field]]] = {name: {} for name in objects}
    for sobject in objects.values():
        for field in sobject.fields.values():
            if field.children:
                for target in field.reference_to:
                    found[target][field.children.lower()] = (sobject.name, field)
    return found
