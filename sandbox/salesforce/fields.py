"""What an object and a field are, and the short notation in which the standard ones are written down.

A line of the notation is `Name: type(argument) word word=value`, for example
`AccountId: reference(Account) as=Account children=Orders required`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TEXT_TYPES = frozenset(("string", "textarea", "email", "phone", "url", "picklist", "combobox"))
NUMBER_TYPES = frozenset(("double", "currency", "percent"))
_LINE = re.compile(r"(\w+): (\w+)(?:\(([^)]*)\))?(.*)")
_DEFAULT_LENGTH = {"string": 255, "textarea": 32000, "email": 80, "phone": 40, "url": 255, "picklist": 255}


@dataclass(frozen=True, slots=True)
class Field:
    """One field, as describe tells of it. `currency_scale`: rounded by the record's currency, not by `scale`."""

    name: str
    type: str
    label: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False
    createable: bool = True
    updateable: bool = True
    custom: bool = False
    external_id: bool = False
    unique: bool = False
    case_sensitive: bool = False
    values: tuple[str, ...] = ()
    restricted: bool = False
    default: Any = None
    reference_to: tuple[str, ...] = ()
    relationship: str | None = None
    children: str | None = None
    cascade: bool = False
    auto_number: str | None = None

    @property
    def currency_scale(self) -> bool:
        return self.type == "currency" and self.scale <= 2

    @property
    def indexed(self) -> bool:
        """Looked up by value: external ids, and references that somebody asks for the children of."""
        return self.external_id or self.unique or self.children is not None


@dataclass(frozen=True, slots=True)
class SObject:
    """One object. `fields` is keyed by the field's exact name."""

    name: str
    label: str
    label_plural: str
    prefix: str
    fields: Mapping[str, Field]
    name_field: str | None = "Name"
    custom: bool = False
    createable: bool = True
    deletable: bool = True
    lower: Mapping[str, str] = field(default_factory=dict)  # lower-case name -> exact name
    relationships: Mapping[str, Field] = field(default_factory=dict)  # lower-case relationship name -> field

    def find(self, name: str) -> Field | None:
        """The field of that name, whatever its case."""
        exact = self.fields.get(name)
        if exact is None:
            proper = self.lower.get(name.lower())
            exact = self.fields[proper] if proper else None
        return exact


def build(name: str, label: str, label_plural: str, prefix: str, fields: Iterable[Field], **rest: Any) -> SObject:
    """An SObject with its look-ups by lower-case name."""
    by_name = {one.name: one for one in fields}
    return SObject(
        name,
        label,
        label_plural,
        prefix,
        by_name,
        lower={one.lower(): one for one in by_name},
        relationships={one.relationship.lower(): one for one in by_name.values() if one.relationship},
        **rest,
    )


def label_of(name: str) -> str:
    """`Tieout_Invoice_Id__c` -> `Tieout Invoice Id`; `BillingCity` -> `Billing City`."""
    plain = name.removesuffix("__c").replace("_", " ")
    plain = plain.removesuffix("Id") if plain.endswith("Id") and plain != "Id" and not name.endswith("__c") else plain
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", plain).strip() + (" ID" if plain + "Id" == name else "")


def parse(line: str) -> Field:
    """One line of the notation. Raises ValueError for a line that is not in it."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"not a field: {line!r}")
    name, kind, argument, tail = match.groups()
    words = dict(word.partition("=")[::2] for word in shlex.split(tail))
    length, precision, scale, targets = _size(kind, argument or "")
    readonly = "readonly" in words
    return Field(
        name=name,
        type=kind,
        label=words.get("label") or label_of(name),
        length=length,
        precision=precision,
        scale=scale,
        required="required" in words,
        createable=not readonly,
        updateable=not readonly and "createonly" not in words,
        unique="unique" in words,
        external_id="external" in words,
        values=tuple(words["values"].split("|")) if "values" in words else (),
        restricted="restricted" in words,
        default=False if kind == "boolean" and "default" not in words else _default(kind, words.get("default")),
        reference_to=targets,
        relationship=words.get("as"),
        children=words.get("children"),
        cascade="cascade" in words,
        auto_number=words.get("number"),
    )


def _size(kind: str, argument: str) -> tuple[int, int, int, tuple[str, ...]]:
    if kind == "reference":
        return 18, 0, 0, tuple(argument.split("|"))
    if kind == "id":
        return 18, 0, 0, ()
    if kind in NUMBER_TYPES:
        precision, _, scale = (argument or ("18,2" if kind == "currency" else "18,0")).partition(",")
        return 0, int(precision), int(scale or 0), ()
    return int(argument) if argument else _DEFAULT_LENGTH.get(kind, 0), 0, 0, ()


def _default(kind: str, text: str | None) -> Any:
    return text == "true" if kind == "boolean" else text
